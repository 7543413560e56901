"""Stored JSON is shown as people read it: ``decimal 1.10`` and not ``{"$decimal": "1.10"}``; inert, of bounded length.

A printer turns a value into tokens, one by one, so that the caller can stop where it has enough. They become HTML for a
page, or plain text for the search.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import timedelta
from html import escape
from typing import NamedTuple

from django.utils.safestring import SafeString

from django_scheduler.values import JSONValue

#: How much of one value is shown, in characters: on the page of a function, in the list, and of one text.
LONGEST, LONGEST_BRIEF, LONGEST_TEXT = 20_000, 140, 4_000

INDENT = "  "

_BRACKETS = {"$tuple": "()", "$set": "{}", "$frozenset": "{}"}


def readable(value: JSONValue) -> SafeString:
    """Return a value as HTML, one item a line, cut off where it is too long."""
    return _html(_Printer(longest_text=LONGEST_TEXT, indented=True).value(value, 0), LONGEST)


def brief(arguments: JSONValue) -> SafeString:
    """Return arguments as HTML in one line: ``order_id=7, email="ann@shop.example"``."""
    return _html(_in_one_line(arguments, longest_text=60), LONGEST_BRIEF)


def plain(value: JSONValue) -> str:
    """Return a value as text in one line, to be searched."""
    text = ""
    for token in _in_one_line(value, longest_text=LONGEST):
        text += token.text
        if len(text) > LONGEST:
            break
    return text


def visible(text: object) -> str:
    """Return a text with what cannot be seen, or reverses the direction of reading, written out."""
    text = str(text)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in "\n\t" else _written_out(c) for c in text)


def breakable(name: str) -> SafeString:
    """Return the name of a function as HTML that says where a long one may go on in the next line."""
    return SafeString("<wbr>".join(escape(part) for part in re.split(r"(?<=[:_])", name)))


def _in_one_line(value: JSONValue, longest_text: int) -> Iterator["_Token"]:
    printer = _Printer(longest_text=longest_text, indented=False)
    return printer.arguments(value) if isinstance(value, dict) else printer.value(value, 0)


class _Token(NamedTuple):
    """Holds a piece of the text, and says what it is: ``key``, ``text``, ``number``, ``word``, ``type`` or nothing."""

    text: str
    kind: str = ""


class _Printer:
    """Writes a value, cutting each text within it off at a length, on one line or on many."""

    def __init__(self, *, longest_text: int, indented: bool) -> None:
        self._longest_text = longest_text
        self._indented = indented

    def arguments(self, arguments: dict[str, JSONValue]) -> Iterator[_Token]:
        for number, (name, value) in enumerate(arguments.items()):
            if number:
                yield _Token(", ")
            yield _Token(visible(name), "key")
            yield _Token("=")
            yield from self.value(value, 1)

    def value(self, value: JSONValue, depth: int) -> Iterator[_Token]:
        match value:
            case None | True | False:
                yield _Token(str(value), "word")
            case int() | float():
                yield _Token(repr(value), "number")
            case str():
                yield from self._text(value)
            case list():
                yield from self._items("[]", value, depth)
            case dict() if len(value) == 1 and next(iter(value)).startswith("$"):
                [(tag, content)] = value.items()
                yield from self._tagged(tag, content, depth)
            case dict():
                yield from self._members(value.items(), depth)

    def _text(self, text: str) -> Iterator[_Token]:
        shown = text[: self._longest_text]
        yield _Token('"' + visible(shown).replace("\n", "\\n") + '"', "text")
        if len(shown) < len(text):
            yield _Token(f"…(+{len(text) - len(shown):,})", "type")

    def _items(self, brackets: str, items: list[JSONValue], depth: int) -> Iterator[_Token]:
        return self._enclosed(brackets, (self.value(item, depth + 1) for item in items), depth)

    def _members(self, members: Iterable[tuple[JSONValue, JSONValue]], depth: int) -> Iterator[_Token]:
        return self._enclosed("{}", (self._member(key, item, depth + 1) for key, item in members), depth)

    def _member(self, key: JSONValue, item: JSONValue, depth: int) -> Iterator[_Token]:
        if isinstance(key, str):
            yield _Token('"' + visible(key[: self._longest_text]) + '"', "key")
        else:
            yield from self.value(key, depth)
        yield _Token(": ")
        yield from self.value(item, depth)

    def _enclosed(self, brackets: str, items: Iterable[Iterator[_Token]], depth: int) -> Iterator[_Token]:
        yield _Token(brackets[0])
        number = 0
        for number, item in enumerate(items, start=1):
            comma = "," if number > 1 else ""
            yield _Token(f"{comma}\n{INDENT * (depth + 1)}" if self._indented else comma and ", ")
            yield from item
        yield _Token(f"\n{INDENT * depth}{brackets[1]}" if number and self._indented else brackets[1])

    def _tagged(self, tag: str, content: JSONValue, depth: int) -> Iterator[_Token]:
        match tag, content:
            case (("$tuple" | "$set" | "$frozenset"), list()):
                yield _Token(tag[1:] + " ", "type")
                yield from self._items(_BRACKETS[tag], content, depth)
            case "$dict", list():
                yield from self._members(_pairs(content), depth)
            case "$dataclass", [str(cls), dict(fields)]:
                yield _Token(f"{visible(cls.rpartition(':')[2])} ", "type")
                yield from self._members(fields.items(), depth)
            case "$enum", [str(cls), str(member)]:
                yield _Token(visible(f"{cls.rpartition(':')[2]}.{member}"), "word")
            case "$model", [str(label), key, str(_)]:
                yield _Token(f"{visible(label)} ", "type")
                yield from self.value(key, depth)
            case "$int", str():
                yield _Token(_large_int(content), "number")
            case "$float", str():
                yield _Token(visible(content[:40]), "number")
            case "$datetime" | "$time", [str(local), zone, *_]:
                yield _Token(f"{tag[1:]} ", "type")
                yield _Token(visible(f"{local.replace('T', ' ')} {zone or ''}".strip()), "number")
            case (("$datetime" | "$time" | "$date" | "$decimal" | "$uuid"), str()):
                yield _Token(f"{tag[1:]} ", "type")
                yield _Token(visible(content[: self._longest_text].replace("T", " ")), "number")
            case "$timedelta", [int(days), int(seconds), int(microseconds)]:
                yield _Token("timedelta ", "type")
                yield _Token(_timedelta(days, seconds, microseconds), "number")
            case "$repr", str():
                yield _Token(visible(content[: self._longest_text]), "type")
            case _:
                yield _Token(f"{visible(tag[1:])} ", "type")
                yield from self.value(content, depth)


def _html(tokens: Iterator[_Token], longest: int) -> SafeString:
    pieces, length = [], 0
    for token in tokens:
        left = longest - length
        if left <= 0:
            pieces.append("…")
            break
        text = escape(token.text[:left])
        pieces.append(f'<span class="ds-json-{token.kind}">{text}</span>' if token.kind else text)
        length += len(token.text)
    return SafeString("".join(pieces))


def _written_out(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _pairs(items: list[JSONValue]) -> Iterator[tuple[JSONValue, JSONValue]]:
    return ((item[0], item[1]) for item in items if isinstance(item, list) and len(item) == 2)


def _large_int(hexadecimal: str) -> str:
    # Up to here the decimal form is quickly computed, and read; beyond it nobody does.
    if len(hexadecimal) > 500:
        return f"{visible(hexadecimal[:100])}…"
    try:
        return str(int(hexadecimal, 16))
    except ValueError:
        return visible(hexadecimal)


def _timedelta(days: int, seconds: int, microseconds: int) -> str:
    try:
        return str(timedelta(days, seconds, microseconds))
    except OverflowError:
        return f"{days} d {seconds} s {microseconds} µs"
