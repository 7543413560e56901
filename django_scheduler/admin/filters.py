"""The list of functions is narrowed by filters and by a search: what each takes, and which functions it lets through.

* A filter that is not understood lets nothing through: what is canceled by mistake cannot be brought back.
* The search takes an id, ``order_id=42``, a function's name, or any text. Nobody finds a function by what is masked:
  what the database has found is compared again with what may be read of it.
* An index finds what has a state, an id or a parent. Everything else is looked at row by row.
"""

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from django.db.models import Exists, OuterRef, Q
from django.utils.translation import gettext_lazy as _

from django_scheduler.admin.readable import plain
from django_scheduler.crons import CronRun
from django_scheduler.databases import Database
from django_scheduler.functions import registry
from django_scheduler.masking import masked
from django_scheduler.models import LARGEST_ID, LONGEST_QUEUE_NAME, Failure, Kind, ScheduledFunction, State
from django_scheduler.values import JSONValue

#: The state of what is pending and due.
OVERDUE = "overdue"

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

PARAMETERS = (
    "q",
    "state",
    "function",
    "kind",
    "queue",
    "failure",
    "error",
    "created",
    "finished",
    "by",
    "parent",
    "request",
)

#: What may stand in the address besides filters.
OTHER_PARAMETERS = {"after", "before", "live", "_changelist_filters", "e"}

#: The values of filters that have few, and the length of others, in characters.
CHOICES: dict[str, Collection[str]] = {
    "state": (*State.values, OVERDUE),
    "kind": Kind.values,
    "failure": Failure.values,
    "created": WINDOWS,
    "finished": WINDOWS,
    "by": BY,
}
LONGEST = {"q": 200, "function": 255, "queue": LONGEST_QUEUE_NAME, "error": 255, "request": 200}

ARGUMENT = re.compile(r"(?P<name>[A-Za-z_]\w*)\s*=\s*(?P<value>.+)", re.DOTALL)


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
                problems.append(f"{name}={value[:40]}")
        return cls(values, tuple(problems))

    def __bool__(self) -> bool:
        return bool(self.values)

    @property
    def state(self) -> str:
        return self.values.get("state", "")

    @property
    def states(self) -> set[str]:
        """Return in which states the functions can be that it lets through."""
        if not self.state:
            return set(State)
        return {State.PENDING if self.state == OVERDUE else self.state}

    @property
    def function_id(self) -> int | None:
        """Return the id that is searched for, or ``None`` if what is searched for can be none."""
        return _id(self.values.get("q", "").removeprefix("#"))

    @property
    def search(self) -> "Search | None":
        """Return what is searched for, unless it is an id."""
        text = self.values.get("q", "")
        return Search(text) if text and self.function_id is None else None

    @property
    def finds_by_reference(self) -> bool:
        """Return whether only the functions with an id, or with a parent, are asked for: there are few."""
        return "parent" in self.values or self.function_id is not None

    @property
    def are_of_lanes(self) -> bool:
        """Return whether nothing but a state or a queue is asked for."""
        return not {*self.values} - {"state", "queue"}

    def address(self, **changes: str) -> str:
        """Return the same, changed, as a query string; an empty value removes a filter."""
        values = {**self.values, **changes}
        return urlencode({name: values[name] for name in (*PARAMETERS, "after", "before") if values.get(name)})

    def indexed(self, database: Database) -> Q:
        """Return the condition that an index meets in the order of the list."""
        if self.function_id is not None:
            return Q(pk=self.function_id)
        if parent := self.values.get("parent"):
            return Q(parent=int(parent))
        return self._in_state(database)

    def others(self, database: Database) -> Q:
        """Return the condition for which rows have to be looked at one by one; an empty one if there is none.

        With a ``search``, the rows must have the annotations of ``listing.for_comparison``.
        """
        condition = self.search.condition() if self.search else Q()
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
            case "state" if self.finds_by_reference:
                return self._in_state(database)
            case _:
                return Q()

    def _in_state(self, database: Database) -> Q:
        if self.state == OVERDUE:
            return Q(state=State.PENDING, due_time__lte=database.now())
        if self.state in (State.SUCCESS, State.FAILED, State.CANCELED):
            # Which is true of all of them, and lets their index be used.
            return Q(state=self.state, completed_time__isnull=False)
        return Q(state=self.state) if self.state else Q()


@dataclass(frozen=True, slots=True)
class Search:
    """Searches for an argument's value, or for a text."""

    text: str

    def condition(self) -> Q:
        """Return what the database can tell."""
        if match := ARGUMENT.fullmatch(self.text):
            condition = Q()
            for spelling in _spellings(match["value"]):
                condition |= Q(**{f"args__{match['name']}": spelling})
            return condition
        # JSON is stored in ASCII.
        stored = json.dumps(self.text)[1:-1]
        return Q(name__icontains=self.text) | Q(args_text__icontains=stored) | Q(args_text__icontains=self.text)

    def finds(self, function: ScheduledFunction) -> bool:
        """Return whether what may be read of a function, which the database has found, contains it."""
        shown = masked(function.name, function.args)
        if match := ARGUMENT.fullmatch(self.text):
            value = shown.get(match["name"]) if isinstance(shown, dict) else None
            return value in _spellings(match["value"])
        sought = self.text.casefold()
        return (
            sought in function.name.casefold()
            or sought in json.dumps(shown, ensure_ascii=False).casefold()
            or sought in plain(shown).casefold()
        )


def menus(filters: Filters) -> Iterator[dict[str, Any]]:
    """Yield the filters that are menus, with what is chosen in each."""
    windows = [(name, label) for name, (_length, label) in WINDOWS.items()]
    yield _menu(filters, "function", _("Function"), _itself(function.name for function in registry))
    yield _menu(filters, "kind", _("Kind"), Kind.choices)
    yield _menu(filters, "queue", _("Queue"), _itself({function.queue for function in registry}))
    yield _menu(filters, "failure", _("Failure"), Failure.choices)
    yield _menu(filters, "created", _("Scheduled"), windows)
    yield _menu(filters, "finished", _("Finished"), windows)
    yield _menu(filters, "by", _("Scheduled by"), ((name, label) for name, (_condition, label) in BY.items()))


def _itself(names: Iterable[str]) -> list[tuple[str, str]]:
    return [(name, name) for name in sorted(names)]


def _menu(filters: Filters, name: str, title: Any, choices: Iterable[tuple[Any, Any]]) -> dict[str, Any]:
    chosen = filters.values.get(name, "")
    known = [(str(value), label) for value, label in choices]
    if chosen and chosen not in dict(known):
        known.append((chosen, chosen))  # of a function or a queue that the code no longer has
    shown = [{"value": value, "label": label, "is_chosen": value == chosen} for value, label in known]
    return {"name": name, "title": title, "choices": shown, "is_active": bool(chosen)}


def _is_valid(name: str, value: str) -> bool:
    if "\0" in value:
        return False
    if name == "parent":
        return _id(value) is not None
    return value in CHOICES[name] if name in CHOICES else len(value) <= LONGEST.get(name, 0)


def _id(digits: str) -> int | None:
    is_id = digits.isdecimal() and len(digits) < 20 and 0 < int(digits) <= LARGEST_ID
    return int(digits) if is_id else None


def _spellings(text: str) -> list[JSONValue]:
    """Return what somebody may mean who writes ``42``, ``"42"``, ``true`` or ``None``."""
    text = text.strip()
    words: dict[str, JSONValue] = {"True": True, "False": False, "None": None}
    if text in words:
        return [text, words[text]]
    try:
        value: JSONValue = json.loads(text)
    except ValueError:
        return [text]
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 2**63:
        value = {"$int": hex(value)}
    return [text, value]
