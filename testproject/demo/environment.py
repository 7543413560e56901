"""The environment: the demo's own directory and, unless ``DATABASE_URL`` names another, its own database in it.

It holds here and in the processes that are started from here. Before it is there nothing of Django's can be
imported, which is why this file and ``__main__.py`` do without.
"""

import os
from pathlib import Path

import django
from django.core.exceptions import ImproperlyConfigured

from testproject.demo.errors import DemoError


def prepare_environment(directory: Path) -> None:
    os.environ.update(
        DJANGO_SETTINGS_MODULE="testproject.settings",
        DATABASE_URL=os.environ.get("DATABASE_URL") or f"sqlite:///{directory / 'shop.sqlite3'}",
        MAILS=str(directory / "mails"),
        DEBUG="True",
        ALLOWED_HOSTS="127.0.0.1",
        PYTHONUNBUFFERED="1",
    )
    os.environ.setdefault("SHOP_DAY_SECONDS", "0.6")
    try:
        django.setup()
    except (ImproperlyConfigured, ValueError) as error:
        raise DemoError(f"The settings are not right: {' '.join(str(error).split())}") from error
