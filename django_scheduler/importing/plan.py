"""A plan says what is to be done about each entry, and why; only ``apply`` changes anything.

Importing twice does no more than importing once. A cron is known by its name: one that is there and says the same is
left alone, and one that says something else is somebody's own work, so it is reported. What runs once is scheduled
with a key that names its row and its time, and the key stays on record with it, also when it has run. Its time is
computed from the source alone, and what lies in the past is not scheduled, so it does not matter how long records are
kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NotRequired, TypedDict

from django.db import transaction
from django.utils import timezone

from django_scheduler.context import ctx
from django_scheduler.crons import Cron, Schedule, definitions, reconcile
from django_scheduler.errors import InvalidArguments, SchedulerError
from django_scheduler.functions import AnyFunction
from django_scheduler.importing.entries import Entry, LeftOut, Read, Refusal, Refused
from django_scheduler.importing.named_functions import NamedFunctions
from django_scheduler.models import ScheduledFunction
from django_scheduler.times import in_utc, parse_time
from django_scheduler.values import short_repr


class CallOptions(TypedDict):
    key: str
    expires: NotRequired[timedelta | datetime]


@dataclass(frozen=True, slots=True)
class Importable:
    """Is an entry with the function and the arguments that it has here."""

    entry: Entry
    function: AnyFunction
    arguments: dict[str, object]
    #: What is not carried over, in sentences.
    notes: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.entry.name

    @property
    def options(self) -> CallOptions:
        """Return the options with which that is scheduled which runs once."""
        assert isinstance(self.entry.when, datetime)
        options: CallOptions = {"key": f"{self.entry.id} at {in_utc(self.entry.when).isoformat()}"}
        if self.entry.expires is not None:
            options["expires"] = self.entry.expires
        return options


@dataclass(frozen=True, slots=True)
class There:
    """Is an entry that was imported before, or that the code has defined since."""

    name: str

    def __str__(self) -> str:
        return f"{self.name!r} is here already."


Step = Importable | There | LeftOut | Refused


@dataclass(frozen=True, slots=True)
class Plan:
    #: ``"celery"``, ``"django-celery-beat"`` or ``"django-q2"``.
    source: str
    steps: tuple[Step, ...]

    @property
    def importable(self) -> list[Importable]:
        return [step for step in self.steps if isinstance(step, Importable)]


def make_plan(source: str, entries: Iterable[Read], functions: NamedFunctions, using: str, now: datetime) -> Plan:
    """Say what is to be done about each entry, in the database of that alias."""
    return Plan(source, tuple(_steps(entries, functions, using, now)))


def apply(plan: Plan, using: str) -> None:
    """Register and schedule what a plan has, all of it or, if an error is raised, nothing."""
    with transaction.atomic(using=using):
        for step in plan.importable:
            when = step.entry.when
            if isinstance(when, datetime):
                _schedule_once(step, when, using)
                continue
            ctx.crons.using(using).register(step.name, when, step.function, **step.arguments)
            if step.entry.paused:
                ctx.crons.using(using).pause(
                    step.name, f"It was disabled in {plan.source}, from where it was imported."
                )


def _schedule_once(step: Importable, when: datetime, using: str) -> None:
    key = step.options["key"]
    scheduler = ctx.scheduler.using(using).options(**step.options).options(key=lambda **_: key)
    # In bulk, because a whole table may be more than a transaction may schedule one by one.
    scheduler.run_at_many(when, step.function, [step.arguments])


def _steps(entries: Iterable[Read], functions: NamedFunctions, using: str, now: datetime) -> Iterator[Step]:
    known = dict(_known_crons(using))
    for read in entries:
        if not isinstance(read, Entry):
            yield read
            continue
        try:
            function = functions.find(read.task)
            arguments = _bound(function, read)
            step = Importable(read, function, arguments, tuple(_notes(read, function)))
            if isinstance(read.when, datetime):
                yield _step_of_call(step, read.when, using, now)
            else:
                columns = definitions.Definition(read.name, read.when, function, (), arguments).columns()
                yield _step_of_cron(step, columns, known.get(read.name.casefold()))
                known.setdefault(read.name.casefold(), columns)
        except (Refusal, SchedulerError) as error:
            yield Refused(read.name, str(error))


def _bound(function: AnyFunction, entry: Entry) -> dict[str, object]:
    try:
        return function.bind(entry.args, entry.kwargs)
    except InvalidArguments as error:
        takes_names = all(each.kind is each.KEYWORD_ONLY for each in function.signature.parameters.values())
        if entry.args and takes_names:
            raise Refusal(
                f"{error} There, arguments are given by position ({short_repr(entry.args)}), and the function takes"
                " them by name: give their names there, or remove the * from its parameters."
            ) from error
        raise


def _known_crons(using: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the columns of each cron that there is, on record or in the code, by its name regardless of case."""
    for cron in Cron.objects.using(using):
        yield cron.name.casefold(), vars(cron)
    for definition in definitions.defined_crons:
        if not definition.problems():
            yield definition.name.casefold(), definition.columns()


def _step_of_cron(step: Importable, columns: Mapping[str, Any], existing: Mapping[str, Any] | None) -> Step:
    if existing is None:
        return step
    if existing.get("removed_time"):
        return Refused(
            step.name,
            f"The cron {existing['name']!r} is on record, paused, because it is no longer in the code. Put it back, or"
            " delete it: ctx.crons.delete().",
        )
    if not (differing := reconcile.differing(columns, existing)):
        return There(step.name)
    return Refused(
        step.name,
        f"There is a cron {existing['name']!r} already, with another {' and another '.join(sorted(differing))}. Change"
        " that one, or rename one of the two.",
    )


def _step_of_call(step: Importable, when: datetime, using: str, now: datetime) -> Step:
    definitions.stored_args(step.function, (), step.arguments)
    parse_time(when)
    ctx.scheduler.options(**step.options)  # raises what apply() would
    key = step.options["key"]
    scheduled = ScheduledFunction.objects.using(using).filter(name__in=step.function.names, key=key)
    if scheduled.exists():
        return There(step.name)
    if when <= now:
        raise Refusal(
            f"It was to run once, at {timezone.localtime(when).isoformat(sep=' ', timespec='minutes')}, and is not"
            f" known to have run. If it is still to run: manage.py schedule {step.function.name}, with its arguments."
        )
    return step


def _notes(entry: Entry, function: AnyFunction) -> Iterator[str]:
    """Yield what is not carried over, of an entry that runs this function."""
    if entry.queue is not None and entry.queue != function.queue:
        yield (
            f"its queue {entry.queue!r} is not carried over: the function says it (queue=), and {function.name} has"
            f" {function.queue!r}."
        )
    if isinstance(entry.when, Schedule) and entry.expires is not None and entry.expires != function.expires:
        yield f"its expires of {entry.expires} is not carried over: the function says it (expires=)."
    yield from entry.notes
