"""The list of functions is narrowed by filters and by a search: what each takes, and which functions it lets through.

* A filter that is not understood lets nothing through: what is canceled by mistake cannot be brought back.
* A filter compares a column of its own with a value of few, or with one whole word. What is masked is in none of them.
* The search takes an id. Everything else that is searched for is compared row by row: see ``search.py``.
* An index finds what has a state, an id, a parent or a batch. Everything else is looked at row by row.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from django.db.models import Exists, OuterRef, Q
from django.utils.translation import gettext_lazy as _

from django_scheduler.admin.limits import shown_limit
from django_scheduler.admin.search import EXCEPTION, Search
from django_scheduler.crons import CronRun
from django_scheduler.databases import Database, limit_browsing
from django_scheduler.functions import registry
from django_scheduler.masking import masked
from django_scheduler.models import FAR, LARGEST_ID, LONGEST_LIMIT, LONGEST_QUEUE_NAME, Failure, Kind, State
from django_scheduler.values import is_plain_text

#: The state of what is pending and due, and that of what waits for a limit.
OVERDUE, LIMITED = "overdue", "limited"

WINDOWS = {
    "1min": (timedelta(minutes=1), _("last minute")),
    "1h": (timedelta(hours=1), _("last hour")),
    "24h": (timedelta(days=1), _("last 24 hours")),
    "7d": (timedelta(days=7), _("last 7 days")),
}

_OF_A_CRON = Q(Exists(CronRun.objects.filter(function=OuterRef("pk"))))

BY = {
    "function": (Q(parent__isnull=False), _("a function")),
    "cron": (_OF_A_CRON, _("a cron")),
    "code": (Q(parent__isnull=True) & ~_OF_A_CRON, _("other code")),
}

#: What each filter is called, in the order in which they stand in an address.
TITLES = {
    "q": _("Search"),
    "state": _("State"),
    "function": _("Function"),
    "kind": _("Kind"),
    "queue": _("Queue"),
    "failure": _("Failure"),
    "error": _("Error"),
    "created": _("Scheduled"),
    "finished": _("Finished"),
    "by": _("Scheduled by"),
    "parent": _("Scheduled by"),
    "batch": _("Batch"),
    "limit": _("Limit"),
    "request": _("Request"),
}

#: The filters that other pages lead to: the list has no field for them.
WITHOUT_FIELD = ("error", "parent", "batch", "limit", "request")

#: What may stand in the address besides filters.
OTHER_PARAMETERS = {"after", "before", "live", "_changelist_filters", "e"}

_SINCE = {name: label for name, (_length, label) in WINDOWS.items()}

#: The values of filters that have few, as they are shown, and the length of others, in characters.
CHOICES: dict[str, Mapping[Any, Any]] = {
    "state": {
        State.PENDING.value: State.PENDING.label,
        OVERDUE: _("overdue"),
        LIMITED: _("waits for a limit"),
        **dict(State.choices),
    },
    "kind": dict(Kind.choices),
    "failure": dict(Failure.choices),
    "created": _SINCE,
    "finished": _SINCE,
    "by": {name: label for name, (_condition, label) in BY.items()},
}
LONGEST = {"q": 200, "function": 255, "queue": LONGEST_QUEUE_NAME, "limit": LONGEST_LIMIT, "request": 200}


@dataclass(frozen=True, slots=True)
class Filters:
    """Holds what the address of the list asks for."""

    values: Mapping[str, str]
    #: Parameters that are not understood.
    problems: tuple[str, ...] = ()

    @classmethod
    def read(cls, parameters: Mapping[str, Any]) -> "Filters":
        """Return the filters among the parameters of a request."""
        values, problems = {}, []
        for name in parameters:
            value = str(parameters[name]).strip()
            if name in OTHER_PARAMETERS or not value:
                continue
            if _is_valid(name, value):
                values[name] = value
            else:
                problems.append(f"{name[:40]}={value[:40]}")
        return cls(values, tuple(problems))

    def __bool__(self) -> bool:
        return bool(self.values)

    @property
    def without_field(self) -> dict[str, str]:
        """Return the filters for which the list has no field."""
        return {name: value for name, value in self.values.items() if name in WITHOUT_FIELD}

    @property
    def state(self) -> str:
        return self.values.get("state", "")

    @property
    def states(self) -> set[str]:
        """Return in which states the functions can be that it lets through."""
        if not self.state:
            return set(State)
        return {State.PENDING if self.state in (OVERDUE, LIMITED) else self.state}

    @property
    def function_id(self) -> int | None:
        """Return the id that is searched for, or ``None`` if what is searched for can be none."""
        return read_id(self.values.get("q", "").removeprefix("#"))

    @property
    def search(self) -> Search | None:
        """Return what is searched for, unless it is an id."""
        text = self.values.get("q", "")
        return Search(text) if text and self.function_id is None else None

    @property
    def finds_by_reference(self) -> bool:
        """Return whether only the functions with an id, of a parent or of a batch are asked for: there are few."""
        return not self.values.keys().isdisjoint(("parent", "batch")) or self.function_id is not None

    @property
    def are_of_lanes(self) -> bool:
        """Return whether nothing but a state or a queue is asked for."""
        return not {*self.values} - {"state", "queue"}

    def address(self, **changes: str) -> str:
        """Return the filters with these changes as a query string; an empty value removes a filter."""
        values = {**self.values, **changes}
        return urlencode({name: values[name] for name in (*TITLES, "after", "before") if values.get(name)})

    def indexed(self, database: Database) -> Q:
        """Return the condition that an index meets in the order of the list."""
        if self.function_id is not None:
            return Q(pk=self.function_id)
        for reference in ("parent", "batch"):
            if referred := self.values.get(reference):
                return Q(**{reference: int(referred)})
        if limit := self.values.get("limit"):
            return limit_browsing.WAITS & Q(waits_for=limit) if shown_limit(limit).address else Q(pk__in=[])
        return self._in_state(database)

    def others(self, database: Database) -> Q:
        """Return the condition for which rows have to be looked at one by one; an empty one if there is none.

        The ``search`` is not part of it.
        """
        condition = Q()
        for name, value in self.values.items():
            condition &= self._other(name, value, database)
        return condition

    def _other(self, name: str, value: str, database: Database) -> Q:
        match name:
            case "function":
                return Q(name=value)
            case "kind" | "queue" | "failure":
                return Q(**{name: value})
            case "error":
                return Q(error=value) | Q(error__startswith=f"{value}:")
            case "request" if masked("", {"request_id": value}) == {"request_id": value}:
                return Q(context__request_id=value)
            case "request":
                return Q(pk__in=[])  # nobody finds a function by what is masked
            case "created":
                return Q(creation_time__gte=database.ago(WINDOWS[value][0]))
            case "finished":
                return Q(completed_time__gte=database.ago(WINDOWS[value][0]))
            case "by":
                return BY[value][0]
            case "limit" if self.finds_by_reference:
                return limit_browsing.WAITS & Q(waits_for=value) if shown_limit(value).address else Q(pk__in=[])
            case "batch" if "parent" in self.values or self.function_id is not None:
                return Q(batch=int(value))
            case "state" if self.function_id is not None:
                is_meant = Q(due_time__lte=database.now()) if self.state == OVERDUE else Q()
                if self.state == LIMITED:
                    is_meant = Q(due_time=FAR, waits_for__isnull=False)
                return Q(database.is_in_state(*self.states)) & is_meant
            case "state" if self.finds_by_reference or "limit" in self.values:
                return self._in_state(database)
            case _:
                return Q()

    def _in_state(self, database: Database) -> Q:
        if self.state == OVERDUE:
            return Q(state=State.PENDING, due_time__lte=database.now())
        if self.state == LIMITED:
            return limit_browsing.WAITS
        if self.state in (State.SUCCESS, State.FAILED, State.CANCELED):
            # Which is true of all of them, and lets their index be used.
            return Q(state=self.state, completed_time__isnull=False)
        return Q(state=self.state) if self.state else Q()


def menus(filters: Filters, queues: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Yield the filters that are menus, with what is chosen in each. ``queues``: those that there are."""
    yield _menu(filters, "function", _itself(function.name for function in registry))
    yield _menu(filters, "kind", CHOICES["kind"])
    yield _menu(filters, "queue", _itself(queues))
    for name in ("failure", "created", "finished", "by"):
        yield _menu(filters, name, CHOICES[name])


def chips(values: Mapping[str, str]) -> list[tuple[Any, Any]]:
    """Return filters and their values as they are shown."""
    return [(TITLES[name], _shown(name, value)) for name, value in values.items()]


def _shown(name: str, value: str) -> Any:
    if name == "limit":
        return shown_limit(value).text
    return f"#{value}" if name in ("parent", "batch") else CHOICES.get(name, {}).get(value, value)


def _itself(names: Iterable[str]) -> dict[str, str]:
    return {name: name for name in sorted({*names})}


def _menu(filters: Filters, name: str, choices: Mapping[Any, Any]) -> dict[str, Any]:
    chosen = filters.values.get(name, "")
    # Of a function or a queue that the code no longer has.
    known = {**choices, **({chosen: chosen} if chosen and chosen not in choices else {})}
    shown = [{"value": value, "label": label, "is_chosen": value == chosen} for value, label in known.items()]
    return {"name": name, "title": TITLES[name], "choices": shown, "is_active": bool(chosen)}


def read_id(digits: str) -> int | None:
    """Return the id of a function that somebody has written, or ``None`` if it can be none."""
    is_id = digits.isdecimal() and len(digits) < 20 and 0 < int(digits) <= LARGEST_ID
    return int(digits) if is_id else None


def _is_valid(name: str, value: str) -> bool:
    if not is_plain_text(value):
        return False
    if name in ("parent", "batch"):
        return read_id(value) is not None
    if name == "error":
        return EXCEPTION.fullmatch(value) is not None
    return value in CHOICES[name] if name in CHOICES else len(value) <= LONGEST.get(name, 0)
