"""The matrix: every Python with every Django and every database. What this machine lacks is skipped, and says so.

``nox`` runs all of it, ``nox --list`` shows it, and ``nox --python 3.13 -k "django61 and sqlite"`` chooses. Arguments
behind ``--`` go to pytest.
"""

import nox

nox.options.default_venv_backend = "venv"
nox.options.error_on_missing_interpreters = False

PYTHONS = ["3.11", "3.12", "3.13", "3.14"]
#: Each Django, and the first Python that it runs on.
DJANGOS = {"5.2": "3.11", "6.0": "3.12", "6.1": "3.12"}
DATABASES = ["sqlite", "postgresql", "mariadb"]


@nox.session(python=PYTHONS)
@nox.parametrize("django", [nox.param(django, id=f"django{django.replace('.', '')}") for django in DJANGOS])
@nox.parametrize("database", [nox.param(database, id=database) for database in DATABASES])
def tests(session: nox.Session, django: str, database: str) -> None:
    """Run the suite with one Python, one Django and one database."""
    python = str(session.python)
    if _version(python) < _version(DJANGOS[django]):
        session.skip(f"Django {django} needs Python {DJANGOS[django]}")
    extras = "test,mysql" if database == "mariadb" else "test"
    session.install("--editable", f".[{extras}]", f"Django~={django}.0")
    session.run("python", "-m", "tests", database, "--", *session.posargs, env={"THOROUGH": "1"})


def _version(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split(".")))
