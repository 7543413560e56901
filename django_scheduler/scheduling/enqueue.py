"""Scheduling: a call is checked, bound, encoded and counted first, and only then written."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Protocol

from django.db import connections
from django.utils import timezone

from django_scheduler import values
from django_scheduler.conf import get_settings
from django_scheduler.databases import NewRows, database_for, django_internals
from django_scheduler.errors import InvalidArguments, InvalidSchedule
from django_scheduler.functions import AnyFunction, AnyReference, Function, resolve_to_schedule
from django_scheduler.models import Kind, ScheduledFunctionId, State
from django_scheduler.record import FollowedFunction, Outcome, follow
from django_scheduler.scheduling import cancellation, commit_hook, keys, middleware_chain
from django_scheduler.scheduling.batches import Membership
from django_scheduler.scheduling.commit_hook import BULK, ONE_BY_ONE, CommitHook, TransactionQuota
from django_scheduler.scheduling.options import NO_OPTIONS, CallOptions
from django_scheduler.scheduling.running import Running, request_context
from django_scheduler.telemetry import warn
from django_scheduler.transactions import in_transaction

#: A function that is due later than this plus the poll interval wakes nobody: executors look in time by themselves. A
#: minute is far longer than they sleep by default, and than the clocks of two hosts should differ.
SOON = timedelta(minutes=1)

#: The modules through which a call comes here.
MODULES_BETWEEN = ("django_scheduler.", "django.tasks.", "asgiref.", "asyncio.", "concurrent.futures.")

#: What was logged once, and for which places in the code.
_warned_of: set[tuple[str, str]] = set()


class Fleet(Protocol):
    """Hands what is due at once to the workers of another system (scheduled in bulk: by ``runscheduler``)."""

    def time_to_begin(self) -> timedelta:
        """Return how long a function may take to begin before it is due again."""
        ...

    def hand_over_after_commit(self, using: str, ids: Iterable[int], rows: NewRows) -> None:
        """Hand functions over, which have this in common, once the transaction that is open has committed."""


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
    options: CallOptions = NO_OPTIONS,
) -> ScheduledFunctionId:
    """Schedule one function after a delay or at a time."""
    # Asked here first, so that a call does not enter the registry: tests/executor/files_entered.py counts files.
    target = function if isinstance(function, Function) and function.is_discovered else resolve_to_schedule(function)
    bound = target.bind(args, kwargs)
    arguments = values.dump_arguments(target.name, bound)
    call_keys = None if options.key is None else options.keys_of(target.name, [bound])
    (function_id,) = _enqueue(using, caller, time, target, [arguments], ONE_BY_ONE, options, call_keys)
    return function_id


def schedule_many(
    using: str,
    caller: Running | None,
    time: timedelta | datetime,
    function: AnyReference,
    arguments: Iterable[Mapping[str, Any]],
    options: CallOptions = NO_OPTIONS,
) -> list[ScheduledFunctionId]:
    """Schedule a function once for each mapping of arguments, all of them or none."""
    target = resolve_to_schedule(function)
    if isinstance(options.key, str):
        raise InvalidSchedule(
            f"{target.name} was not scheduled: in bulk, key= is a callable that is given the arguments of each call by"
            f" name and returns its key, not {options.key!a} for all of them."
        )
    if isinstance(arguments, Mapping | str | bytes) or not isinstance(arguments, Iterable):
        raise InvalidArguments(
            f"{target.name} was not scheduled: in bulk it takes a list of dicts of arguments, one for each call, not"
            f" {values.short_repr(arguments)}."
        )
    texts: list[str] = []
    calls: list[Mapping[str, object]] = []
    for position, keywords in enumerate(arguments):
        if not isinstance(keywords, dict | Mapping):  # the first is found out in a tenth of the time
            raise InvalidArguments(
                f"{target.name} is scheduled in bulk with one dict of arguments each, not with"
                f" {type(keywords).__name__} (at position {position})."
            )
        try:
            bound = target.bind((), dict(keywords))
            texts.append(values.dump_arguments(target.name, bound))
        except InvalidArguments as error:
            raise InvalidArguments(f"{error} (at position {position})") from error
        if options.key is not None:
            calls.append(bound)
    call_keys = None if options.key is None else options.keys_of(target.name, calls)
    return _enqueue(using, caller, time, target, texts, BULK, options, call_keys) if texts else []


def _enqueue(
    using: str,
    caller: Running | None,
    time: timedelta | datetime,
    function: AnyFunction,
    arguments: list[str],
    quotas: tuple[TransactionQuota, TransactionQuota],
    options: CallOptions,
    call_keys: Sequence[str] | None,
) -> list[ScheduledFunctionId]:
    """Say what the calls have in common, count them, insert a row for each of them, and have executors told.

    ``call_keys``: the key of each of them.
    """
    if caller is not None:
        caller.require_transaction(using, f"schedule {function.name}")
    if call_keys is not None and not django_internals.is_in_atomic_block(connections[using]):
        again = partial(_enqueue, using, caller, time, function, arguments, quotas, options, call_keys)
        ids = in_transaction(using, again)  # in which the key stays locked
        _warn_of_other_transactions(using, function.name)
        return ids
    rows = _rows_of(using, caller, time, function, options)
    rows.context = new_context(caller, rows.name, rows.kind, rows.queue, len(arguments))
    hook = commit_hook.count(using, quotas, len(arguments), sum(map(len, arguments)), rows.name)
    if caller is not None and cancellation.is_canceled(caller):
        rows.state = State.CANCELED
    fleet = _fleet_for(rows, quotas)
    if call_keys is not None and rows.state is State.PENDING:
        assert hook is not None
        return _schedule_with_keys(using, caller, function, rows, arguments, call_keys, options, hook, fleet)
    ids = insert(using, rows, arguments, options.batch)
    wake = rows.state is State.PENDING and fleet is None and _is_soon(time)
    commit_hook.tell_after_commit(using, hook, rows, ids, arguments, wake=wake)
    if fleet is not None:
        fleet.hand_over_after_commit(using, ids, rows)
    if hook is None:
        _warn_of_other_transactions(using, rows.name)
    return ids


def _rows_of(
    using: str, caller: Running | None, time: timedelta | datetime, function: AnyFunction, options: CallOptions
) -> NewRows:
    """Return what the rows of such calls have in common, by what the function declares and the options say."""
    queue, priority, callbacks = function.queue, function.priority, None
    expires: timedelta | datetime | None = function.expires
    if options is not NO_OPTIONS:
        queue, priority = options.queue_of(function), options.priority_of(function)
        expires, callbacks = options.expiry_of(function), options.stored_callbacks(function.name)
    if expires is not None:
        expires = _expiry(time, expires, function)
    if options.batch is not None:
        options.batch.require_open(using, function.name)
    return NewRows(
        name=function.name,
        kind=function.kind,
        state=State.PENDING,
        queue=queue,
        priority=priority,
        time=time,
        parent_id=caller.id_in(using) if caller else None,
        expires=expires,
        callbacks=callbacks,
        batch_id=options.batch.id if options.batch else None,
        fair_key=function.fair_key_in(queue),
        ordered_by=function.limit_of if function.keeps_order else None,
    )


def _fleet_for(rows: NewRows, quotas: tuple[TransactionQuota, TransactionQuota]) -> Fleet | None:
    """Return the fleet that is to execute the functions, if one is, and note that they are being handed over.

    What is scheduled in bulk is not sent here: sending each of many thousands would keep the caller waiting.
    """
    if _fleet is None or rows.state is State.CANCELED or quotas is not ONE_BY_ONE or not _is_due(rows.time):
        return None
    rows.hand_over = _fleet.time_to_begin()
    return _fleet


def insert(
    using: str, rows: NewRows, arguments: list[str], batch: Membership | None = None
) -> list[ScheduledFunctionId]:
    """Write the rows. Members of a batch, and functions that have ended already, are counted: all of it or none."""
    database = database_for(using)
    if rows.state is State.PENDING and batch is None:
        return database.insert(rows, arguments)

    def insert_and_count() -> list[ScheduledFunctionId]:
        ids = database.insert(rows, arguments)
        if batch is not None:
            batch.count(len(arguments), rows.name)
        if rows.state is State.CANCELED:
            name, known = rows.name, (rows.context, rows.callbacks, rows.batch_id)
            canceled = partial(Outcome, name=name, state=State.CANCELED.value)
            follow(database, [(FollowedFunction(each, name, 0, *known), canceled(id=each)) for each in ids])
        return ids

    return in_transaction(using, insert_and_count)


def _schedule_with_keys(
    using: str,
    caller: Running | None,
    function: AnyFunction,
    rows: NewRows,
    arguments: list[str],
    call_keys: Sequence[str],
    options: CallOptions,
    hook: CommitHook,
    fleet: Fleet | None,
) -> list[ScheduledFunctionId]:
    """Insert a row for each key with which none waits, leave or replace the others, and have executors told."""
    keyed = keys.schedule(
        using,
        caller,
        function,
        rows,
        arguments,
        call_keys,
        replaces=options.existing == "replace",
        max_wait=options.max_wait,
    )
    if keyed.inserted:
        wake = fleet is None and _is_soon(rows.time if rows.due is None else rows.due)
        commit_hook.tell_after_commit(using, hook, rows, keyed.inserted, arguments, wake=wake)
    # A replaced one may be due earlier than this call asks for, and one that stays was locked until now.
    if keyed.replaced or (keyed.due_time is not None and _is_soon(keyed.due_time)):
        commit_hook.wake(hook)
    if fleet is not None:
        fleet.hand_over_after_commit(using, [*keyed.inserted, *keyed.replaced], rows)
    return keyed.ids


def _expiry(time: timedelta | datetime, expires: timedelta | datetime, function: AnyFunction) -> timedelta | datetime:
    """Return when it expires, as ``time`` says when it is due. Raise ``InvalidSchedule`` if it could never begin."""
    if isinstance(expires, timedelta):
        return time + expires
    requested = timezone.now() + time if isinstance(time, timedelta) else time
    if expires < requested:
        raise InvalidSchedule(
            f"{function.name} was not scheduled: it would expire at {expires.isoformat()}, before it is due at"
            f" {requested.isoformat()}."
        )
    return expires


def new_context(caller: Running | None, name: str, kind: Kind, queue: str, number: int) -> str | None:
    """Return what so many calls of a function carry, as JSON: what is known by itself, and what middleware adds."""
    known, chain = current_context(caller), middleware_chain.chain or middleware_chain.make_chain()
    return chain.add_to(known, name, kind, queue, number) if chain.hooks else known


def current_context(caller: Running | None) -> str | None:
    """Return what the caller carries, or else what is known of the request that is being served now, as JSON."""
    if caller is not None and caller.function_id is not None:
        return caller.scheduling_context
    tell = request_context.get()
    return tell() if tell is not None else None


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
