"""Reconciliation: the crons on record become those that the code defines, and the newest code wins.

During a deploy two versions of the code run at once, and executors of either may start, crash and be started again, in
any order. If each of them put its own definitions into force, crons would be added and removed in turns, and changed
schedules would go back and forth. Nothing tells two processes which of them is newer: the clocks of hosts differ, and
version control is not at hand. But the database remembers what it has seen before.

A *release* is the set of definitions that a version of the code has, known by its fingerprint. Versions with the same
definitions are one release, and need nothing. One release is in force. The rules:

* A release that has never been in force is new, so it takes over at once: that is a deploy.
* A release that was in force before, and was replaced, is old: its executors change nothing. They come from a deploy
  that is going on, or from a crash during one.
* Unless the code has been rolled back, which shows in this: the release in force has had no living executor for
  ``SETTLING``. (Executors record every minute that they are alive. A restart takes less than ``SETTLING``, and so does
  the time from ``synccrons`` to the first executor.) Executors check that every minute, because when the old version
  starts, the new one may still be stopping.
* ``manage.py synccrons`` says "this is the code": its release takes over at once, whatever was seen before.

The invariant: as long as the definitions in force have a living executor, no other release that has ever been in force
replaces them by itself. So A, B, A, B never happens unless somebody runs ``synccrons``: all that an executor does by
itself is to bring a new release into force, once, or to take over from a release without executors.

Races. A process first makes its release known, in a transaction of its own. Then it locks all releases, in one order,
and decides. Of two processes that decide, one made its release known later, so it sees the other one's row, and both
lock that row: one of them decides first, and the second one on the basis of what the first one has done. A process that
dies in between leaves a release that is known and was never in force: the next process of the same code takes over.

Executors whose release is not in force still fire the crons that they can (see ``firing.py``), so that nothing is
missed during a deploy. A function that they do not know, or whose parameters have changed, they leave to newer
executors. A cron that is no longer in the code is paused and marked, not deleted: its history stays, a rollback brings
it back, and it does not run meanwhile. Pauses by people outlive all of this.

What is not covered: arguments that differ from process to process (``date=timezone.now()`` evaluated at import, or an
environment variable) make each process a new release. And a version so old that this database has never seen its
release is taken for new when it is started after the new one.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models.functions import Coalesce

from django_scheduler.crons import definitions
from django_scheduler.crons.definitions import Definition
from django_scheduler.crons.models import Cron, CronRelease, Origin, lock
from django_scheduler.databases import Database
from django_scheduler.record import wakeup
from django_scheduler.values import in_one_order

#: For how long no executor of the release in force has been alive before another release takes over.
SETTLING = timedelta(minutes=5)

#: How long a release is remembered whose executors are gone.
MEMORY = timedelta(days=366)

MOMENT = timedelta(microseconds=1)


@dataclass(slots=True)
class Changes:
    """Holds the names of the crons that a reconciliation has changed, and of those that it could not change."""

    added: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    restored: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    #: Not added, because a cron was registered at run time under the same name.
    taken: list[str] = field(default_factory=list)
    #: Not added or changed, because ``manage.py check`` finds something wrong with them.
    invalid: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return any(names for _, names in self)

    def __iter__(self) -> Iterator[tuple[str, list[str]]]:
        """Yield what has happened, in words, with the names to which it has happened."""
        yield "added", self.added
        yield "changed", self.changed
        yield "restored", self.restored
        yield "no longer in the code", self.removed
        yield "not added, because one was registered at run time under that name", self.taken
        yield "invalid, see manage.py check", self.invalid


def impose(database: Database) -> Changes:
    """Put the definitions of this process into force, whatever is in force now."""
    own = _make_known(database)
    with transaction.atomic(using=database.using):
        return _put_into_force(database, own, _in_force(_releases_locked(database)))


def adopt(database: Database) -> Changes | None:
    """Put the definitions of this process into force if they are new, or the release in force has no executors left.

    Returns ``None`` if they are not in force.
    """
    own = _make_known(database)
    with transaction.atomic(using=database.using):
        releases = _releases_locked(database)
        current = _in_force(releases)
        is_new = all(each.in_force_time is None for each in releases if each.fingerprint == own)
        if current is None or current.fingerprint == own or is_new or _is_abandoned(database, current):
            return _put_into_force(database, own, current)
        return None


def adopt_what_is_missing(database: Database) -> None:
    """Adopt the definitions of this process if one of them is not on record, because no executor has done so yet."""
    defined = {definition.name for definition in _valid_definitions()}
    known = Cron.objects.using(database.using).filter(name__in=defined).values_list("name", flat=True)
    if defined and not defined <= set(known):
        adopt(database)


def record_as_alive(database: Database) -> None:
    """Record that an executor with the definitions of this process is alive."""
    CronRelease.objects.using(database.using).filter(pk=fingerprint()).update(alive_time=database.now())


def is_in_force(database: Database) -> bool:
    """Return whether the definitions of this process are in force."""
    current = _in_force(CronRelease.objects.using(database.using).all())
    return current is None or current.fingerprint == fingerprint()


def fingerprint() -> str:
    """Return what the release of this process is known by: a hash of its definitions."""
    definitions = {definition.name: in_one_order(definition.columns()) for definition in _valid_definitions()}
    return hashlib.sha256(json.dumps(definitions, sort_keys=True, default=str).encode()).hexdigest()


def differing(columns: Mapping[str, Any], existing: Mapping[str, Any]) -> set[str]:
    """Return which of the columns of a cron are others than those of an existing one, and mean something else."""
    return {name for name, value in columns.items() if in_one_order(existing[name]) != in_one_order(value)}


def _make_known(database: Database) -> str:
    """Record the release of this process, and return its fingerprint."""
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
        # Later than that of the previous release, even if the clock was set back.
        after = now if current is None or current.in_force_time is None else current.in_force_time + MOMENT
        releases = CronRelease.objects.using(database.using)
        releases.filter(pk=own).update(in_force_time=max(now, after), alive_time=now)
        _forget_old_releases(database, now, own)
    changes = _apply(database, now)
    if changes:
        wakeup.send_after_commit(database.using)
    return changes


def _forget_old_releases(database: Database, now: datetime, own: str) -> None:
    last_known = Coalesce("alive_time", "first_seen_time")
    releases = CronRelease.objects.using(database.using).exclude(pk=own)
    releases.alias(last_known=last_known).filter(last_known__lt=now - MEMORY).delete()


def _apply(database: Database, now: datetime) -> Changes:
    """Have the crons on record become those that this process defines."""
    changes = Changes()
    valid = _valid_definitions()
    changes.invalid = sorted({str(each.name) for each in definitions.defined_crons} - {each.name for each in valid})
    # Names are unique regardless of case. Crons of the code come last, so that they are found.
    crons = sorted(Cron.objects.using(database.using), key=lambda cron: cron.origin == Origin.CODE)
    existing = {cron.name.casefold(): cron for cron in crons}
    for definition in valid:
        cron = existing.pop(definition.name.casefold(), None)
        if cron is None:
            definition.new_cron(Origin.CODE, now).save(using=database.using, force_insert=True)
            changes.added.append(definition.name)
        elif cron.origin != Origin.CODE:
            changes.taken.append(definition.name)
        else:
            _update(database, cron, definition, now, changes)
    for cron in existing.values():
        if cron.origin == Origin.CODE and cron.removed_time is None and cron.name not in changes.invalid:
            removed = _locked(database, cron)
            removed.removed_time, removed.next_time = now, None
            removed.save(using=database.using)
            changes.removed.append(cron.name)
    return changes


def _update(database: Database, cron: Cron, definition: Definition, now: datetime, changes: Changes) -> None:
    columns = definition.columns()
    others = differing(columns, vars(cron))
    was_removed = cron.removed_time is not None
    if not others and not was_removed:
        return
    cron = _locked(database, cron)
    cron.removed_time = None
    cron.set_columns({name: columns[name] for name in others}, now)  # it has no next time if it was removed
    cron.save(using=database.using)
    (changes.restored if was_removed else changes.changed).append(cron.name)


def _locked(database: Database, cron: Cron) -> Cron:
    """Lock a cron that changes, and return it as it is now. No more is locked: others lock crons in any order."""
    locked = lock(database, pk=cron.pk)
    if locked is None:
        raise Cron.DoesNotExist(f"The cron {cron.name!r} was deleted while it was reconciled. Try again.")
    return locked


def _valid_definitions() -> list[Definition]:
    """Return the definitions of this process that have no problem, and a name that no other one has."""
    names = Counter(str(definition.name).casefold() for definition in definitions.defined_crons)
    return [each for each in definitions.defined_crons if not each.problems() and names[each.name.casefold()] == 1]
