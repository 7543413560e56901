"""Times and durations are shown in few characters: "in 3 min", "2 s ago", "1.24 s". The exact time is a tooltip."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

MINUTE, HOUR, DAY = 60, 3600, 86400

#: Stands where there is nothing to show.
NONE = SafeString("\N{EN DASH}")


def duration(length: timedelta | float | None) -> str:
    """Return how long something takes: ``8 ms``, ``1.24 s``, ``3 min 5 s``, ``2 h 10 min``, ``5 d 3 h``."""
    if length is None:
        return ""
    seconds = max(0.0, _seconds(length))
    if seconds < 1:
        return _("%(number)s ms") % {"number": round(seconds * 1000)}
    if seconds < MINUTE:
        digits = 2 if seconds < 10 else 1
        return _("%(number)s s") % {"number": number_format(round(seconds, digits), decimal_pos=digits)}
    return _coarse(seconds)


def age(length: timedelta | float) -> str:
    """Return how long ago something was, or how far ahead it is, in whole numbers."""
    seconds = abs(_seconds(length))
    return _("%(number)s s") % {"number": int(seconds)} if seconds < MINUTE else _coarse(seconds)


def per(period: timedelta) -> str:
    """Return of which period a number is: ``per second``, ``per 10 min``."""
    named: dict[float, str] = {1: _("per second"), MINUTE: _("per minute"), HOUR: _("per hour"), DAY: _("per day")}
    return named.get(period.total_seconds()) or _("per %(length)s") % {"length": _in_one_unit(period)}


def within_the_last(period: timedelta) -> str:
    """Return when something was: ``within the last second``, ``within the last 10 min``."""
    named: dict[float, str] = {
        1: _("within the last second"),
        MINUTE: _("within the last minute"),
        HOUR: _("within the last hour"),
        DAY: _("within the last day"),
    }
    return named.get(period.total_seconds()) or _("within the last %(length)s") % {"length": _in_one_unit(period)}


def moment(time: datetime | None) -> SafeString:
    """Return a time as HTML, as seen from now, with the exact time when one points at it."""
    if time is None:
        return NONE
    return format_html('<time datetime="{}" title="{}">{}</time>', time.isoformat(), exact(time), _relative(time))


def exact(time: datetime) -> str:
    """Return a time in the project's time zone, to the microsecond."""
    local = timezone.localtime(time)
    return f"{date_format(local, 'Y-m-d H:i:s')}.{local:%f} {local:%Z}"


def to_the_second(time: datetime | None, zone: ZoneInfo | None = None) -> str:
    """Return a time in a zone (the viewer's) with its seconds and its offset, which Django's own formats leave out."""
    return date_format(timezone.localtime(time, zone), "Y-m-d H:i:s O") if time else "-"


def _relative(time: datetime) -> str:
    ahead = (time - timezone.now()).total_seconds()
    if abs(ahead) < 1:
        return _("now")
    return (_("in %(time)s") if ahead > 0 else _("%(time)s ago")) % {"time": age(ahead)}


def _seconds(length: timedelta | float) -> float:
    return length.total_seconds() if isinstance(length, timedelta) else length


def _in_one_unit(length: timedelta) -> str:
    """Return a length as it is declared, in the largest unit of which it has a whole number."""
    units = {DAY: _("%(number)s d"), HOUR: _("%(number)s h"), MINUTE: _("%(number)s min"), 1: _("%(number)s s")}
    for unit, text in units.items():
        if not length % timedelta(seconds=unit):
            return text % {"number": number_format(length // timedelta(seconds=unit))}
    return units[1] % {"number": number_format(length.total_seconds())}


def _coarse(seconds: float) -> str:
    whole = round(seconds)
    if whole < HOUR:
        return _in_two_units(whole, MINUTE, _("%(number)s min"), 1, _("%(number)s s"))
    if whole < DAY:
        return _in_two_units(whole, HOUR, _("%(number)s h"), MINUTE, _("%(number)s min"))
    return _in_two_units(whole, DAY, _("%(number)s d"), HOUR, _("%(number)s h"))


def _in_two_units(seconds: int, large: int, large_text: str, small: int, small_text: str) -> str:
    first, rest = divmod(seconds, large)
    text = large_text % {"number": first}
    # Ten of something are precise enough without its parts.
    return f"{text} {small_text % {'number': rest // small}}" if first < 10 and rest // small else text
