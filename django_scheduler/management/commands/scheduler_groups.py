"""``manage.py scheduler_groups`` creates two groups of users: support, who look, and operators, who intervene."""

from argparse import ArgumentParser
from typing import Any

from django.apps import apps
from django.core.management.base import CommandError
from django.db import router

from django_scheduler.errors import SchedulerError
from django_scheduler.management.arguments import known_database
from django_scheduler.management.command import SchedulerCommand, refusing_what_is_wrong


class Command(SchedulerCommand):
    help = (
        "Creates two groups of users for the admin, and gives each the permissions that it lacks: 'Scheduler support'"
        " sees everything, and 'Scheduler operators' also cancel, run again, reschedule, pause and change limits. It"
        " takes nothing away, so it may be run again with each deployment."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--database", metavar="ALIAS", help="the database that has the users")

    @refusing_what_is_wrong("The groups cannot be created")
    def handle(self, *, database: str | None, **options: Any) -> None:
        if not apps.is_installed("django.contrib.admin"):
            raise CommandError(
                "The permissions count in Django's admin alone, and 'django.contrib.admin' is not in INSTALLED_APPS."
            )
        # These need the apps of the admin, which a project need not have.
        from django.contrib.auth.models import Group

        from django_scheduler.admin import create_user_groups

        try:
            groups = create_user_groups(known_database(database or router.db_for_write(Group)))
        except SchedulerError as error:
            raise CommandError(str(error)) from error
        for given in groups:
            done = "created with" if given.is_new else "was given"
            names = f"{done} {', '.join(given.codenames)}" if given.codenames else "has all of its permissions"
            self.stdout.write(f"{given.group}: {names}")
