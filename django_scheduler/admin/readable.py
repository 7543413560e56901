"""Stored JSON as people read it: ``Decimal("1.10")`` and not ``{"$decimal": "1.10"}``; inert and of bounded length.

Times and durations in few characters: "in 3 min", "2 s ago", "1.24 s"; exact where one looks closer.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from html import escape
from typing import Any, TypeGuard

from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _

from django_scheduler.values import JSONValue

#: How much of one value is shown, in characters: on the detail page, in the list, and of one text.
LONGEST, LONGEST_BRIEF, LONGEST_TEXT = 20_000, 140, 4_000

INDENT = "  "

_BRACKETS = {"$tuple": "()", "$set": "{}", "$frozenset": "{}"}


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of the text, and what it is: ``key``, ``text``, ``number``, ``word``, ``type`` or nothing."""

    text: str
    kind: str = ""


def visible(text: str) -> str:
    """The text with what cannot be seen, or reverses the direction of reading, written out."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in "\n\t" else _written_out(c) for c in text)


def readable(value: JSONValue, longest: int = LONGEST) -> SafeString:
    """A value as HTML, one item a line, cut off where it is too long."""
    return _html(_Printer(longest_text=LONGEST_TEXT, indented=True).value(value, 0), longest)


def brief(arguments: JSONValue, longest: int = LONGEST_BRIEF) -> SafeString:
    """Arguments in one line: ``order_id=7, email="ann@shop.example"``."""
    printer = _Printer(longest_text=60, indented=False)
    return _html(printer.arguments(arguments) if isinstance(arguments, dict) else printer.value(arguments, 0), longest)


def plain(value: JSONValue, longest: int = LONGEST) -> str:
    """A value as text, to be searched."""
    tokens = _Printer(longest_text=longest, indented=False)
    pieces = tokens.arguments(value) if isinstance(value, dict) else tokens.value(value, 0)
    text = ""
    for token in pieces:
        text += token.text
        if len(text) > longest:
            break
    return text


class _Printer:
    def __init__(self, *, longest_text: int, indented: bool) -> None:
        self._longest_text = longest_text
        self._indented = indented

    def arguments(self, arguments: dict[str, JSONValue]) -> Iterator[Token]:
        for number, (name, value) in enumerate(arguments.items()):
            if number:
                yield Token(", ")
            yield Token(visible(name), "key")
            yield Token("=")
            yield from self.value(value, 1)

    def value(self, value: JSONValue, depth: int) -> Iterator[Token]:
        match value:
            case None | True | False:
                yield Token(str(value), "word")
            case int() | float():
                yield Token(repr(value), "number")
            case str():
                yield from self._text(value)
            case list():
                yield from self._items("[]", value, depth)
            case dict() if len(value) == 1 and next(iter(value)).startswith("$"):
                [(tag, content)] = value.items()
                yield from self._tagged(tag, content, depth)
            case dict():
                yield from self._members(list(value.items()), depth)

    def _text(self, text: str) -> Iterator[Token]:
        shown = text[: self._longest_text]
        yield Token('"' + visible(shown).replace("\n", "\\n") + '"', "text")
        if len(shown) < len(text):
            yield Token(f"…(+{len(text) - len(shown):,})", "type")

    def _items(self, brackets: str, items: list[JSONValue], depth: int) -> Iterator[Token]:
        yield Token(brackets[0])
        for number, item in enumerate(items):
            yield self._separator(number, depth)
            yield from self.value(item, depth + 1)
        yield self._end(bool(items), depth, brackets[1])

    def _members(self, members: list[tuple[Any, JSONValue]], depth: int) -> Iterator[Token]:
        yield Token("{")
        for number, (key, item) in enumerate(members):
            yield self._separator(number, depth)
            if isinstance(key, str):
                yield Token('"' + visible(key[: self._longest_text]) + '"', "key")
            else:
                yield from self.value(key, depth + 1)
            yield Token(": ")
            yield from self.value(item, depth + 1)
        yield self._end(bool(members), depth, "}")

    def _separator(self, number: int, depth: int) -> Token:
        comma = "," if number else ""
        if self._indented:
            return Token(f"{comma}\n{INDENT * (depth + 1)}")
        return Token(f"{comma} " if number else "")

    def _end(self, is_filled: bool, depth: int, bracket: str) -> Token:
        return Token(f"\n{INDENT * depth}{bracket}" if is_filled and self._indented else bracket)

    def _tagged(self, tag: str, content: JSONValue, depth: int) -> Iterator[Token]:
        match tag, content:
            case (("$tuple" | "$set" | "$frozenset"), list()):
                yield Token(tag[1:] + " ", "type")
                yield from self._items(_BRACKETS[tag], content, depth)
            case "$dict", list():
                yield from self._members([(pair[0], pair[1]) for pair in content if _is_pair(pair)], depth)
            case "$dataclass", [str(cls), dict(fields)]:
                yield Token(f"{visible(cls.rpartition(':')[2])} ", "type")
                yield from self._members(list(fields.items()), depth)
            case "$enum", [str(cls), str(member)]:
                yield Token(visible(f"{cls.rpartition(':')[2]}.{member}"), "word")
            case "$model", [str(label), key, str(_)]:
                yield Token(f"{visible(label)} ", "type")
                yield from self.value(key, depth)
            case "$int", str():
                yield Token(_large_int(content), "number")
            case "$float", str():
                yield Token(visible(content[:40]), "number")
            case "$datetime" | "$time", [str(local), zone, *_]:
                yield Token(f"{tag[1:]} ", "type")
                yield Token(visible(f"{local.replace('T', ' ')} {zone or ''}".strip()), "number")
            case (("$datetime" | "$time" | "$date" | "$decimal" | "$uuid"), str()):
                yield Token(f"{tag[1:]} ", "type")
                yield Token(visible(content[: self._longest_text].replace("T", " ")), "number")
            case "$timedelta", [int(days), int(seconds), int(microseconds)]:
                yield Token("timedelta ", "type")
                yield Token(_timedelta(days, seconds, microseconds), "number")
            case "$repr", str():
                yield Token(visible(content[: self._longest_text]), "type")
            case _:
                yield Token(f"{visible(tag[1:])} ", "type")
                yield from self.value(content, depth)


def _html(tokens: Iterator[Token], longest: int) -> SafeString:
    pieces, length = [], 0
    for token in tokens:
        left = longest - length
        if left <= 0:
            pieces.append("…")
            break
        text = escape(token.text[:left])
        pieces.append(f'<span class="ds-json-{token.kind}">{text}</span>' if token.kind else text)
        length += len(token.text)
    return mark_safe("".join(pieces))


def _written_out(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _is_pair(pair: JSONValue) -> TypeGuard[list[JSONValue]]:
    return isinstance(pair, list) and len(pair) == 2


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


MINUTE, HOUR, DAY = 60, 3600, 86400

#: Where there is nothing to show.
NONE = "\N{EN DASH}"


def duration(length: timedelta | float | None) -> str:
    """How long something takes: ``8 ms``, ``1.24 s``, ``3 min 5 s``, ``2 h 10 min``, ``5 d 3 h``."""
    if length is None:
        return ""
    seconds = length.total_seconds() if isinstance(length, timedelta) else length
    seconds = max(0.0, seconds)
    if seconds < 1:
        return _("%(number)s ms") % {"number": round(seconds * 1000)}
    if seconds < MINUTE:
        digits = 2 if seconds < 10 else 1
        return _("%(number)s s") % {"number": number_format(round(seconds, digits), decimal_pos=digits)}
    return _coarse(seconds)


def age(length: timedelta | float) -> str:
    """How long ago something was, or how far ahead it is: whole numbers only."""
    seconds = abs(length.total_seconds() if isinstance(length, timedelta) else length)
    return _("%(number)s s") % {"number": int(seconds)} if seconds < MINUTE else _coarse(seconds)


def relative(moment: datetime, now: datetime | None = None) -> str:
    """``in 3 min`` or ``2 s ago``."""
    ahead = (moment - (now or timezone.now())).total_seconds()
    if abs(ahead) < 1:
        return _("now")
    return (_("in %(time)s") if ahead > 0 else _("%(time)s ago")) % {"time": age(ahead)}


def exact(moment: datetime) -> str:
    """In the project's time zone, to the microsecond."""
    local = timezone.localtime(moment)
    return f"{date_format(local, 'Y-m-d H:i:s')}.{local:%f} {local:%Z}"


def to_the_second(moment: datetime) -> str:
    """In the project's time zone: Django's own formats leave the seconds out."""
    return date_format(timezone.localtime(moment), "Y-m-d H:i:s")


def moment(time: datetime | None) -> SafeString:
    """A time as seen from now; the exact one when one points at it."""
    if time is None:
        return mark_safe(NONE)
    return format_html('<time datetime="{}" title="{}">{}</time>', time.isoformat(), exact(time), relative(time))


def _coarse(seconds: float) -> str:
    whole = round(seconds)
    if whole < HOUR:
        return _two(whole, MINUTE, _("%(number)s min"), 1, _("%(number)s s"))
    if whole < DAY:
        return _two(whole, HOUR, _("%(number)s h"), MINUTE, _("%(number)s min"))
    return _two(whole, DAY, _("%(number)s d"), HOUR, _("%(number)s h"))


def _two(seconds: int, large: int, large_text: str, small: int, small_text: str) -> str:
    first, rest = divmod(seconds, large)
    text = large_text % {"number": first}
    # Ten of something are precise enough without its parts.
    return f"{text} {small_text % {'number': rest // small}}" if first < 10 and rest // small else text
