"""``manage.py synccrons`` makes the crons on record those that this code defines."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError
from django.db import router

from django_scheduler.conf import get_settings
from django_scheduler.crons import Cron, reconcile
from django_scheduler.databases import database_for
from django_scheduler.management.arguments import known_database
from django_scheduler.management.command import SchedulerCommand, refusing_what_is_wrong


class Command(SchedulerCommand):
    help = (
        "Makes the crons that this version of the code defines those in force: adds, changes and removes. Executors do"
        " that by themselves when they start with new definitions; a deploy or a rollback that runs this need not wait"
        " for them."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--database", metavar="ALIAS", help="the database whose crons are meant")

    @refusing_what_is_wrong("Crons cannot be put into force")
    def handle(self, *, database: str | None, **options: Any) -> None:
        using = known_database(database or router.db_for_write(Cron))
        if not get_settings().CRONS:
            self.stdout.write("Crons are switched off here: DJANGO_SCHEDULER['CRONS'] is False.")
            return
        changes = reconcile.impose(database_for(using))
        if not changes:
            self.stdout.write("The crons are as the code defines them.")
        for what, names in changes:
            for name in names:
                self.stdout.write(f"{what}: {name}")
        if changes.taken or changes.invalid:
            raise CommandError("Some crons that the code defines are not in force.")
