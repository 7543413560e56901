# The shop of testproject/, for compose.yaml: its web server and its executor are the same image.
FROM python:3.13-slim

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /srv/shop

# What the shop needs is installed before its code is there, so that a change of the code does not install it again.
# Every one of these has wheels: no compiler is needed.
COPY pyproject.toml ./
RUN python -c "import tomllib; project = tomllib.load(open('pyproject.toml', 'rb'))['project']; extras = project['optional-dependencies']; print(*project['dependencies'], *extras['demo'], *extras['postgresql'], sep='\n')" > requirements.txt \
    && pip install --requirement requirements.txt

COPY manage.py ./
COPY django_scheduler ./django_scheduler
COPY testproject ./testproject

# For production unless somebody says otherwise. Without DEBUG, SECRET_KEY has no default.
ENV DEBUG=False
RUN useradd --system --no-create-home shop
USER shop

# As a list: a shell in between would not pass on the signal that asks the executor to stop.
CMD ["python", "manage.py", "runscheduler", "--processes", "2", "--alive-file", "/tmp/scheduler-alive"]
