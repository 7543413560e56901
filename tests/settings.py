"""The shop's settings, and what the tests need besides: their own models and a database that can be shared.

``DATABASE_URL`` chooses the database, as in the shop. Processes that a test starts use this module too.
"""

import json
import os
from datetime import timedelta

from testproject import settings as shop
from testproject.settings import *  # noqa: F403
from tests.support import mysql_driver

DEBUG = False
INSTALLED_APPS = [*shop.INSTALLED_APPS, "tests", *os.environ.get("TEST_APPS", "").split()]
MIDDLEWARE = [*shop.MIDDLEWARE, "tests.support.strict_policy.strict_policy"]
MIGRATION_MODULES = {"tests": None}  # the tables of tests.models are made straight from the models
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

DATABASES = shop.DATABASES
database = DATABASES["default"]

if database["ENGINE"].endswith("sqlite3"):
    # One writer at a time among all processes: take the lock at BEGIN, wait for it, never block readers.
    database["OPTIONS"] = {
        "init_command": "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL",
        "timeout": 20,
        "transaction_mode": "IMMEDIATE",
    }
elif database["ENGINE"].endswith("mysql"):
    mysql_driver.find()
    database["TEST"] = {"CHARSET": "utf8mb4"}

# override_settings does not reach a process that a test starts: its settings of the scheduler come like this.
# JSON has no durations; here every number is one, in seconds, except where a setting counts something.
if "TEST_DJANGO_SCHEDULER" in os.environ:
    DJANGO_SCHEDULER = {
        **getattr(shop, "DJANGO_SCHEDULER", {}),
        **{
            name: timedelta(seconds=value) if type(value) in (int, float) and not name.startswith("MAX_") else value
            for name, value in json.loads(os.environ["TEST_DJANGO_SCHEDULER"]).items()
        },
    }

# Django's own tasks, with Django 6.0 and newer.
TASKS = {
    "default": {"BACKEND": "django_scheduler.tasks.SchedulerBackend", "QUEUES": ["default", "email"]},
    "exactly_once": {"BACKEND": "django_scheduler.tasks.SchedulerBackend", "OPTIONS": {"kind": "mutation"}},
    "any_queue": {"BACKEND": "django_scheduler.tasks.SchedulerBackend", "QUEUES": []},
    "dummy": {"BACKEND": "django.tasks.backends.dummy.DummyBackend"},
}

# A fleet of real workers, for the processes that a test starts: "directory:<path>" or "celery:<prefix>:<broker>".
match os.environ.get("TEST_FLEET", "").split(":", 2):
    case ["directory", path]:
        TASKS["fleet"] = {"BACKEND": "tests.fleet.backends.Directory", "OPTIONS": {"path": path}}
    case ["celery", prefix, broker]:
        INSTALLED_APPS.append("django_tasks_fennel")
        TASKS["fleet"] = {"BACKEND": "django_tasks_fennel.CeleryBackend"}
        CELERY_BROKER_URL = broker
        CELERY_BROKER_TRANSPORT_OPTIONS = {"global_keyprefix": prefix}
