"""Settings that are read again, in a process that was forked with the settings of another one."""

import sys
from importlib import reload

from django.apps import apps
from django.conf import Settings, settings
from django.core.signals import setting_changed
from django.db import connections
from django.utils.log import configure_logging

MISSING = object()


def load_settings_again() -> bool:
    """Read the settings from the environment as it is now. ``False``: other apps are installed, it takes a start.

    What the apps do when Django starts and depends on the environment (``tests/apps.py``) is done again.
    """
    before = {name: getattr(settings, name) for name in dir(settings) if name.isupper()}
    for name in dict.fromkeys(["testproject.settings", "tests.settings", settings.SETTINGS_MODULE]):
        reload(sys.modules[name])
    settings._wrapped = Settings(settings.SETTINGS_MODULE)
    if before["INSTALLED_APPS"] != settings.INSTALLED_APPS:
        return False
    connections.__dict__.clear()
    connections.__init__()  # type: ignore[misc]
    configure_logging(settings.LOGGING_CONFIG, settings.LOGGING)
    after = {name: getattr(settings, name) for name in dir(settings) if name.isupper()}
    for name in before.keys() | after.keys():
        if name != "DATABASES" and before.get(name, MISSING) != after.get(name, MISSING):
            setting_changed.send(sender=Settings, setting=name, value=after.get(name), enter=True)
    apps.get_app_config("tests").ready()
    return True
