"""Limits: the page of a function says why it waits, and a page of their own shows what waits and what holds the slots.

A limit's text on record has the values that it is for, which are arguments of functions. So it is masked as these are:
under the names of the parameters, which only the code knows.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlencode

from django.db.models import QuerySet
from django.utils import timezone

from django_scheduler.admin.readable import plain
from django_scheduler.admin.visibility import is_everything
from django_scheduler.databases import Database, limit_browsing
from django_scheduler.functions import Concurrency, name_of_limit, registry
from django_scheduler.masking import BULLETS, masked
from django_scheduler.models import Kind, Limit, Pause, ScheduledFunction, Slot
from django_scheduler.status import executors
from django_scheduler.values import JSONValue

#: How many limits a page shows, how many that hold slots of each, and how many of one that has the page to itself.
PAGE_LINES, HOLDERS, MOST_HOLDERS = 25, 5, 200

#: How many limits that have slots are looked at for a page.
LOOKED_AT = 200

#: Counting what waits for one limit ends here.
COUNTED_TO = 1_000


@dataclass(frozen=True, slots=True)
class ShownLimit:
    """Is a limit as it may be read."""

    text: str
    #: As an address names it; empty if something of it is masked.
    address: str


@dataclass(frozen=True, slots=True)
class NamedLimit:
    """Says how many bodies of the limits of one name run at once."""

    name: str
    #: What the code says, and for the values of which parameters it is.
    declared: int | None
    parameters: tuple[str, ...]
    #: What somebody has set.
    changed: Limit | None

    @property
    def size(self) -> int | None:
        """Return how many bodies run at once; ``None``: nobody says."""
        is_set = self.changed is not None and self.changed.concurrency is not None
        return self.changed.concurrency if self.changed and is_set else self.declared


@dataclass(frozen=True, slots=True)
class LimitLine:
    """Says what waits for a limit, and what holds its slots."""

    limit: ShownLimit
    size: int | None
    #: How many slots actions hold, and the first of these.
    held: int
    holders: Sequence[Slot]
    #: How many slots executing mutations hold; ``None``: the database does not tell.
    locked: int | None
    #: Whether executing mutations may hold slots, and the database does not tell which.
    hides_mutations: bool
    #: How many functions wait, counted to one more than ``COUNTED_TO``, and since when.
    waiting: int
    since: datetime | None

    @property
    def running(self) -> int:
        return self.held + (self.locked or 0)

    @property
    def is_exceeded(self) -> bool:
        """Return whether more bodies run than the limit says by now."""
        return self.size is not None and self.running > self.size

    @property
    def is_more(self) -> bool:
        """Return whether more functions wait than were counted."""
        return self.waiting > COUNTED_TO

    @property
    def not_shown(self) -> int:
        """Return how many more actions hold slots."""
        return self.held - len(self.holders)


@dataclass(frozen=True, slots=True)
class LimitPage:
    """Holds some limits: those that functions wait for, then those whose slots are held, then others."""

    lines: Sequence[LimitLine]
    #: Where the next page begins; ``None``: there are no more.
    following: "Position | None" = None

    @property
    def hides_mutations(self) -> bool:
        """Return whether executing mutations may hold slots of one of them, and the database does not tell which."""
        return any(line.hides_mutations for line in self.lines)


@dataclass(frozen=True, slots=True)
class Position:
    """Says where a page of limits begins: behind one of those that functions wait for, or behind one of the others."""

    after: str = ""
    is_in_others: bool = False

    @property
    def address(self) -> str:
        """Return it as a query string."""
        return urlencode({"after": self.after, **({"others": "1"} if self.is_in_others else {})})


@dataclass(frozen=True, slots=True)
class FirstBefore:
    """Is the first function in the order of a limit of one: all that come behind it wait until it has begun."""

    function: ScheduledFunction
    is_paused: bool
    is_served: bool


@dataclass(frozen=True, slots=True)
class WhyItWaits:
    """Says for what a function waits."""

    line: LimitLine
    #: How many functions come before it, counted to one more than ``COUNTED_TO``.
    before: int
    #: The first of these, if the limit keeps an order.
    first: FirstBefore | None
    #: Whether what others do may be told.
    shows_everything: bool

    @property
    def is_more(self) -> bool:
        """Return whether more come before it than were counted."""
        return self.before > COUNTED_TO


def shown_limit(key: str) -> ShownLimit:
    """Return the limit of this text as it may be read, such as ``bank, account_id 7`` for ``bank [7]``."""
    name, blank, values = key.partition(" ")
    if not blank:
        return ShownLimit(key, key)
    read = _values(values)
    if read is None:  # they are so long that only their hash is on record
        return ShownLimit(f"{name}, {values[:9]}…", key)
    declaring = [
        (function.name, function.concurrency.parameters)
        for function in registry
        if function.concurrency is not None and function.limit_name == name
    ]
    if not declaring or any(len(parameters) != len(read) for _, parameters in declaring):
        return ShownLimit(f"{name}, {BULLETS}", "")  # what they are the values of is not known
    args: JSONValue = None
    for function, parameters in declaring:
        args = dict(zip(parameters, read, strict=True))
        shown = masked(function, args)
        if shown != args:
            return ShownLimit(f"{name}, {_in_words(shown)}", "")
    return ShownLimit(f"{name}, {_in_words(args)}", key)


def named_limits(database: Database) -> Iterator[NamedLimit]:
    """Yield the limits that the code declares, or that somebody has set, in the order of their names."""
    declared = registry.limits()
    changed = {limit.name: limit for limit in Limit.objects.using(database.using).order_by("pk")[:COUNTED_TO]}
    for name in sorted({*declared, *changed}):
        yield _named(name, declared, changed)


def limit_page(database: Database, position: Position) -> LimitPage:
    """Return limits from there on: first those that functions wait for, and then others that have slots."""
    if position.is_in_others:
        keys, following = _others(database, position.after, PAGE_LINES)
    else:
        keys = database.limits_waited_for(after=position.after, most=PAGE_LINES + 1)
        if len(keys) > PAGE_LINES:
            return LimitPage(_lines(database, keys[:PAGE_LINES], holders=HOLDERS), Position(keys[PAGE_LINES - 1]))
        others, following = _others(database, "", PAGE_LINES - len(keys))
        keys += others
    lines = _lines(database, keys, holders=HOLDERS)
    return LimitPage(sorted(lines, key=lambda line: (not line.waiting, not line.running)), following)


def _others(database: Database, after: str, number: int) -> tuple[list[str], Position | None]:
    """Return so many limits that have slots and that nothing waits for, and where there are more."""
    looked_at = limit_browsing.limits_with_slots(database, after=after, at_most=LOOKED_AT)
    found = [limit for limit, is_waited_for in looked_at.items() if not is_waited_for]
    if len(found) > number:
        return found[:number], Position(found[number - 1] if number else "", is_in_others=True)
    return found, Position([*looked_at][-1], is_in_others=True) if len(looked_at) == LOOKED_AT else None


def page_of_one(database: Database, limit: str) -> LimitPage:
    """Return one limit alone, with more of those that hold its slots."""
    return LimitPage(_lines(database, [limit], holders=MOST_HOLDERS))


def why_it_waits(
    database: Database, rows: QuerySet[ScheduledFunction], function: ScheduledFunction
) -> WhyItWaits | None:
    """Return for what a function waits; ``None`` if it does not wait for a limit."""
    if not limit_browsing.waits(function):
        return None
    key = function.waits_for or ""
    if not is_everything(rows):
        line = LimitLine(shown_limit(key), None, 0, (), None, False, 0, None)
        return WhyItWaits(line, 0, None, shows_everything=False)
    (line,) = _lines(database, [key], holders=HOLDERS)
    before = limit_browsing.count_before(database, function, count_to=COUNTED_TO + 1)
    declared = registry.limits().get(name_of_limit(key))
    keeps_order = declared is not None and declared.limit == 1
    first = _first_before(database, function) if before and keeps_order else None
    return WhyItWaits(line, before, first, shows_everything=True)


def _first_before(database: Database, function: ScheduledFunction) -> FirstBefore | None:
    first = limit_browsing.first_before(database, function)
    if first is None:
        return None
    is_paused = Pause.objects.using(database.using).filter(queue__in=(first.queue, Pause.EVERYTHING)).exists()
    is_served = any(executor.serves(first.queue) for executor in executors(database.using))
    return FirstBefore(first, is_paused, is_served)


def _lines(database: Database, keys: Sequence[str], *, holders: int) -> list[LimitLine]:
    names = {name_of_limit(key) for key in keys}
    changed = Limit.objects.using(database.using).in_bulk(names)
    held = limit_browsing.held_slots(database, keys, of_each=holders)
    locked = limit_browsing.count_locked(database, keys)
    waiting = limit_browsing.count_waiting(database, keys, count_to=COUNTED_TO + 1)
    declared, present = registry.limits(), timezone.now()
    none = limit_browsing.WaitingCount(0, 0.0)
    of_mutations = {each.limit_name for each in registry if each.concurrency and each.kind == Kind.MUTATION}
    return [
        LimitLine(
            limit=shown_limit(key),
            size=_named(name_of_limit(key), declared, changed).size,
            held=held.numbers[key],
            holders=[slot for slot in held.first if slot.limit == key],
            locked=None if locked is None else locked[key],
            hides_mutations=locked is None and name_of_limit(key) in of_mutations,
            waiting=waiting.get(key, none).number,
            since=present - timedelta(seconds=waiting[key].oldest) if key in waiting else None,
        )
        for key in keys
    ]


def _named(name: str, declared: Mapping[str, Concurrency], changed: Mapping[str, Limit]) -> NamedLimit:
    in_code = declared.get(name)
    if in_code is None:
        return NamedLimit(name, None, (), changed.get(name))
    return NamedLimit(name, in_code.limit, in_code.parameters, changed.get(name))


def _values(text: str) -> list[JSONValue] | None:
    """Return the values that a limit is for, or ``None`` if they are not on record."""
    if not text.startswith("["):
        return None
    values: list[JSONValue] = json.loads(text)
    return values


def _in_words(arguments: JSONValue) -> str:
    if isinstance(arguments, dict) and not any(name.startswith("$") for name in arguments):
        return ", ".join(f"{name} {plain(value)}" for name, value in arguments.items())
    return plain(arguments)
