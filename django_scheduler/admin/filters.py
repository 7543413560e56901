"""The search field: an id, ``order_id=42``, a function's name, or any text.

Nobody finds a function by what is masked: what the database has found is compared again with what may be read.

The filters of the list: what each takes, and which functions it lets through.

A filter that is not understood lets nothing through: what is canceled by mistake cannot be brought back.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
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
from django_scheduler.models import LONGEST_QUEUE_NAME, Failure, Kind, ScheduledFunction, State
from django_scheduler.scheduling import LARGEST_ID
from django_scheduler.values import JSONValue

ARGUMENT = re.compile(r"(?P<name>[A-Za-z_]\w*)\s*=\s*(?P<value>.+)", re.DOTALL)

LONGEST = 200


@dataclass(frozen=True, slots=True)
class Search:
    """What somebody looks for."""

    text: str

    @property
    def function_id(self) -> int | None:
        """The id, if it can be one."""
        digits = self.text.removeprefix("#")
        return int(digits) if digits.isdecimal() and len(digits) < 20 and 0 < int(digits) <= LARGEST_ID else None

    def condition(self) -> Q:
        """What the database can tell; the rows must have the annotations of ``rows.for_comparison``."""
        if self.function_id is not None:
            return Q(pk=self.function_id)
        if match := ARGUMENT.fullmatch(self.text):
            return _has_argument(match["name"], match["value"])
        # JSON is stored in ASCII.
        stored = json.dumps(self.text)[1:-1]
        return Q(name__icontains=self.text) | Q(args_text__icontains=stored) | Q(args_text__icontains=self.text)

    def is_found_in(self, name: str, args: JSONValue) -> bool:
        """Whether what may be read of a function contains it."""
        shown = masked(name, args)
        if match := ARGUMENT.fullmatch(self.text):
            value = shown.get(match["name"]) if isinstance(shown, dict) else None
            return value in _spellings(match["value"])
        sought = self.text.casefold()
        return (
            sought in name.casefold()
            or sought in json.dumps(shown, ensure_ascii=False).casefold()
            or (sought in plain(shown).casefold())
        )


def _has_argument(name: str, text: str) -> Q:
    condition = Q()
    for spelling in _spellings(text):
        condition |= Q(**{f"args__{name}": spelling})
    return condition


def _spellings(text: str) -> list[JSONValue]:
    """What somebody may mean who writes ``42``, ``"42"``, ``true`` or ``None``."""
    text = text.strip()
    spellings: list[JSONValue] = [text]
    words: dict[str, JSONValue] = {"True": True, "False": False, "None": None}
    if text in words:
        spellings.append(words[text])
    elif len(text) <= LONGEST:
        try:
            value: JSONValue = json.loads(text)
        except ValueError:
            return spellings
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 2**63:
            value = {"$int": hex(value)}
        spellings.append(value)
    return spellings


def matches(search: Search | None, function: ScheduledFunction) -> bool:
    """Whether a function that the database has found may be found."""
    return search is None or search.function_id is not None or search.is_found_in(function.name, function.args)


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

PARAMETERS = ("q", "state", "function", "kind", "queue", "failure", "error", "created", "finished", "by", "parent")

#: What may stand in the address besides filters.
OTHER_PARAMETERS = {"after", "before", "live", "_changelist_filters", "e"}

LONGEST_VALUE = 255


@dataclass(frozen=True)
class Filters:
    """What the address of the list asks for."""

    values: Mapping[str, str]
    #: Parameters that are not understood.
    problems: tuple[str, ...] = ()
    search: Search | None = field(init=False)

    def __post_init__(self) -> None:
        text = self.values.get("q", "")
        object.__setattr__(self, "search", Search(text) if text else None)

    @classmethod
    def read(cls, parameters: Mapping[str, Any]) -> "Filters":
        """From the parameters of a request."""
        values, problems = {}, []
        for name in parameters:
            value = str(parameters[name]).strip()
            if name in OTHER_PARAMETERS or not value:
                continue
            if name in PARAMETERS and _is_valid(name, value):
                values[name] = value
            else:
                problems.append(f"{name}={value[:40]}")
        return cls(values, tuple(problems))

    @property
    def state(self) -> str:
        return self.values.get("state", "")

    def __bool__(self) -> bool:
        return bool(self.values)

    def address(self, **changes: str) -> str:
        """The same, changed, as a query string; an empty value removes a filter."""
        values = {**self.values, **changes}
        return urlencode({name: values[name] for name in (*PARAMETERS, "after", "before") if values.get(name)})

    @property
    def finds_by_reference(self) -> bool:
        """Whether an id, or that of the parent, finds the few functions there are."""
        return "parent" in self.values or (self.search is not None and self.search.function_id is not None)

    @property
    def are_of_lanes(self) -> bool:
        """Whether they ask for nothing but what is pending, in one queue or in all."""
        return not {*self.values} - {"state", "queue"}

    def indexed(self, database: Database) -> Q:
        """What an index finds in the order of the list."""
        if self.search is not None and self.search.function_id is not None:
            return Q(pk=self.search.function_id)
        if parent := self.values.get("parent"):
            return Q(parent=int(parent))
        return self._in_state(database)

    def others(self, database: Database) -> Q:
        """What has to be looked at row by row. Empty: nothing."""
        condition = Q()
        for name, value in self.values.items():
            condition &= self._other(name, value, database)
        return condition

    def _other(self, name: str, value: str, database: Database) -> Q:
        match name:
            case "q" if self.search is not None and self.search.function_id is None:
                return self.search.condition()
            case "function":
                return Q(name=value)
            case "kind" | "queue" | "failure":
                return Q(**{name: value})
            case "error":
                return Q(error=value) | Q(error__startswith=f"{value}:")
            case "created":
                return Q(creation_time__gte=database.now() - WINDOWS[value][0])
            case "finished":
                return Q(completed_time__gte=database.now() - WINDOWS[value][0])
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
class Choice:
    value: str
    label: Any
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class Menu:
    """One filter as a menu."""

    name: str
    title: Any
    choices: tuple[Choice, ...]

    @property
    def is_active(self) -> bool:
        return any(choice.is_chosen for choice in self.choices)


def menus(filters: Filters) -> Iterator[Menu]:
    """The filters that are menus, with what is chosen in each."""
    functions = sorted(function.name for function in registry)
    queues = sorted({function.queue for function in registry})
    yield _menu(filters, "function", _("Function"), ((name, name) for name in functions))
    yield _menu(filters, "kind", _("Kind"), Kind.choices)
    yield _menu(filters, "queue", _("Queue"), ((name, name) for name in queues))
    yield _menu(filters, "failure", _("Failure"), Failure.choices)
    windows = [(name, label) for name, (_length, label) in WINDOWS.items()]
    yield _menu(filters, "created", _("Scheduled"), windows)
    yield _menu(filters, "finished", _("Finished"), windows)
    yield _menu(filters, "by", _("Scheduled by"), ((name, label) for name, (_condition, label) in BY.items()))


def _menu(filters: Filters, name: str, title: Any, choices: Iterable[tuple[Any, Any]]) -> Menu:
    chosen = filters.values.get(name, "")
    known = [(str(value), label) for value, label in choices]
    if chosen and chosen not in dict(known):
        known.append((chosen, chosen))  # of a function or a queue that the code no longer has
    return Menu(name, title, tuple(Choice(value, label, value == chosen) for value, label in known))


def _is_valid(name: str, value: str) -> bool:
    if "\0" in value:
        return False
    match name:
        case "q":
            return len(value) <= LONGEST
        case "state":
            return value in (*State.values, OVERDUE)
        case "kind":
            return value in Kind.values
        case "failure":
            return value in Failure.values
        case "created" | "finished":
            return value in WINDOWS
        case "by":
            return value in BY
        case "parent":
            return value.isdecimal() and len(value) < 20 and 0 < int(value) <= LARGEST_ID
        case "queue":
            return len(value) <= LONGEST_QUEUE_NAME
        case _:
            return len(value) <= LONGEST_VALUE
