"""The commit hook counts what a transaction schedules against its quotas, and wakes the executors when it commits.

Django keeps an ``on_commit`` hook together with the savepoints in which it was registered, and drops it when
one of them is rolled back. So the hook is the counter: there is one for every nesting of savepoints in which
something was scheduled, and what the transaction has scheduled is the sum of those that are left. They share
one wake-up, which names the function if there is only one, and it is due at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from django_scheduler import signals
from django_scheduler.conf import get_settings
from django_scheduler.databases import DueFunction, NewRows, django_internals, due_function_of
from django_scheduler.errors import ArgumentsTooLarge, TooManyScheduled
from django_scheduler.models import ScheduledFunctionId
from django_scheduler.record import wakeup
from django_scheduler.telemetry import warn

WARN_ABOVE = 0.8

#: The time of what runs at once.
AT_ONCE = timedelta(0)


@dataclass(frozen=True, slots=True, eq=False)
class TransactionQuota:
    """Says how much one transaction may schedule: so many functions, or so many bytes of arguments."""

    setting: str
    unit: str
    error: type[Exception]
    #: Which quota is the one of bulk scheduling, where this is not it.
    bulk: TransactionQuota | None = None

    def check(self, before: int, after: int, function_name: str) -> None:
        """Raise the error if ``after`` is more than the quota, and warn when it comes near."""
        allowed: int = getattr(get_settings(), self.setting)
        if after > allowed:
            raise self.error(
                f"{function_name} was not scheduled: this transaction would have scheduled {after:,} {self.unit}, and"
                f" {allowed:,} are allowed (DJANGO_SCHEDULER[{self.setting!r}]). {self._advice()}"
            )
        if before <= allowed * WARN_ABOVE < after:
            warn(
                "One transaction has scheduled %s of the %s %s that it may (DJANGO_SCHEDULER[%r]), with %s.",
                f"{after:,}",
                f"{allowed:,}",
                self.unit,
                self.setting,
                function_name,
            )

    def _advice(self) -> str:
        split = "schedule in several transactions, or schedule one function that schedules the rest."
        if self.bulk is None:
            return split.capitalize()
        allowed = getattr(get_settings(), self.bulk.setting)
        return f"Use run_after_many or run_at_many, which may schedule {allowed:,} {self.unit}, {split}"


#: Of what is scheduled in bulk, and of what is scheduled one by one.
BULK = (
    TransactionQuota("MAX_BULK_SCHEDULED_PER_TRANSACTION", "functions", TooManyScheduled),
    TransactionQuota("MAX_BULK_ARGUMENT_BYTES_PER_TRANSACTION", "bytes of arguments", ArgumentsTooLarge),
)
ONE_BY_ONE = (
    TransactionQuota("MAX_SCHEDULED_PER_TRANSACTION", "functions", TooManyScheduled, BULK[0]),
    TransactionQuota("MAX_ARGUMENT_BYTES_PER_TRANSACTION", "bytes of arguments", ArgumentsTooLarge, BULK[1]),
)


@dataclass(slots=True, eq=False)
class WakeUp:
    """Is the one wake-up that the hooks of a transaction share."""

    using: str
    #: What was scheduled that is due soon; ``None``: not just one function that is due at once.
    soon: list[DueFunction | None] = field(default_factory=list)
    is_sent: bool = False

    def send(self) -> None:
        """Send the wake-up, when this is first called. It names the function if there is only one."""
        if not self.is_sent:
            self.is_sent = True
            wakeup.send(self.using, self.soon[0] if len(self.soon) == 1 else None)


@dataclass(slots=True, eq=False)
class CommitHook:
    """Counts what was scheduled in one nesting of savepoints, and tells of it after the commit."""

    savepoints: frozenset[str | None]
    wake_up: WakeUp
    wakes: bool = False
    #: What has been counted against each quota.
    scheduled: dict[TransactionQuota, int] = field(default_factory=dict)
    #: Each sends the signals of one call.
    signals: list[Callable[[], None]] = field(default_factory=list)

    def __call__(self) -> None:
        if self.wakes:
            self.wake_up.send()
        for send in self.signals:
            send()


def count(
    using: str,
    quotas: tuple[TransactionQuota, TransactionQuota],
    functions: int,
    argument_bytes: int,
    function_name: str,
) -> CommitHook | None:
    """Count what is about to be scheduled against the quotas of the open transaction, and return its hook.

    One that was begun by hand (``set_autocommit(False)``) outside of ``atomic`` runs no hooks, so there each call is
    counted alone.

    Raises ``TooManyScheduled`` or ``ArgumentsTooLarge``; then it has not been counted.
    """
    connection = connections[using]
    hooks = _hooks(connection)
    added = ((quotas[0], functions), (quotas[1], argument_bytes))
    for quota, number in added:
        before = sum([hook.scheduled.get(quota, 0) for hook in hooks])
        quota.check(before, before + number, function_name)
    if not django_internals.is_in_atomic_block(connection):
        return None
    hook = _hook_of_these_savepoints(connection, hooks)
    for quota, number in added:
        hook.scheduled[quota] = hook.scheduled.get(quota, 0) + number
    return hook


def share_wake_up(hooks: Iterable[object]) -> None:
    """Have these hooks send one wake-up, because their transactions have become one."""
    ours = [hook for hook in hooks if isinstance(hook, CommitHook)]
    for hook in ours:
        if hook.wake_up is not ours[0].wake_up:
            ours[0].wake_up.soon += hook.wake_up.soon
            hook.wake_up = ours[0].wake_up


def tell_after_commit(
    using: str,
    hook: CommitHook | None,
    rows: NewRows,
    ids: Sequence[ScheduledFunctionId],
    arguments: Sequence[str],
    *,
    wake: bool,
) -> None:
    """Wake the executors and send the signals, at once or when the transaction commits whose hook it is.

    ``wake=False``: executors need not look, because nothing is due soon. Where the transaction was begun by hand
    (``set_autocommit(False)``) outside of ``atomic``, Django runs no hooks: nobody is woken, and no signal is sent.
    """
    send = None
    if signals.function_scheduled.receivers:
        send = partial(signals.send_scheduled, rows.name, rows.kind, rows.queue, ids, using)
    due_function = None
    if len(ids) == 1 and rows.time == AT_ONCE:
        if rows.fair_key is None:
            due_function = DueFunction(ids[0], rows.priority, rows.queue)
        else:
            due_function = due_function_of(rows, ids, arguments)
    if hook is not None:
        if wake:
            hook.wakes = True
            hook.wake_up.soon.append(due_function)
        if send:
            hook.signals.append(send)
    elif connections[using].get_autocommit():
        if wake:
            wakeup.send(using, due_function)
        if send:
            send()


def wake(hook: CommitHook) -> None:
    """Wake the executors when the transaction commits whose hook it is: they have passed over what it has locked."""
    hook.wakes = True
    hook.wake_up.soon.append(None)


def _hooks(connection: BaseDatabaseWrapper) -> list[CommitHook]:
    return [hook for hook in django_internals.commit_hooks(connection) if isinstance(hook, CommitHook)]


def _hook_of_these_savepoints(connection: BaseDatabaseWrapper, hooks: list[CommitHook]) -> CommitHook:
    savepoints = frozenset(django_internals.savepoints(connection))
    for hook in hooks:
        if hook.savepoints == savepoints:
            return hook
    hook = CommitHook(savepoints, hooks[0].wake_up if hooks else WakeUp(connection.alias))
    connection.on_commit(hook, robust=True)
    return hook
