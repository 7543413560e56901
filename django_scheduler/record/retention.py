"""Retention: functions that ended long ago are deleted, the oldest first, 1,000 in a transaction.

Functions whose decorator has a ``retention=`` stay on record for that long, and all others for as long as the setting
``RETENTION`` says. The index of what has ended is in the order of its times, so those that stay longer lie where one
that has expired is looked for. So an executor reads them once: it then begins where it has come to, and from the
beginning only once an hour, for what it may have missed (a transaction that was open for very long).

A function that this code does not know stays as long as the setting says. One that a slot of a limit names stays as
long as the executor that has executed it is on record.

Keys are deleted as soon as nobody holds them: the functions that they refer to have ended, or are gone. Whoever
schedules with a key locks it, so it is looked at again once it is locked here, and passed over while somebody else has
it. Likewise slots of limits, which are inserted when they are missed: those that no action has taken since they were
looked at, and that no mutation has locked.
"""

import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Event

from django.db import transaction
from django.db.models import QuerySet

from django_scheduler.conf import get_settings
from django_scheduler.databases import Database, LookedAtSlot
from django_scheduler.functions import LONGEST_WINDOW, NOT_GIVEN, registry, without_values
from django_scheduler.models import UNFINISHED, Batch, Executor, Key, ScheduledFunction, Slot
from django_scheduler.record import deletion
from django_scheduler.record.deletion import ROWS_PER_TRANSACTION, Portion
from django_scheduler.transactions import DoublingWait

#: So that retention never takes the database for itself.
SECONDS_BETWEEN_TRANSACTIONS = 0.1

#: For how long nothing is deleted after some rows could not be, at first and at most, in seconds. Each such row costs
#: about two transactions that fail.
FIRST_WAIT, LONGEST_WAIT = 120.0, 3_600.0

#: For how long it is not looked again if nothing had expired: at most, and as a share of the shortest retention. Each
#: look makes a connection. Keys, slots and batches are looked through so seldom, too.
LONGEST_REST, SHARE = timedelta(minutes=10), 0.1

#: After how long it is looked from the beginning again, in seconds.
FROM_BEGINNING = 3_600.0


@dataclass(frozen=True, slots=True)
class RetentionRule:
    """Says which functions expire how long after their end."""

    after: timedelta
    #: Only those of these names; ``None``: all.
    names: tuple[str, ...] | None = None
    #: Not those of these names.
    besides: tuple[str, ...] = ()

    def rows(self, database: Database, since: datetime | None = None) -> QuerySet[ScheduledFunction]:
        """Return what has expired, by the clock that says what is due; ``since``: only what ended then or later."""
        rows = ScheduledFunction.objects.using(database.using).filter(completed_time__lt=database.ago(self.after))
        if since is not None:
            rows = rows.filter(completed_time__gte=since)
        if self.names is not None:
            rows = rows.filter(name__in=self.names)
        # The body of one that was canceled may go on, and has the slot of its limit as long as it is on record.
        here = Executor.objects.using(database.using).values("pk")
        holders = Slot.objects.using(database.using).filter(function__isnull=False, executor__in=here)
        rows = rows.exclude(pk__in=holders.values("function_id"))
        return rows.exclude(name__in=self.besides) if self.besides else rows

    @property
    def passes_over_some(self) -> bool:
        """Return whether what ended as long ago may stay."""
        return self.names is not None or bool(self.besides)

    def delete(self, database: Database, since: datetime | None = None) -> Iterator[Portion]:
        """Delete what has expired, and yield what became of the rows of each transaction."""
        return deletion.delete(database, self.rows(database, since), by="completed_time")


def retention_rules(instead: timedelta | None = None) -> list[RetentionRule]:
    """Return which functions expire when, those that stay longest first.

    ``instead``: nothing expires earlier than that, and what has no retention of its own expires then, whatever the
    setting says.
    """
    setting = get_settings().RETENTION if instead is None else instead
    names: dict[timedelta | None, list[str]] = {}
    for function in registry:
        own = function.retention
        if own is not NOT_GIVEN:
            after = own if own is None or instead is None else max(own, instead)
            if after != setting:
                names.setdefault(after, []).extend(function.names)
    found = [RetentionRule(after, tuple(sorted(of_it))) for after, of_it in names.items() if after is not None]
    if setting is not None:
        found.append(RetentionRule(setting, besides=tuple(sorted(name for of_it in names.values() for name in of_it))))
    return sorted(found, key=lambda rule: rule.after, reverse=True)


class Retention:
    """Deletes keys that nobody holds, idle slots, and what has expired.

    It rests if nothing had expired, and longer each time that it could not delete everything.
    """

    def __init__(self, database: Database, stopping: Event) -> None:
        self._database = database
        self._stopping = stopping
        self._waits = DoublingWait(first=FIRST_WAIT, longest=LONGEST_WAIT)
        self._not_before = self._keys_not_before = float("-inf")
        #: Since when what has ended may have expired and not have been seen, and when these are forgotten.
        self._since: dict[RetentionRule, datetime] = {}
        self._from_beginning_at = float("-inf")

    def delete(self) -> None:
        """Delete what may be deleted, if it is time."""
        if time.monotonic() >= self._keys_not_before:
            self._keys_not_before = time.monotonic() + LONGEST_REST.total_seconds()
            delete_unheld_keys(self._database, self._stopping)
            delete_idle_slots(self._database, self._stopping)
            delete_ended_batches(self._database)
        if time.monotonic() >= self._not_before:
            self._delete_expired()

    def _delete_expired(self) -> None:
        if time.monotonic() >= self._from_beginning_at:
            self._since = {}
            self._from_beginning_at = time.monotonic() + FROM_BEGINNING
        expired = delete_expired(self._database, self._stopping, self._since)
        if expired.kept:
            self._not_before = time.monotonic() + self._waits.next()
            return
        self._waits.reset()
        if not expired.deleted:
            self._not_before = time.monotonic() + _rest().total_seconds()


def _rest() -> timedelta:
    return min([LONGEST_REST, *(SHARE * rule.after for rule in retention_rules())])


def delete_expired(database: Database, stopping: Event, since: dict[RetentionRule, datetime] | None = None) -> Portion:
    """Delete everything that has expired, log what cannot be deleted, and return how many.

    ``since``: where to begin, which is changed to where to begin the next time.
    """
    portions: list[Portion] = []
    for rule in retention_rules():
        if stopping.is_set():
            break
        portions += _delete(database, rule, stopping, {} if since is None else since)
    deletion.warn_of_kept("functions", portions)
    kept = deletion.added([portion.kept for portion in portions])
    return Portion(sum(portion.deleted for portion in portions), kept)


def _delete(
    database: Database, rule: RetentionRule, stopping: Event, since: dict[RetentionRule, datetime]
) -> list[Portion]:
    come_to = database.current_time() - rule.after if rule.passes_over_some else None
    portions = []
    for portion in rule.delete(database, since.pop(rule, None)):
        portions.append(portion)
        if stopping.wait(SECONDS_BETWEEN_TRANSACTIONS):
            return portions
    if come_to is not None and not any(portion.kept for portion in portions):
        since[rule] = come_to
    return portions


def delete_ended_batches(database: Database, instead: timedelta | None = None) -> None:
    """Delete the rows of batches that ended longer ago than the setting ``RETENTION`` says, or ``instead`` of it."""
    after = get_settings().RETENTION if instead is None else instead
    if after is not None:
        ended = Batch.objects.using(database.using).filter(completed_time__lt=database.ago(after))
        deletion.warn_of_kept("batches", list(deletion.delete(database, ended, by="completed_time")))


def delete_unheld_keys(database: Database, stopping: Event) -> int:
    """Delete the rows of keys that nobody holds, and return how many they were."""
    deleted, last = 0, ""
    keys = Key.objects.using(database.using)
    while True:
        found = list(
            keys.filter(name__gt=last).order_by("name").values_list("name", "function__state")[:ROWS_PER_TRANSACTION]
        )
        if names := [name for name, state in found if state not in UNFINISHED]:
            deleted += _delete_if_unheld(database, names)
        if len(found) < ROWS_PER_TRANSACTION or stopping.wait(SECONDS_BETWEEN_TRANSACTIONS):
            return deleted
        last = found[-1][0]


def _delete_if_unheld(database: Database, names: Collection[str]) -> int:
    keys = Key.objects.using(database.using).filter(name__in=names)
    with transaction.atomic(using=database.using):
        locked = database.locking(database.by_primary_key(keys), skip_locked=True, strongest=True)
        holders = dict(locked.values_list("name", "function_id"))
        functions = ScheduledFunction.objects.using(database.using).filter(pk__in=set(holders.values()) - {None})
        unfinished = set(functions.filter(database.is_in_state(*UNFINISHED)).values_list("pk", flat=True))
        unheld = [name for name, function_id in holders.items() if function_id not in unfinished]
        return keys.filter(name__in=unheld).delete()[0]


def delete_idle_slots(database: Database, stopping: Event) -> int:
    """Delete the slots that nobody has and nobody waits for, and return how many they were."""
    deleted = last = 0
    windows = {name: rate_limit.window for name, rate_limit in registry.rate_limits().items()}
    while True:
        found = database.look_at_slots(last, most=ROWS_PER_TRANSACTION)
        if idle := {slot.id: slot.taken for slot in found if _is_idle(slot, windows)}:
            deleted += _delete_if_idle(database, idle)
        if len(found) < ROWS_PER_TRANSACTION or stopping.wait(SECONDS_BETWEEN_TRANSACTIONS):
            return deleted
        last = found[-1].id


def _is_idle(slot: LookedAtSlot, windows: Mapping[str, timedelta]) -> bool:
    """Return whether nobody needs a slot: nobody waits for it, and no body has it, or has begun with it lately.

    ``windows``: how long that is, by the names of rate limits; others may be those of other code.
    """
    if slot.is_needed or slot.age is None:
        return not slot.is_needed
    return slot.age > windows.get(without_values(slot.limit), LONGEST_WINDOW).total_seconds()


def _delete_if_idle(database: Database, idle: Mapping[int, int]) -> int:
    """Delete those of the slots that were not taken again; ``idle``: by their ids, how often they had been taken."""
    slots = Slot.objects.using(database.using).filter(pk__in=idle)
    with transaction.atomic(using=database.using):
        locked = database.locking(database.by_primary_key(slots), skip_locked=True, strongest=True)
        unchanged = [slot_id for slot_id, taken in locked.values_list("pk", "taken") if taken == idle[slot_id]]
        return database.delete(Slot, unchanged) if unchanged else 0
