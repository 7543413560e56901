"""``manage.py prunescheduled`` deletes what has finished long ago."""

from argparse import ArgumentParser
from collections import Counter
from datetime import timedelta
from typing import Any

from django.core.management.base import CommandError
from django.db import router

from django_scheduler.conf import get_settings
from django_scheduler.databases import database_for
from django_scheduler.management.arguments import duration, known_database, written
from django_scheduler.management.command import SchedulerCommand, refusing_what_is_wrong
from django_scheduler.management.progress import show_bar
from django_scheduler.models import ScheduledFunction
from django_scheduler.record import completed_before, delete_completed_before, deletion


class Command(SchedulerCommand):
    help = (
        "Deletes functions that have finished: succeeded, failed or been canceled. Executors do it by themselves when"
        " RETENTION has passed; this does it now, or for what is younger. Each transaction deletes few."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--older-than",
            type=duration,
            metavar="DURATION",
            help="delete what has finished longer ago than that, such as 12h or 30d (default: RETENTION)",
        )
        parser.add_argument("--database", metavar="ALIAS", help="the database to delete from")

    @refusing_what_is_wrong("Functions cannot be deleted")
    def handle(self, *, older_than: timedelta | None, database: str | None, verbosity: int, **options: Any) -> None:
        using = known_database(database or router.db_for_write(ScheduledFunction))
        ago = get_settings().RETENTION if older_than is None else older_than
        if ago is None:
            raise CommandError(
                "Nothing expires, because DJANGO_SCHEDULER['RETENTION'] is None. Say what to delete: --older-than=30d."
            )
        deleted, kept = self._delete(using, ago, show_progress=verbosity > 0 and self.stderr.isatty())
        if verbosity:
            self.stdout.write(f"Deleted {deleted:,} functions that had finished more than {written(ago)} ago.")
            for reason, number in kept.items():
                self.stdout.write(f"Kept {number:,} that cannot be deleted: {reason}.")

    def _delete(self, using: str, ago: timedelta, *, show_progress: bool) -> tuple[int, Counter[str]]:
        there = database_for(using)
        expected = completed_before(there, ago).count() if show_progress else 0
        deleted, kept = 0, Counter[str]()
        for portion in delete_completed_before(there, ago):
            deleted += portion.deleted
            kept = deletion.added([kept, portion.kept])
            if show_progress:
                show_bar(self.stderr, deleted, max(expected, deleted))
        if show_progress:
            self.stderr.write("")
        return deleted, kept
