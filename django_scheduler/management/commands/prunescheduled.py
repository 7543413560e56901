"""``manage.py prunescheduled`` deletes what has finished long ago."""

from argparse import ArgumentParser
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from itertools import chain
from typing import Any

from django.core.management.base import CommandError
from django.db import router

from django_scheduler.databases import Database, database_for
from django_scheduler.management.arguments import duration, known_database, written
from django_scheduler.management.command import SchedulerCommand, refusing_what_is_wrong
from django_scheduler.management.progress import show_bar
from django_scheduler.models import ScheduledFunction
from django_scheduler.record import RetentionRule, delete_ended_batches, deletion, retention_rules


class Command(SchedulerCommand):
    help = (
        "Deletes functions that have finished: succeeded, failed or been canceled; and batches that have. Executors do"
        " it by themselves when RETENTION has passed, or a retention= of the function's own; this does it now, or for"
        " what is younger. Each transaction deletes few."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--older-than",
            type=duration,
            metavar="DURATION",
            help="delete what has finished longer ago than that, such as 12h or 30d, except functions whose own"
            " retention= is longer (default: RETENTION, or that retention=)",
        )
        parser.add_argument("--database", metavar="ALIAS", help="the database to delete from")

    @refusing_what_is_wrong("Functions cannot be deleted")
    def handle(self, *, older_than: timedelta | None, database: str | None, verbosity: int, **options: Any) -> None:
        using = known_database(database or router.db_for_write(ScheduledFunction))
        there, found = database_for(using), retention_rules(older_than)
        if not found:
            raise CommandError(
                "Nothing expires, because DJANGO_SCHEDULER['RETENTION'] is None. Say what to delete: --older-than=30d."
            )
        deleted, kept = self._delete(there, found, show_progress=verbosity > 0 and self.stderr.isatty())
        delete_ended_batches(there, older_than)
        if verbosity:
            self.stdout.write(f"Deleted {deleted:,} functions {_which(found)}.")
            for reason, number in kept.items():
                self.stdout.write(f"Kept {number:,} that cannot be deleted: {reason}.")

    def _delete(
        self, database: Database, rules: Sequence[RetentionRule], *, show_progress: bool
    ) -> tuple[int, Counter[str]]:
        expected = sum(rule.rows(database).count() for rule in rules) if show_progress else 0
        deleted, kept = 0, Counter[str]()
        for portion in chain.from_iterable(rule.delete(database) for rule in rules):
            deleted += portion.deleted
            kept = deletion.added([kept, portion.kept])
            if show_progress:
                show_bar(self.stderr, deleted, max(expected, deleted))
        if show_progress:
            self.stderr.write("")
        return deleted, kept


def _which(found: Sequence[RetentionRule]) -> str:
    said = [f"that had finished more than {written(rule.after)} ago" for rule in found if rule.names is None]
    if len(said) < len(found):
        said.append("whose own retention had passed")
    return ", or ".join(said)
