"""The checks that ask the record's database, as one: for ``check --deploy --database``, and only for that."""

from collections.abc import Callable, Collection, Iterable
from typing import Any

from django.core.checks import CheckMessage, Error, Tags, register
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, InterfaceError, connections, router

from django_scheduler.conf import get_settings
from django_scheduler.databases import VENDORS
from django_scheduler.models import ScheduledFunction

Check = Callable[[str], Iterable[CheckMessage]]

_checks: list[Check] = []


def on_database(check: Check) -> Check:
    """Have a check called with the alias of the database, once that answers."""
    _checks.append(check)
    return check


@register(Tags.database, deploy=True)  # under no other tag: who asks for that one has not asked for a connection
def check_database(*, databases: Collection[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """E018: the database does not answer. If it does, what the others have to say."""
    alias = router.db_for_write(ScheduledFunction)
    if alias not in (databases or ()) or not _can_be_asked(alias):
        return []
    if problem := _why_unreachable(alias):
        return [
            Error(
                f"The database {alias!r}, in which functions are scheduled, cannot be reached: {problem}",
                hint="Until it can, nothing is scheduled and nothing is executed.",
                id="django_scheduler.E018",
            )
        ]
    return [message for check in _checks for message in check(alias)]


def _can_be_asked(alias: str) -> bool:
    """Whether nothing is wrong that other checks tell."""
    try:
        get_settings()
    except ImproperlyConfigured:
        return False
    return alias in connections.settings and connections[alias].vendor in VENDORS


def _why_unreachable(alias: str) -> str | None:
    try:
        connections[alias].ensure_connection()
    except (DatabaseError, InterfaceError, ImproperlyConfigured) as error:
        return " ".join(str(error).split()) or type(error).__name__
    return None
