"""Django's settings, for the contender that ``BENCH_CONTENDER`` names. The database is the one that libpq's
variables name, or the file ``BENCH_SQLITE``.
"""

import os
from typing import Any

from benchmarks.header import fill_in, read_header

_header = read_header(os.environ["BENCH_CONTENDER"])

SECRET_KEY = "nothing here is secret"
USE_TZ = True
DEBUG = False

INSTALLED_APPS = [*_header.apps, "benchmarks.business"]

DATABASES: dict[str, dict[str, Any]] = {
    "postgresql": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": os.environ.get("PGDATABASE"),
        "USER": os.environ.get("PGUSER"),
        "PASSWORD": os.environ.get("PGPASSWORD"),
        "HOST": os.environ.get("PGHOST"),
        "PORT": os.environ.get("PGPORT"),
        "CONN_MAX_AGE": None,
    },
    "sqlite": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ.get("BENCH_SQLITE"),
        "OPTIONS": {"transaction_mode": "IMMEDIATE", "timeout": 30, "init_command": "PRAGMA journal_mode=WAL"},
        "CONN_MAX_AGE": None,
    },
}
DATABASES = {"default": DATABASES[os.environ["BENCH_DATABASE"]]}

globals().update(fill_in(_header.settings, int(os.environ["BENCH_PROCESSES"])))
