"""The shop's settings. What differs between machines comes from the environment."""

from datetime import timedelta
from pathlib import Path

import django
from django.core.exceptions import ImproperlyConfigured
from environ import Env

env = Env()
PROJECT = Path(__file__).resolve().parent

DEBUG = env.bool("DEBUG", default=True)
# While developing, a key that everybody can read will do. In production there is no default.
SECRET_KEY = env.str("SECRET_KEY", default="for development only") if DEBUG else env.str("SECRET_KEY")
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["127.0.0.1", "localhost"])

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_scheduler",
    "testproject.orders",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

ROOT_URLCONF = "testproject.urls"
WSGI_APPLICATION = "testproject.wsgi.application"

DATABASES = {"default": env.db("DATABASE_URL", default=f"sqlite:///{PROJECT / 'shop.sqlite3'}")}
if "ENGINE" not in DATABASES["default"]:
    raise ImproperlyConfigured("DATABASE_URL must begin with sqlite:, postgres: or mysql:.")
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # The web server and the scheduler write to one file: readers do not wait for the writer (WAL), and a
    # transaction that is going to write waits for its turn at its beginning, where nothing can be lost.
    DATABASES["default"]["OPTIONS"] = {
        "init_command": "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL",
        "timeout": 20,
        "transaction_mode": "IMMEDIATE",
    }
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = PROJECT / "static"

# While developing, mail is written into files. Django 6.1 has another name for these settings.
MAILS = env.path("MAILS", default=str(PROJECT / "mails"))
if django.VERSION >= (6, 1):
    FILES = {"BACKEND": "django.core.mail.backends.filebased.EmailBackend", "OPTIONS": {"file_path": str(MAILS)}}
    SMTP = {"BACKEND": "django.core.mail.backends.smtp.EmailBackend", "OPTIONS": {"host": "localhost"}}
    MAILERS = {"default": FILES if DEBUG else SMTP}
elif DEBUG:
    EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    EMAIL_FILE_PATH = str(MAILS)
DEFAULT_FROM_EMAIL = "Shop <shop@shop.example>"

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname:<7} {message}", "style": "{"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "loggers": {"django_scheduler": {"handlers": ["console"], "level": "INFO"}},
}

if not DEBUG:
    SECURE_SSL_REDIRECT = True
    SECURE_HSTS_SECONDS = 365 * 24 * 60 * 60
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SECURE_HSTS_PRELOAD = True
    SESSION_COOKIE_SECURE = True
    CSRF_COOKIE_SECURE = True

# The shop's own.

#: How long a day lasts: who watches the demo does not have seven of them.
SHOP_DAY = timedelta(seconds=env.float("SHOP_DAY_SECONDS", default=24 * 60 * 60))
#: Where the courier's web service listens. In truth there is none, and nobody answers.
COURIER = env.str("COURIER", default="127.0.0.1:9")
