"""What a reconciliation changes: the crons on record become those that this process defines."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django_scheduler.crons.calendar import first_slot, next_slot
from django_scheduler.crons.columns import columns_of
from django_scheduler.crons.definitions import Definition, definitions
from django_scheduler.crons.locking import lock_patiently
from django_scheduler.crons.models import Cron, Origin
from django_scheduler.databases import Database

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
    changes.invalid = sorted({str(each.name) for each in definitions} - {each.name for each in valid})
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
    names = Counter(str(definition.name).casefold() for definition in definitions)
    return [each for each in definitions if not each.problems() and names[each.name.casefold()] == 1]


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
