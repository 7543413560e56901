"""``manage.py checkscheduled`` checks before a deploy that this code can execute everything that is pending."""

from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

from django.core.management.base import CommandError
from django.db import router

from django_scheduler.crons import Cron, Origin
from django_scheduler.management.arguments import known_database
from django_scheduler.management.command import SchedulerCommand, refusing_what_is_wrong
from django_scheduler.models import ScheduledFunction
from django_scheduler.record import CallCheck, check_callbacks, check_pending_calls


class Command(SchedulerCommand):
    help = (
        "Checks that this code can execute everything that is pending, the callbacks of what has not ended, and what"
        " crons that were registered at run time schedule: that each function exists, and that its stored arguments can"
        " be restored and fit its signature. Lists what cannot be executed, and exits with 1, otherwise. Nothing is"
        " executed and nothing is changed."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--database", metavar="ALIAS", help="the database whose functions are checked")

    @refusing_what_is_wrong("What is pending cannot be checked")
    def handle(self, *args: Any, database: str | None, **options: Any) -> None:
        using = known_database(database or router.db_for_write(ScheduledFunction))
        findings, crons = check_pending_calls(using), list(_crons_that_cannot_run(using))
        of_functions, of_batches = check_callbacks(using)
        for problem in [*findings.listed(), *of_functions.listed(), *of_batches.listed(), *crons]:
            self.stdout.write(str(problem))
        said = []
        if findings.wrong_count:
            said.append(
                f"{findings.wrong_count:,} of {findings.looked_at:,} pending functions cannot be executed by this code."
                " Restore what they need (aliases= keeps an old name, a default makes a new argument optional), or"
                " cancel them."
            )
        if callbacks := of_functions.wrong_count + of_batches.wrong_count:
            said.append(
                f"{callbacks:,} of {of_functions.looked_at + of_batches.looked_at:,} callbacks of what has not ended"
                " cannot be executed by this code. Restore what they need."
            )
        if crons:
            said.append(
                f"{len(crons):,} of the crons that were registered at run time cannot be scheduled by this code."
                " Restore what they need, or change them."
            )
        if said:
            raise CommandError(" ".join(said))
        self.stdout.write(
            f"This code can execute all of the {findings.looked_at:,} pending functions, their callbacks, and what"
            " the crons schedule that were registered at run time."
        )


def _crons_that_cannot_run(using: str) -> Iterator[str]:
    """Say why crons cannot be scheduled by this code. Those that code defines are checked where they are defined."""
    calls, crons = CallCheck(), Cron.objects.using(using).filter(origin=Origin.RUN_TIME).order_by("name")
    for name, function, args in crons.values_list("name", "function", "args").iterator(chunk_size=2_000):
        if reason := calls.what_is_wrong(function, args):
            yield f"The cron {name!r}: {reason}"
