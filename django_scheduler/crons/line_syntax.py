"""The syntax of cron lines: what each field may say, and for what other systems write there, what to write here.

A line is checked here, and only then given to cronsim, whose own messages name no more than the field. Where cronsim
reads something else than what the line says, it gets the same in other words: a range of one with a step, ``0-0/15``,
is that one number, and not, as for cronsim, the beginning of a range that ends with the field.

``5/15`` begins at 5 and goes on to the end of the field, as in ``5-59/15``. As a day of the week it is refused: the
field ends with 7, which is Sunday once more, and nobody who writes ``mon/2`` thinks of that.
"""

import re
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from django_scheduler.errors import InvalidSchedule

LONGEST_LINE = 255

#: As the minute of a line: the name of the cron chooses one.
STABLE_MINUTE = "H"

DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")

NICKNAMES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhd])")
_UNITS = {"ms": "milliseconds", "s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class Refusal(ValueError):
    """Says what is wrong with a line or one of its fields, and what to write instead."""


@dataclass(frozen=True, slots=True)
class Field:
    """Describes one of the five fields."""

    name: str
    lowest: int
    highest: int
    #: What stands for its numbers, beginning with the lowest.
    words: tuple[str, ...] = ()

    def number(self, text: str) -> int:
        """Return the number that stands alone, or begins or ends a range."""
        word = text.lower()
        if word in self.words:
            return self.lowest + self.words.index(word)
        if not (text.isascii() and text.isdecimal()):
            raise Refusal(self._why_no_number(text))
        number = int(text)
        if not self.lowest <= number <= self.highest:
            hint = " Midnight is 0." if self.name == "hour" and number == 24 else ""
            raise Refusal(f"{self.name} is from {self.lowest} to {self.highest}, not {text}.{hint}")
        return number

    def shown(self, number: int) -> str:
        return self.words[(number - self.lowest) % len(self.words)] if self.words else str(number)

    def _why_no_number(self, text: str) -> str:
        known = f"{text!r} is no {self.name}"
        if len(text) > 3 and text[:3].lower() in self.words:
            return f"{known}: write {text[:3].lower()}, names have three letters."
        for other in FIELDS:
            if text[:3].lower() in other.words:
                return f"{known}. The order is minute, hour, day of month, month, day of week."
        if text.upper().startswith("H"):
            return f"{known}: only the minute can be chosen by the cron's name, and is then H alone."
        if "~" in text:
            return f"{known}: for a minute that is not the same for all crons write H."
        if "W" in text.upper() and self.name == "day of month":
            return (
                f"{known}: there is no nearest weekday. Write LW for the last weekday of the month, or several days and"
                " mon-fri, and let the function decide."
            )
        if text.upper().startswith("L") and self.name == "day of month":
            return f"{known}: L is the last day of the month, and no days can be counted from there."
        words = f", or {self.words[0]} to {self.words[-1]}" if self.words else ""
        return f"{known}: write a number from {self.lowest} to {self.highest}{words}."


MINUTE = Field("minute", 0, 59)
HOUR = Field("hour", 0, 23)
DAY_OF_MONTH = Field("day of month", 1, 31)
MONTH = Field("month", 1, 12, MONTHS)
#: Sunday is 0, and also 7.
DAY_OF_WEEK = Field("day of week", 0, 7, DAYS)
FIELDS = (MINUTE, HOUR, DAY_OF_MONTH, MONTH, DAY_OF_WEEK)


@lru_cache(maxsize=1024)
def for_cronsim(line: str) -> str:
    """Return a line as cronsim has to read it. The minute ``H`` becomes any one.

    Raises ``InvalidSchedule`` for what is no cron line, which says what to write instead. (Whether it ever matches, as
    30 February does not, is not looked at.)
    """
    if len(line) > LONGEST_LINE:
        raise InvalidSchedule(f"A cron line has at most {LONGEST_LINE} characters, not {len(line)}.")
    texts = line.split()
    try:
        _refuse_what_is_no_field(texts)
        if len(texts) != len(FIELDS):
            raise Refusal(_why_not_five(texts))
        minute = "0" if texts[0] == STABLE_MINUTE else texts[0]
        return " ".join(_field(*each) for each in zip(FIELDS, (minute, *texts[1:]), strict=True))
    except Refusal as refusal:
        raise InvalidSchedule(f"The cron line {line!r} is not valid: {refusal}") from None


def _field(field: Field, text: str) -> str:
    if "?" in text:
        raise Refusal(f"for any {field.name} write * and not ?. Days of the week are numbered from Sunday, 0.")
    return ",".join(_term(field, term) for term in text.split(","))


def _term(field: Field, term: str) -> str:
    """Check what stands between commas, and return it as cronsim has to read it."""
    if not term:
        raise Refusal(f"{field.name} has nothing before, after or between commas.")
    if field is DAY_OF_MONTH and term.upper() in ("L", "LW"):
        return term
    if field is DAY_OF_WEEK and re.fullmatch(r".*#.*|\d*L|(?:" + "|".join(DAYS) + ")L", term, re.IGNORECASE):
        return _day_in_month(term)
    values, slash, step = term.partition("/")
    if slash and not (step.isascii() and step.isdecimal() and int(step) > 0):
        raise Refusal(f"the step of {term!r} must be a whole number from 1.")
    if slash:
        _refuse_large_step(field, term, int(step))
    if values == "*":
        return term
    start, dash, end = values.partition("-")
    first = field.number(start)
    if dash:
        last = field.number(end)
        if last < first:
            raise Refusal(f"{term!r} runs backwards: write {_unwrapped(field, first, last, step)}.")
        return start if first == last else term
    if slash and field is DAY_OF_WEEK:
        raise Refusal(_why_no_end(term, first, int(step)))
    return term


def _refuse_large_step(field: Field, term: str, step: int) -> None:
    """Refuse a step that leads out of the field: what runs then is the first of its numbers alone."""
    size = len(field.words) or field.highest - field.lowest + 1
    if step <= size:
        return
    instead = ""
    if field in (MINUTE, HOUR) and term.startswith("*"):
        instead = f" For what runs every {step} {field.name}s there is crons.Interval({field.name}s={step})."
    raise Refusal(f"the step of {term!r} is too large: the field {field.name} has {size} numbers.{instead}")


def _day_in_month(term: str) -> str:
    """Check ``mon#2``, the second Monday of a month, or ``1L``, the last one."""
    day, mark, which = term.partition("#")
    if mark:
        DAY_OF_WEEK.number(day)
        if which not in ("1", "2", "3", "4", "5"):
            raise Refusal(f"after # stands which one of the month it is, from 1 to 5, not {which!r}.")
        return term
    day = term[:-1]
    if not day:
        raise Refusal("write sat for Saturday; with L stands a number, as in 5L, the last Friday of the month.")
    return f"{DAY_OF_WEEK.number(day)}L"


def _unwrapped(field: Field, first: int, last: int, step: str) -> str:
    """Return a range that goes on after the end of a field as one that does not, or as a list."""
    size = len(field.words) or field.highest - field.lowest + 1
    highest = field.lowest + size - 1
    if first > highest:  # Sunday as 7
        first = field.lowest
    if step:
        every = range(first, (last if last >= first else last + size) + 1, int(step))
        return ",".join(field.shown((number - field.lowest) % size + field.lowest) for number in every)
    parts = ((first, last),) if last >= first else ((first, highest), (field.lowest, last))
    shown = ((field.shown(low), field.shown(high)) for low, high in parts)
    return ",".join(low if low == high else f"{low}-{high}" for low, high in shown)


def _why_no_end(term: str, first: int, step: int) -> str:
    days = range(first, 7, step) if first < 7 else [7]
    listed = ",".join(map(DAY_OF_WEEK.shown, days))
    sunday = f", or {listed},sun with Sunday" if first < 7 and 7 in range(first, 8, step) and first else ""
    return f"{term!r} does not say with which day it ends: write {listed}{sunday}."


def _refuse_what_is_no_field(texts: list[str]) -> None:
    first, *rest = texts or [""]
    if first.startswith("@"):
        raise Refusal(_instead_of_nickname(first.lower(), rest))
    if variable := re.fullmatch(r"(?:CRON_)?TZ=(.+)", first, re.IGNORECASE):
        raise Refusal(_instead_of_zone(variable[1], rest))
    if expression := re.fullmatch(r"(cron|rate)\((.*)\)", " ".join(texts), re.IGNORECASE):
        raise Refusal(_instead_of_expression(expression[1].lower(), expression[2].split()))


def _instead_of_expression(name: str, texts: list[str]) -> str:
    """Say what to write for ``rate(5 minutes)`` and ``cron(0 9 * * ? *)``, as EventBridge has them."""
    if name == "cron":
        _refuse_what_is_no_field(texts)
        return _why_not_five(texts) if len(texts) != len(FIELDS) else f"write {' '.join(texts)!r}, without cron()."
    if rate := re.fullmatch(r"(\d+) (minute|hour|day)s?", " ".join(texts).lower()):
        number, unit = (int(rate[1]) * 24, "hour") if rate[2] == "day" else (int(rate[1]), rate[2])
        return f"write crons.Interval({unit}s={number}) for rate({' '.join(texts)})."
    return "write crons.Interval(minutes=5) for what runs every five minutes."


def _why_not_five(texts: list[str]) -> str:
    if len(texts) == 6:
        for zone, rest in ((texts[-1], texts[:-1]), (texts[0], texts[1:])):
            if _is_zone(zone):
                return _instead_of_zone(zone, rest)
    five = "minute, hour, day of month, month, day of week, without spaces within one and without a command"
    hint = _instead_of_more(texts) if len(texts) in (6, 7) else ""
    return f"it has {len(texts)} fields, and needs five: {five}.{hint}"


def _instead_of_nickname(nickname: str, rest: list[str]) -> str:
    if line := NICKNAMES.get(nickname):
        return f"write {line!r} for {nickname}."
    if nickname == "@reboot":
        return "nothing runs when a process starts: schedule it where your deploy ends, with ctx.scheduler.run_after()."
    parts = _DURATION.findall(rest[0]) if nickname == "@every" and rest else []
    if parts and "".join(number + unit for number, unit in parts) == rest[0]:
        if len(parts) == 1 and parts[0][1] in "smh":
            ((number, unit),) = parts
            return f"write crons.Interval({_UNITS[unit]}={number}) for @every {rest[0]}."
        length = sum((timedelta(**{_UNITS[unit]: float(number)}) for number, unit in parts), timedelta(0))
        return f"write crons.Interval(seconds={length.total_seconds():g}) for @every {rest[0]}."
    if nickname == "@every":
        return "write crons.Interval(minutes=5) for what runs every five minutes."
    return f"{nickname} is not known: write five fields, such as '0 9 * * mon-fri'."


def _instead_of_zone(zone: str, rest: list[str]) -> str:
    line = " ".join(rest)
    line = NICKNAMES.get(line.lower(), line)
    return f"the zone is no part of the line: write crons.CronLine({line!r}, timezone={zone!r})."


def _instead_of_more(texts: list[str]) -> str:
    """Say what to write for a line with seconds, or with a year; say nothing if that is not what it has."""
    # EventBridge has a year, and ? for one of the days, where with seconds the hour or the month would stand.
    has_year = len(texts) == 6 and ("?" in (texts[2], texts[4]) or re.fullmatch(r"\d{4}.*", texts[-1]))
    seconds, *rest = (text.replace("?", "*") for text in texts)
    if not has_year and re.fullmatch(r"\*|\*/\d+|0/\d+", seconds) and set(rest) == {"*"}:
        return f" For what runs every few seconds there is crons.Interval(seconds={seconds.partition('/')[2] or 1})."
    if has_year:
        what, five = "the year", [seconds, *rest[:-1]]
    else:
        what, five = "the seconds and the year" if len(texts) == 7 else "the seconds", rest[:5]
    try:
        _field(MINUTE, seconds)
        line = for_cronsim(" ".join(five))
    except (Refusal, InvalidSchedule):
        return ""
    return f" Leave out {what}: {line!r}. (Days of the week are numbered from Sunday, 0.)"


def _is_zone(text: str) -> bool:
    try:
        ZoneInfo(text)
    except (LookupError, ValueError, OSError):
        return False
    return True
