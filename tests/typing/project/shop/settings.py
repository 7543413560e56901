from pathlib import Path

BASE_DIR = Path(__file__).parent.parent
SECRET_KEY = "for type checkers only"
INSTALLED_APPS = ["django.contrib.contenttypes", "django_scheduler", "orders", "payments"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
