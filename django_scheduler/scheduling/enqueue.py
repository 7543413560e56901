"""Scheduling: a call is checked, bound, encoded and counted first, and only then written."""

import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import Any, Protocol

from django.db import connections, transaction
from django.utils import timezone

from django_scheduler import values
from django_scheduler.conf import get_settings
from django_scheduler.databases import Database, NewRows, database_for, django_internals
from django_scheduler.errors import ArgumentsTooLarge, InvalidArguments
from django_scheduler.functions import AnyFunction, AnyReference, Function, resolve_to_schedule
from django_scheduler.models import ScheduledFunctionId, State
from django_scheduler.scheduling import cancellation, commit_hook
from django_scheduler.scheduling.commit_hook import BULK, ONE_BY_ONE, Limit
from django_scheduler.scheduling.running import Running, request_context
from django_scheduler.telemetry import tracing, warn

ROWS_PER_STATEMENT = 1_000

#: A function that is due later than this plus the poll interval wakes nobody: executors look in time by themselves. A
#: minute is far longer than they sleep by default, and than the clocks of two hosts should differ.
SOON = timedelta(minutes=1)

#: MariaDB takes no statement of over 16 MiB, unless it is configured to.
BYTES_PER_STATEMENT = 4 * 1024 * 1024

#: From so many bytes on the arguments of a function are large: the database is asked how much it takes.
LARGE = 256 * 1024

#: The modules through which a call comes here.
MODULES_BETWEEN = ("django_scheduler.", "django.tasks.", "asgiref.", "asyncio.", "concurrent.futures.")

#: What was logged once, and for which places in the code.
_warned_of: set[tuple[str, str]] = set()


class Fleet(Protocol):
    """Hands what is due at once to the workers of another system (scheduled in bulk: by ``runscheduler``)."""

    def time_to_begin(self) -> timedelta:
        """Return how long a function may take to begin before it is due again."""
        ...

    def hand_over_after_commit(self, using: str, ids: Iterable[int], function: AnyFunction) -> None:
        """Hand functions over once the transaction that is open has committed."""


_fleet: Fleet | None = None


def hand_over_to(fleet: Fleet | None) -> None:
    """Have functions that are due at once executed by a fleet from now on, or with ``None`` by executors."""
    global _fleet
    _fleet = fleet


def schedule(
    using: str,
    caller: Running | None,
    time: timedelta | datetime,
    function: AnyReference,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> ScheduledFunctionId:
    """Schedule one function after a delay or at a time."""
    # Asked here first, so that a call does not enter the registry: tests/executor/files_entered.py counts files.
    target = function if isinstance(function, Function) and function.is_discovered else resolve_to_schedule(function)
    arguments = values.dump_arguments(target.name, target.bind(args, kwargs))
    (function_id,) = _enqueue(using, caller, time, target, [arguments], ONE_BY_ONE)
    return function_id


def schedule_many(
    using: str,
    caller: Running | None,
    time: timedelta | datetime,
    function: AnyReference,
    arguments: Iterable[Mapping[str, Any]],
) -> list[ScheduledFunctionId]:
    """Schedule a function once for each mapping of arguments, all of them or none."""
    target = resolve_to_schedule(function)
    texts = []
    for position, keywords in enumerate(arguments):
        if not isinstance(keywords, dict | Mapping):  # the first is found out in a tenth of the time
            raise InvalidArguments(
                f"{target.name} is scheduled in bulk with one dict of arguments each, not with"
                f" {type(keywords).__name__} (at position {position})."
            )
        try:
            texts.append(values.dump_arguments(target.name, target.bind((), dict(keywords))))
        except InvalidArguments as error:
            raise InvalidArguments(f"{error} (at position {position})") from error
    return _enqueue(using, caller, time, target, texts, BULK) if texts else []


def _enqueue(
    using: str,
    caller: Running | None,
    time: timedelta | datetime,
    function: AnyFunction,
    arguments: list[str],
    limits: tuple[Limit, Limit],
) -> list[ScheduledFunctionId]:
    """Count the calls against the limits of the transaction, insert their rows, and announce them."""
    if caller is not None:
        caller.require_transaction(using, f"schedule {function.name}")
    hook = commit_hook.count(using, limits, len(arguments), sum(map(len, arguments)), function.name)
    parent = caller.function_id if caller and caller.using == using else None
    context = current_context(caller)
    state = State.CANCELED if caller and cancellation.is_canceled(caller) else State.PENDING
    # What is scheduled in bulk is not sent here: sending each of many thousands would keep the caller waiting.
    fleet = _fleet if _fleet and state is State.PENDING and limits is ONE_BY_ONE and _is_due(time) else None
    with _traced(function, len(arguments)) if tracing.tracer else tracing.UNTRACED as trace_context:
        rows = NewRows(
            name=function.name,
            kind=function.kind,
            state=state,
            queue=function.queue,
            priority=function.priority,
            time=time,
            parent_id=parent,
            context=context,
            hand_over=fleet.time_to_begin() if fleet else None,
            trace_context=trace_context,
        )
        ids = insert(using, rows, arguments)
    commit_hook.announce(using, hook, rows, ids, wake=fleet is None and _is_soon(time))
    if fleet is not None:
        fleet.hand_over_after_commit(using, ids, function)
    if hook is None:
        _warn_of_other_transactions(using, function.name)
    return ids


def current_context(caller: Running | None) -> str | None:
    """Return what is known of the request that has caused the caller, or that is being served now, as JSON."""
    if caller is not None and caller.function_id is not None:
        return caller.scheduling_context
    tell = request_context.get()
    return tell() if tell is not None else None


def _traced(function: AnyFunction, number: int) -> AbstractContextManager[str | None]:
    return tracing.scheduling(name=function.name, kind=function.kind.value, queue=function.queue, number=number)


def insert(using: str, rows: NewRows, arguments: list[str]) -> list[ScheduledFunctionId]:
    """Write a row for each of the arguments, or none, of whatever number and size.

    Raises ``ArgumentsTooLarge`` if those of one row are more than the database takes in a statement.
    """
    database = database_for(using)
    _refuse_too_large(database, rows.name, max(arguments, key=len))
    if len(arguments) == 1:
        return database.insert(rows, arguments)
    first, *others = _in_statements(arguments)
    if not others:
        return database.insert(rows, first)
    with transaction.atomic(using=using):
        return [function_id for statement in (first, *others) for function_id in database.insert(rows, statement)]


def _refuse_too_large(database: Database, name: str, largest: str) -> None:
    """Refuse what the database would refuse by ending the connection, and with it the transaction."""
    if len(largest) < LARGE:
        return
    limit = database.largest_statement(database.connection)
    escaped = len(largest) + sum(map(largest.count, "\\\"'"))
    if limit is not None and escaped + LARGE > limit:
        raise ArgumentsTooLarge(
            f"{name} was not scheduled: its arguments are {len(largest):,} bytes of JSON, and the database"
            f" {database.using!r} takes {limit:,} bytes in a statement (max_allowed_packet). Store the data, and pass"
            " what it can be found by."
        )


def _in_statements(arguments: list[str]) -> Iterator[list[str]]:
    statement: list[str] = []
    size = 0
    for text in arguments:
        if statement and (len(statement) == ROWS_PER_STATEMENT or size + len(text) > BYTES_PER_STATEMENT):
            yield statement
            statement, size = [], 0
        statement.append(text)
        size += len(text)
    yield statement


def _warn_of_other_transactions(using: str, function_name: str) -> None:
    """Log a call that has taken effect at once although a transaction is open, if only in other databases.

    It is logged once for each place in the code, because code that does so does it every time.
    """
    if django_internals.is_in_transaction(connections[using]):
        return
    opened = filter(django_internals.is_in_transaction, connections.all(initialized_only=True))
    if others := ", ".join(repr(connection.alias) for connection in opened):
        place = place_to_warn_of("another database's transaction")
        if place is not None:
            warn(
                "%s was scheduled at once, by %s, although a transaction is open on %s: no transaction is open on %r,"
                " where it was written, so it stays if the open one is rolled back. Open one there as well, with"
                " atomic(using=%r), or schedule in the other database, with ctx.scheduler.using(). This is logged once"
                " for each place in the code.",
                function_name,
                place,
                others,
                using,
                using,
            )


def place_to_warn_of(problem: str) -> str | None:
    """Return the file and the line from which this package was called; ``None`` if it was warned of that already."""
    frame = sys._getframe()
    while frame.f_back and frame.f_globals.get("__name__", "").startswith(MODULES_BETWEEN):
        frame = frame.f_back
    place = f"{frame.f_code.co_filename}:{frame.f_lineno}"
    if (problem, place) in _warned_of:
        return None
    _warned_of.add((problem, place))
    return place


def _is_due(time: timedelta | datetime) -> bool:
    return time <= timedelta(0) if isinstance(time, timedelta) else time <= timezone.now()


def _is_soon(time: timedelta | datetime) -> bool:
    """Return whether it may be due before executors have looked by themselves."""
    delay = time if isinstance(time, timedelta) else time - timezone.now()
    return delay < SOON + (get_settings().POLL_INTERVAL or timedelta(0))
