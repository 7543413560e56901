"""A small project, whose functions type checkers know by its stub: see ``tests/typing/__init__.py``."""

import os

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    os.environ["DJANGO_SETTINGS_MODULE"] = "shop.settings"
    execute_from_command_line()
