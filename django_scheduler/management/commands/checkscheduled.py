"""``manage.py checkscheduled`` checks before a deploy that this code can execute everything that is pending."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError
from django.db import router

from django_scheduler.management.arguments import known_database
from django_scheduler.management.command import SchedulerCommand, refusing_what_is_wrong
from django_scheduler.models import ScheduledFunction
from django_scheduler.record import check_pending_calls


class Command(SchedulerCommand):
    help = (
        "Checks that this code can execute everything that is pending: that each function exists, and that its stored"
        " arguments can be restored and fit its signature. Lists what cannot be executed, and exits with 1, otherwise."
        " Nothing is executed and nothing is changed."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--database", metavar="ALIAS", help="the database whose functions are checked")

    @refusing_what_is_wrong("What is pending cannot be checked")
    def handle(self, *args: Any, database: str | None, **options: Any) -> None:
        findings = check_pending_calls(known_database(database or router.db_for_write(ScheduledFunction)))
        for problem in findings.listed():
            self.stdout.write(str(problem))
        if findings.wrong_count:
            raise CommandError(
                f"{findings.wrong_count:,} of {findings.looked_at:,} pending functions cannot be executed by this code."
                " Restore what they need (name= keeps an old name, a default makes a new argument optional), or cancel"
                " them."
            )
        self.stdout.write(f"This code can execute all of the {findings.looked_at:,} pending functions.")
