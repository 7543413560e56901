import importlib.util

SECRET_KEY = "of a test"
USE_TZ = True
TIME_ZONE = "UTC"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}

PEERS = [name for name in ("django_celery_beat", "django_q") if importlib.util.find_spec(name)]
INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django_scheduler",
    "tests.importing.site.shop",
    *PEERS,
]
MIGRATION_MODULES = dict.fromkeys(("contenttypes", "auth", "django_scheduler", *PEERS))  # tables without migrations

Q_CLUSTER = {"name": "shop", "orm": "default", "time_zone": "Europe/Berlin", "timeout": 60, "retry": 90}
DJANGO_SCHEDULER = {"CLOCK": "python"}
