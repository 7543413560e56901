"""The list is searched for the value of an argument, or for a text, among what may be read of each function.

The database is not asked: it knows what is masked, so what it finds, counts, or takes time for would tell of that. It
gives the functions in the order of the list, and here each is compared, as it is shown, with what is sought.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import cached_property

from django_scheduler.admin.readable import plain
from django_scheduler.masking import masked, masked_text
from django_scheduler.values import JSONValue

ARGUMENT = re.compile(r"(?P<name>[A-Za-z_]\w*)\s*=\s*(?P<value>.+)", re.DOTALL)

#: The name of an exception, with which an error begins. What follows it may contain secrets.
EXCEPTION = re.compile(r"[A-Za-z_][\w.]{0,98}(?=:|\Z)")


@dataclass(frozen=True)
class Search:
    """Searches for an argument's value, such as ``order_id=42``, or for a text."""

    text: str

    def finds(self, name: str, arguments: JSONValue, error: str, key: str | None = None) -> bool:
        """Return whether what may be read of a function contains it."""
        shown = masked(name, arguments)
        argument = self._argument
        if argument and isinstance(shown, dict) and argument["name"] in shown:
            return _is_meant(argument["value"].strip(), shown[argument["name"]])
        shown_texts = shown_error(name, error, arguments) if error else "", shown_key(name, key, arguments)
        texts = _texts(name, shown, *shown_texts)
        return any(self._sought in text.casefold() for text in texts)

    @cached_property
    def _argument(self) -> re.Match[str] | None:
        return ARGUMENT.fullmatch(self.text)

    @cached_property
    def _sought(self) -> str:
        return self.text.casefold()


def shown_error(name: str, error: str, arguments: JSONValue) -> str:
    """Return an error as it may be shown.

    Where the arguments have not been read, because they are too long, what of them is secret is not known. So it is
    the exception's name alone.
    """
    if arguments is None:
        exception = EXCEPTION.match(error)
        return exception[0] if exception else ""
    return masked_text(name, error, args=arguments)


def shown_key(name: str, key: str | None, arguments: JSONValue) -> str:
    """Return a key or a tenant as it may be shown: not at all if what is secret among the arguments is not known."""
    return masked_text(name, key, args=arguments) if key and arguments is not None else ""


def _texts(name: str, shown: JSONValue, error: str, key: str) -> Iterator[str]:
    yield name
    yield error
    yield key
    arguments = json.dumps(shown, ensure_ascii=False)
    yield arguments
    if '{"$' in arguments:  # only then it is shown in other words than JSON's
        yield plain(shown)


def _is_meant(entered: str, value: JSONValue) -> bool:
    """Return whether somebody may mean this value who writes ``42``, ``"42"``, ``9.90``, ``None``, ``PAID``."""
    match value:
        case {"$decimal": str(number)}:
            return _is_equal_number(entered, number)
        case {"$enum": [_, str(member)]} if entered == member:
            return True
        case {"$model": [_, key, _]}:
            return _is_meant(entered, key)
        case dict() if len(value) == 1 and next(iter(value)).startswith("$"):
            words = plain([value])[1:-1]
            if words == entered or words.endswith(f" {entered}"):
                return True
    return any(type(each) is type(value) and each == value for each in _spellings(entered))


def _spellings(entered: str) -> list[JSONValue]:
    words: dict[str, JSONValue] = {"True": True, "False": False, "None": None}
    if entered in words:
        return [entered, words[entered]]
    try:
        value: JSONValue = json.loads(entered)
    except (ValueError, RecursionError):
        return [entered]
    if isinstance(value, int) and not isinstance(value, bool):
        large: JSONValue = {"$int": hex(value)}
        # A number is the same one with a point and without.
        return [entered, value, float(value) if abs(value) < 2**53 else large, large]
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return [entered, value, int(value)]
    return [entered, value]


def _is_equal_number(entered: str, number: str) -> bool:
    try:
        return Decimal(entered.strip('"')) == Decimal(number)
    except InvalidOperation:  # one is none, or a signaling NaN
        return False
