"""The search field: an id, ``order_id=42``, a function's name, or any text.

Nobody finds a function by what is masked: what the database has found is compared again with what may be read.
"""

import json
import re
from dataclasses import dataclass

from django.db.models import Q

from django_scheduler.admin.readable import plain
from django_scheduler.cancellation import LARGEST_ID
from django_scheduler.masking import masked
from django_scheduler.models import ScheduledFunction
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
