"""Limits: the page of a function says why it waits, and a page of their own shows what waits and what has the slots.

There are two kinds, with slots that bodies hold, or starts have for a while. All of one name on record, ``bank``, or
``bank rate`` of a rate limit, have the same number.

A limit's text on record has the values that it is for, which are arguments of functions. So it is masked as these are:
under the names of the parameters, which only the code knows.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlencode

from django.db.models import QuerySet
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.translation import gettext as _

from django_scheduler.admin.readable import plain
from django_scheduler.admin.times import per, within_the_last
from django_scheduler.admin.visibility import is_everything
from django_scheduler.databases import Database, limit_browsing
from django_scheduler.functions import (
    AnyFunction,
    Concurrency,
    DeclaredLimit,
    RateLimit,
    is_rate,
    name_of_limit,
    registry,
    without_values,
)
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
    """Says how many bodies of the limits of one name run at once, or begin within a period."""

    #: On record: ``bank``, or ``bank rate``.
    name: str
    #: What the code says.
    declared: DeclaredLimit | None
    #: What somebody has set.
    changed: Limit | None

    @property
    def is_rate(self) -> bool:
        """Return whether it is a rate limit."""
        return is_rate(self.name)

    @property
    def text(self) -> str:
        """Return its name in words, by which limits of both kinds are told apart."""
        return _("%(name)s (rate limit)") % {"name": name_of_limit(self.name)} if self.is_rate else self.name

    @property
    def size(self) -> int | None:
        """Return how many slots it has; ``None``: nobody says."""
        if self.changed is not None:
            return self.changed.number
        return None if self.declared is None else self.declared.limit

    @property
    def size_in_words(self) -> str:
        """Return how many it allows: ``2 at once``, ``10 per second``; empty: nobody says."""
        return "" if self.size is None else self._in_words(self.size)

    @property
    def declared_in_words(self) -> str:
        """Return how many the code allows; empty: it does not say."""
        return "" if self.declared is None else self._in_words(self.declared.limit)

    def _in_words(self, number: int) -> str:
        text = number_format(number, force_grouping=True)
        if not self.is_rate:
            return _("%(number)s at once") % {"number": text}
        return _("%(number)s %(per_period)s") % {"number": text, "per_period": self.per}

    @property
    def per(self) -> str:
        """Return in words for which period it is, if it is a rate limit."""
        return per(self.declared.per) if isinstance(self.declared, RateLimit) else _("per period")

    @property
    def within(self) -> str:
        """Return in words when those have begun that have a slot, if the code declares that."""
        return within_the_last(self.declared.per) if isinstance(self.declared, RateLimit) else ""

    @property
    def window(self) -> limit_browsing.Window | None:
        """Return how many bodies may begin, and for how long each has its slot, if the code declares that."""
        if not isinstance(self.declared, RateLimit):
            return None
        return limit_browsing.Window(self.size or 0, self.declared.window)


@dataclass(frozen=True, slots=True)
class LimitLine:
    """Says what waits for a limit, and what has its slots."""

    limit: ShownLimit
    named: NamedLimit
    #: How many slots actions hold, and the first of these.
    held: int
    holders: Sequence[Slot]
    #: How many slots executing mutations hold; ``None``: the database does not tell.
    locked: int | None
    #: Whether executing mutations may hold slots, and the database does not tell which.
    hides_mutations: bool
    #: Of a rate limit: how many starts have slots.
    starts: limit_browsing.Starts
    #: How many functions wait, counted to one more than ``COUNTED_TO``, and since when.
    waiting: int
    since: datetime | None

    @property
    def in_use(self) -> int:
        """Return how many slots are in use."""
        return self.held + (self.locked or 0) + self.starts.number

    @property
    def is_exceeded(self) -> bool:
        """Return whether more slots are in use than the limit has by now."""
        return self.named.size is not None and self.in_use > self.named.size

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
        """Return the position as a query string."""
        return urlencode({"after": self.after, **({"others": "1"} if self.is_in_others else {})})


@dataclass(frozen=True, slots=True)
class FirstBefore:
    """Is the first function in the order of a limit of one: all that come behind it wait until it has begun."""

    function: ScheduledFunction
    is_paused: bool
    is_served: bool
    #: For which other limit it waits.
    waits_for: ShownLimit | None


@dataclass(frozen=True, slots=True)
class WhyItWaits:
    """Says for what a function waits."""

    limit: ShownLimit
    #: What others do; ``None``: that may not be told.
    line: LimitLine | None
    #: How many functions come before it, counted to one more than ``COUNTED_TO``.
    before: int
    #: The first of these, if the limit keeps an order.
    first: FirstBefore | None

    @property
    def is_more(self) -> bool:
        """Return whether more come before it than were counted."""
        return self.before > COUNTED_TO


def shown_limit(limit: str) -> ShownLimit:
    """Return the limit as it may be read, such as ``bank, account_id 7`` for ``bank [7]``."""
    named = NamedLimit(without_values(limit), None, None)
    name, values = named.text, limit.removeprefix(named.name).lstrip()
    if not values:
        return ShownLimit(name, limit)
    read = _values(values)
    if read is None:  # they are so long that only their hash is on record
        return ShownLimit(f"{name}, {values[:9]}…", limit)
    declaring = [
        (function.name, declared.parameters)
        for function in registry
        for declared_name, declared in _declared_by(function)
        if declared_name == named.name
    ]
    if not declaring or any(len(parameters) != len(read) for _name, parameters in declaring):
        return ShownLimit(f"{name}, {BULLETS}", "")  # what they are the values of is not known
    args: JSONValue = None
    for function_name, parameters in declaring:
        args = dict(zip(parameters, read, strict=True))
        shown = masked(function_name, args)
        if shown != args:
            return ShownLimit(f"{name}, {_in_words(shown)}", "")
    return ShownLimit(f"{name}, {_in_words(args)}", limit)


def named_limits(database: Database) -> Iterator[NamedLimit]:
    """Yield the limits that the code declares, or that somebody has set, in the order of their names."""
    changed = {row.name: row for row in Limit.objects.using(database.using).order_by("pk")[:COUNTED_TO]}
    yield from _named({*_declared(), *changed}, changed)


def limit_page(database: Database, position: Position) -> LimitPage:
    """Return limits from there on: first those that functions wait for, and then others that have slots."""
    if position.is_in_others:
        limits, following = _others(database, position.after, PAGE_LINES)
    else:
        limits = database.limits_waited_for(after=position.after, most=PAGE_LINES + 1)
        if len(limits) > PAGE_LINES:
            return LimitPage(_lines(database, limits[:PAGE_LINES], holders=HOLDERS), Position(limits[PAGE_LINES - 1]))
        others, following = _others(database, "", PAGE_LINES - len(limits))
        limits += others
    lines = _lines(database, limits, holders=HOLDERS)
    return LimitPage(sorted(lines, key=lambda line: (not line.waiting, not line.in_use)), following)


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
    limit = function.waits_for or ""
    if not is_everything(rows):
        return WhyItWaits(shown_limit(limit), None, 0, None)
    (line,) = _lines(database, [limit], holders=HOLDERS)
    before = limit_browsing.count_before(database, function, count_to=COUNTED_TO + 1)
    declared = line.named.declared
    keeps_order = isinstance(declared, Concurrency) and declared.limit == 1
    first = _first_before(database, function) if before and keeps_order else None
    return WhyItWaits(line.limit, line, before, first)


def _first_before(database: Database, function: ScheduledFunction) -> FirstBefore | None:
    first = limit_browsing.first_before(database, function)
    if first is None:
        return None
    is_paused = Pause.objects.using(database.using).filter(queue__in=(first.queue, Pause.EVERYTHING)).exists()
    is_served = any(executor.serves(first.queue) for executor in executors(database.using))
    waits_for = first.waits_for if limit_browsing.waits(first) and first.waits_for != function.waits_for else None
    return FirstBefore(first, is_paused, is_served, shown_limit(waits_for) if waits_for else None)


def _lines(database: Database, limits: Sequence[str], *, holders: int) -> list[LimitLine]:
    names = {without_values(limit) for limit in limits}
    named = {each.name: each for each in _named(names, Limit.objects.using(database.using).in_bulk(names))}
    held_by_bodies = [limit for limit in limits if not is_rate(limit)]
    held = limit_browsing.held_slots(database, held_by_bodies, of_each=holders)
    locked = limit_browsing.count_locked(database, held_by_bodies)
    windows = {limit: window for limit in limits if (window := named[without_values(limit)].window) is not None}
    starts = limit_browsing.count_starts(database, windows)
    waiting = limit_browsing.count_waiting(database, limits, count_to=COUNTED_TO + 1)
    present = timezone.now()
    none = limit_browsing.WaitingCount(0, 0.0)
    of_mutations = {each.limit_name for each in registry if each.concurrency and each.kind == Kind.MUTATION}
    return [
        LimitLine(
            limit=shown_limit(limit),
            named=named[without_values(limit)],
            held=held.numbers[limit],
            holders=[slot for slot in held.first if slot.limit == limit],
            locked=None if locked is None else locked[limit],
            hides_mutations=locked is None and without_values(limit) in of_mutations,
            starts=starts.get(limit, limit_browsing.Starts(0, None)),
            waiting=waiting.get(limit, none).number,
            since=present - timedelta(seconds=waiting[limit].oldest) if limit in waiting else None,
        )
        for limit in limits
    ]


def _named(names: Iterable[str], changed: Mapping[str, Limit]) -> Iterator[NamedLimit]:
    """Yield the limits of these names, in their order; ``changed``: what somebody has set."""
    declared = _declared()
    for name in sorted(names):
        yield NamedLimit(name, declared.get(name), changed.get(name))


def _declared() -> dict[str, DeclaredLimit]:
    """Return what the code says of each limit, by its name on record."""
    return {**registry.limits(), **registry.rate_limits()}


def _declared_by(function: AnyFunction) -> Iterator[tuple[str, DeclaredLimit]]:
    if function.concurrency is not None:
        yield function.limit_name, function.concurrency
    if function.rate_limit is not None:
        yield function.rate_name, function.rate_limit


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
