"""``manage.py schedule`` schedules a function from the command line."""

from argparse import ArgumentParser
from datetime import datetime, timedelta
from typing import Any

from django.core.management.base import CommandError
from django.db import router

from django_scheduler.context import ctx
from django_scheduler.databases import limit_browsing
from django_scheduler.errors import SchedulerError
from django_scheduler.functions import resolve_to_schedule
from django_scheduler.management.arguments import duration, known_database, moment, written_time
from django_scheduler.management.command import SchedulerCommand, refusing_what_is_wrong
from django_scheduler.management.values import read_arguments
from django_scheduler.models import ScheduledFunction


class Command(SchedulerCommand):
    help = (
        "Schedules a function, to run at once, after a while or at a time. Its arguments are read as the annotations of"
        " its parameters say: text, numbers, dates, durations such as 7d, members of enums, primary keys of model"
        " instances, lists and dicts as JSON. What has no annotation is JSON or, if it is none, text."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("function", help='which function: "<app_label>:<name>"')
        parser.add_argument("arguments", nargs="*", default=[], metavar="NAME=VALUE", help="its arguments")
        when = parser.add_mutually_exclusive_group()
        when.add_argument(
            "--after", type=duration, metavar="DURATION", help="run it after this time, such as 90s, 12h, 7d or 1d12h"
        )
        when.add_argument(
            "--at",
            type=moment,
            metavar="TIME",
            help="run it at this time: 2026-12-01T08:00, in the time zone of the site, or with an offset, such as"
            " 2026-12-01T08:00+01:00",
        )
        parser.add_argument("--database", metavar="ALIAS", help="the database to schedule it in")

    @refusing_what_is_wrong("The function cannot be scheduled")
    def handle(
        self,
        *,
        function: str,
        arguments: list[str],
        after: timedelta | None,
        at: datetime | None,
        database: str | None,
        **options: Any,
    ) -> None:
        using = known_database(database or router.db_for_write(ScheduledFunction))
        scheduler = ctx.scheduler.using(using)
        try:
            target = resolve_to_schedule(function)
            values = read_arguments(target, arguments, using)
            if at is None:
                function_id = scheduler.run_after(after or timedelta(0), target, **values)
            else:
                function_id = scheduler.run_at(at, target, **values)
        except SchedulerError as error:
            raise CommandError(str(error)) from error
        rows = ScheduledFunction.objects.using(using).only("state", "due_time", "waits_for", "waiting_since")
        # An executor may have found it due by now, and its limit without a slot.
        due = limit_browsing.due_time_of(rows.get(pk=function_id))
        self.stdout.write(f"Scheduled {target.name} {function_id}, due {written_time(due)}.")
