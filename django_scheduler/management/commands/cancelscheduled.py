"""``manage.py cancelscheduled`` cancels scheduled functions from the command line."""

from argparse import ArgumentParser
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.core.management.base import CommandError
from django.db import router

from django_scheduler.context import ctx
from django_scheduler.databases import portions
from django_scheduler.errors import SchedulerError
from django_scheduler.functions import registry
from django_scheduler.management.arguments import known_database, moment, written_time
from django_scheduler.management.command import SchedulerCommand, refusing_what_is_wrong
from django_scheduler.management.values import read_arguments
from django_scheduler.models import LARGEST_ID, ScheduledFunction
from django_scheduler.scheduling import InterventionResult, cancellation, choosing
from django_scheduler.suggestions import did_you_mean
from django_scheduler.values import short_repr

#: What has become of a function that was not canceled.
NOT_CANCELED = {
    InterventionResult.FINISHED: "has finished already",
    InterventionResult.GONE: "is not on record: it never existed, or ended so long ago that it has been deleted",
}


class Command(SchedulerCommand):
    help = (
        "Cancels scheduled functions: those with these ids, or those of a function, of a time or with certain"
        " arguments. It asks first. What is pending never runs; a mutation that is executing is rolled back on"
        " PostgreSQL, and ends first on other databases; an action that is executing goes on, but what it schedules"
        " from then on is canceled. The exit code is 1 if one of the ids could not be canceled."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("ids", nargs="*", default=[], metavar="ID", help="the ids of scheduled functions")
        parser.add_argument("--function", metavar="NAME", help='only those of this function: "<app_label>:<name>"')
        parser.add_argument(
            "--args",
            nargs="+",
            action="extend",
            default=[],
            dest="arguments",
            metavar="NAME=VALUE",
            help="only those whose arguments of these names have these values, which are read as schedule reads them",
        )
        parser.add_argument(
            "--due-after", type=moment, metavar="TIME", help="only those that are due at this time or later"
        )
        parser.add_argument(
            "--due-before", type=moment, metavar="TIME", help="only those that are due before this time"
        )
        parser.add_argument(
            "--no-input", "--noinput", action="store_false", dest="interactive", help="do not ask, just cancel"
        )
        parser.add_argument("--database", metavar="ALIAS", help="the database to cancel in")

    @refusing_what_is_wrong("Functions cannot be canceled")
    def handle(
        self,
        *,
        ids: list[str],
        function: str | None,
        arguments: list[str],
        due_after: datetime | None,
        due_before: datetime | None,
        interactive: bool,
        database: str | None,
        **options: Any,
    ) -> None:
        using = known_database(database or router.db_for_write(ScheduledFunction))
        by_condition = bool(function is not None or arguments or due_after or due_before)
        if bool(ids) == by_condition:
            raise CommandError(
                "Say which functions to cancel: their ids, or --function, --args, --due-after and --due-before"
                + (", but not both." if ids else ".")
            )
        if ids:
            self._cancel_each(using, sorted({_id(text) for text in ids}), interactive)
        else:
            self._cancel_all(using, function, arguments, due_after, due_before, interactive)

    def _cancel_each(self, using: str, ids: list[int], interactive: bool) -> None:
        self._confirm(f"{len(ids):,} scheduled functions", interactive)
        results: dict[int, InterventionResult] = {}
        for portion in portions(ids):
            results |= cancellation.cancel_each(using, portion)
        for function_id, result in results.items():
            if result in NOT_CANCELED:
                self.stderr.write(self.style.ERROR(f"{function_id} {NOT_CANCELED[result]}."))
        counts = Counter(results.values())
        said = [f"Canceled {counts[InterventionResult.DONE]:,} functions."]
        if already := counts[InterventionResult.CANCELED]:
            said.append(f"Canceled already: {already:,}.")
        self.stdout.write(" ".join(said))
        if left := sum(counts[result] for result in NOT_CANCELED):
            raise CommandError(f"{left:,} of {len(ids):,} functions could not be canceled.")

    def _cancel_all(
        self,
        using: str,
        function: str | None,
        arguments: Sequence[str],
        start: datetime | None,
        end: datetime | None,
        interactive: bool,
    ) -> None:
        known = None if function is None else registry.find(function)
        try:
            args = read_arguments(known, arguments, using) or None
            if interactive:
                chosen = choosing.choose(using, function=function, start=start, end=end, args=args)
                number = sum(len(ids) for ids in chosen.ids())
                self._confirm(" ".join([f"{number:,} unfinished functions", *_which(function, args, start, end)]))
            canceled = ctx.scheduler.using(using).cancel_all(function, start=start, end=end, args=args)
        except SchedulerError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"Canceled {canceled:,} functions.")
        if not canceled and function is not None and known is None and not _is_on_record(using, function):
            hint = did_you_mean(function, [each.name for each in registry]) or " Check the name."
            raise CommandError(f"Nothing is named {function!r}, neither in the code nor on record.{hint}")

    def _confirm(self, what: str, interactive: bool = True) -> None:
        """Ask whether to go on. Raises ``CommandError`` if not, or if nobody can be asked."""
        if not interactive:
            return
        try:
            answer = input(f"This cancels {what}. Type 'yes' to go on: ")
        except EOFError:
            raise CommandError("Nothing was canceled, because nobody can be asked here: pass --no-input.") from None
        if answer.strip() != "yes":
            raise CommandError("Nothing was canceled.")


def _is_on_record(using: str, name: str) -> bool:
    return ScheduledFunction.objects.using(using).filter(name=name).exists()


def _id(text: str) -> int:
    if not (text.isascii() and text.isdecimal()) or len(text) > 19 or int(text) > LARGEST_ID:
        raise CommandError(f"{text!r} is not the id of a scheduled function. The functions of a name: --function=NAME.")
    return int(text)


def _which(
    function: str | None, args: Mapping[str, object] | None, start: datetime | None, end: datetime | None
) -> Iterator[str]:
    """Say in words which functions are meant."""
    if function is not None:
        yield f"of {function}"
    if args:
        yield f"with {', '.join(f'{name}={short_repr(value)}' for name, value in args.items())}"
    if start is not None:
        yield f"that are due at {written_time(start)} or later"
    if end is not None:
        yield f"{'and' if start is not None else 'that are due'} before {written_time(end)}"
