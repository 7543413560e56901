"""What a reconciliation changes: the crons on record become those that this process defines.

Reconciliation: the crons on record become those that the code defines, and the newest code wins.

During a deploy two versions of the code run at once, and executors of either may start, crash and be started again, in
any order. Were each of them to impose its own definitions, a cron would be added and removed in turns, and changed
schedules would flap. Nothing tells two processes which of them is newer: host clocks differ, and version control is
not there. But the database remembers what it has seen before.

A *release* is the set of definitions that a version of the code has, known by its fingerprint; versions with the same
definitions are one release, and need nothing. One release is in force. The rules:

* A release that has never been in force is new, so it takes over at once: that is a deploy.
* One that was in force before, and was replaced, is old: its executors leave everything alone. They come from a
  deploy that is going on, or from a crash in the midst of it.
* Unless the code has been rolled back: no executor of the release in force has been alive for as long as ``SETTLING``.
  (Executors sign every minute. A restart takes less, and so does the time from ``synccrons`` to the first executor.)
  Executors look for that every minute, because when the old version starts, the new one may still be stopping.
* ``manage.py synccrons`` says "this is the code": its release takes over at once, whatever was seen before.

The invariant: as long as the definitions in force have a living executor, no other release that has ever been in force
replaces them by itself. So A, B, A, B never happens without somebody who says so: the only thing that an executor does
by itself is to bring a new release, once, or to take over from nobody.

Races. A process first makes its release known, in a transaction of its own; then it locks all releases, in one order,
and decides. Of two processes that decide, one made its release known later, so it sees the other one's row, and both
lock that row: one of them decides first, the second one by what the first one has left. A process that dies in between
leaves a release that is known and was never in force: the next process of the same code takes over in its place.

Executors that do not have the release in force still fire the crons that they can (see ``firing.py``), so that nothing
is missed while a deploy goes on. A function that they do not know, or whose parameters have changed, they leave to the
newer ones. What no longer is in the code is paused and marked, not deleted: its history stays, a rollback brings it
back, and nothing runs meanwhile. Pauses by people outlive all of this.

What is not covered: arguments that differ from process to process (``date=timezone.now()`` evaluated at import, or an
environment variable) make each process a new release. And a version so old that its release was never seen by this
database is taken for new, when it is started after the new one for the first time.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.db import transaction
from django.db.models.functions import Coalesce

from django_scheduler.crons.definitions import Definition, defined_crons
from django_scheduler.crons.models import Cron, CronRelease, Origin, columns_of, lock_patiently
from django_scheduler.crons.preview import first_slot, next_slot
from django_scheduler.databases import Database
from django_scheduler.scheduling import wakeup

_SCHEDULE = ("every", "line", "timezone")


@dataclass(slots=True)
class Changes:
    """The names of the crons that a reconciliation has changed, and those that it could not."""

    added: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    restored: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    #: Registered at run time under the same name.
    taken: list[str] = field(default_factory=list)
    #: Defined wrongly, as ``manage.py check`` says.
    invalid: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return any(names for _, names in self)

    def __iter__(self) -> Iterator[tuple[str, list[str]]]:
        yield "added", self.added
        yield "changed", self.changed
        yield "restored", self.restored
        yield "no longer in the code", self.removed
        yield "not added, because one was registered at run time under that name", self.taken
        yield "invalid, see manage.py check", self.invalid


def apply(database: Database, now: datetime) -> Changes:
    """Within the transaction of a reconciliation: the crons on record become those that this process defines."""
    changes = Changes()
    valid = valid_definitions()
    changes.invalid = sorted({str(each.name) for each in defined_crons} - {each.name for each in valid})
    # Some databases do not tell upper from lower case. Those of the code last, so that they are found.
    crons = sorted(Cron.objects.using(database.using), key=lambda cron: cron.origin == Origin.CODE)
    existing = {cron.name.casefold(): cron for cron in crons}
    for definition in valid:
        cron = existing.pop(definition.name.casefold(), None)
        if cron is None:
            _add(database, definition, now)
            changes.added.append(definition.name)
        elif cron.origin != Origin.CODE:
            changes.taken.append(definition.name)
        else:
            _update(database, cron, definition, now, changes)
    for cron in existing.values():
        if cron.origin == Origin.CODE and cron.removed_time is None and cron.name not in changes.invalid:
            _remove(database, cron, now)
            changes.removed.append(cron.name)
    return changes


def _add(database: Database, definition: Definition, now: datetime) -> None:
    Cron.objects.using(database.using).create(
        name=definition.name,
        origin=Origin.CODE,
        anchor=now,
        creation_time=now,
        next_time=first_slot(definition.schedule(), now),
        **columns_of_definition(definition),
    )


def _update(database: Database, cron: Cron, definition: Definition, now: datetime, changes: Changes) -> None:
    columns = {"name": definition.name, **columns_of_definition(definition)}
    differing = {name for name, value in columns.items() if not _is_same(getattr(cron, name), value)}
    was_removed = cron.removed_time is not None
    if not differing and not was_removed:
        return
    cron = _locked(database, cron)
    for name in differing:
        setattr(cron, name, columns[name])
    cron.removed_time = None
    if cron.paused_time is None and (was_removed or differing & set(_SCHEDULE)):
        cron.next_time = next_slot(cron, now)
    cron.save(using=database.using)
    (changes.restored if was_removed else changes.changed).append(cron.name)


def _remove(database: Database, cron: Cron, now: datetime) -> None:
    cron = _locked(database, cron)
    cron.removed_time = now
    cron.next_time = None
    cron.save(using=database.using)


def _locked(database: Database, cron: Cron) -> Cron:
    """The cron as it is now. Only what changes is locked, because others may have locked crons in any order."""
    return lock_patiently(database, pk=cron.pk).get()


def valid_definitions() -> list[Definition]:
    """Those without a problem, and with a name that no other one has."""
    names = Counter(str(definition.name).casefold() for definition in defined_crons)
    return [each for each in defined_crons if not each.problems() and names[each.name.casefold()] == 1]


def columns_of_definition(definition: Definition) -> dict[str, Any]:
    """Of ``Cron``."""
    return {
        "function": definition.target().name,
        "args": _in_order(definition.stored_args()),
        **columns_of(definition.schedule()),
    }


def _is_same(one: object, other: object) -> bool:
    return bool(_in_order(one) == _in_order(other))


def _in_order(value: Any) -> Any:
    """The same JSON, with sets in one order: two processes may have written them in different ones."""
    if isinstance(value, list):
        return [_in_order(item) for item in value]
    if not isinstance(value, dict):
        return value
    ordered = {key: _in_order(item) for key, item in sorted(value.items())}
    for key in ("$set", "$frozenset"):
        if isinstance(ordered.get(key), list):
            ordered[key] = sorted(ordered[key], key=lambda item: json.dumps(item, sort_keys=True))
    return ordered


#: How long no executor of the release in force is there before another one takes over.
SETTLING = timedelta(minutes=5)

#: How long a release is remembered whose executors are gone.
MEMORY = timedelta(days=366)

MOMENT = timedelta(microseconds=1)


def impose(database: Database) -> Changes:
    """Make this process's definitions those in force, whatever is in force now."""
    own = _make_known(database)
    with transaction.atomic(using=database.using):
        return _put_into_force(database, own, _in_force(_releases_locked(database)))


def adopt(database: Database) -> Changes | None:
    """Make them those in force if they are new, or nobody is left who has those that are; ``None``: they are not."""
    own = _make_known(database)
    with transaction.atomic(using=database.using):
        releases = _releases_locked(database)
        current = _in_force(releases)
        is_new = all(each.in_force_time is None for each in releases if each.fingerprint == own)
        if current is None or current.fingerprint == own or is_new or _is_abandoned(database, current):
            return _put_into_force(database, own, current)
        return None


def sign(database: Database) -> None:
    """Let others know that an executor with the definitions of this process is alive."""
    CronRelease.objects.using(database.using).filter(pk=fingerprint()).update(alive_time=database.now())


def is_in_force(database: Database) -> bool:
    """Whether the definitions of this process are those in force."""
    current = _in_force(CronRelease.objects.using(database.using).all())
    return current is None or current.fingerprint == fingerprint()


def fingerprint() -> str:
    """Of the definitions that this process has."""
    text = json.dumps(
        {definition.name: columns_of_definition(definition) for definition in valid_definitions()},
        sort_keys=True,
        default=str,
    )
    return hashlib.sha256(text.encode()).hexdigest()


def _make_known(database: Database) -> str:
    own = fingerprint()
    CronRelease.objects.using(database.using).get_or_create(
        fingerprint=own, defaults={"first_seen_time": database.current_time()}
    )
    return own


def _releases_locked(database: Database) -> list[CronRelease]:
    return list(CronRelease.objects.using(database.using).select_for_update().order_by("pk"))


def _in_force(releases: Iterable[CronRelease]) -> CronRelease | None:
    been = [(release.in_force_time, release.pk, release) for release in releases if release.in_force_time is not None]
    return max(been)[2] if been else None


def _is_abandoned(database: Database, release: CronRelease) -> bool:
    return release.alive_time is None or release.alive_time < database.current_time() - SETTLING


def _put_into_force(database: Database, own: str, current: CronRelease | None) -> Changes:
    now = database.current_time()
    if current is None or current.pk != own:
        # After the one before, also if the clock was set back.
        after = now if current is None or current.in_force_time is None else current.in_force_time + MOMENT
        releases = CronRelease.objects.using(database.using)
        releases.filter(pk=own).update(in_force_time=max(now, after), alive_time=now)
        _forget_old_releases(database, now, own)
    changes = apply(database, now)
    if changes:
        transaction.on_commit(partial(wakeup.send, database.using), using=database.using, robust=True)
    return changes


def _forget_old_releases(database: Database, now: datetime, own: str) -> None:
    last_known = Coalesce("alive_time", "first_seen_time")
    releases = CronRelease.objects.using(database.using).exclude(pk=own)
    releases.alias(last_known=last_known).filter(last_known__lt=now - MEMORY).delete()
