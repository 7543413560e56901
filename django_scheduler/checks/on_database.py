"""A check that asks the record's database: registered for ``check --deploy --database``, and only for that."""

from collections.abc import Callable, Collection, Iterable
from typing import Any

from django.core.checks import CheckMessage, Tags, register
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, InterfaceError, connections, router

from django_scheduler.databases import VENDORS
from django_scheduler.models import ScheduledFunction

Check = Callable[[str], Iterable[CheckMessage]]


def check_on_database(check: Check) -> Check:
    """Register a check that is given the alias of the database, once that answers.

    Where it does not, one check says so (E018), and the others have nothing to say.
    """

    def run(*, databases: Collection[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
        alias = router.db_for_write(ScheduledFunction)
        if alias not in (databases or ()) or alias not in connections.settings:
            return []
        if connections[alias].vendor not in VENDORS or why_unreachable(alias):
            return []
        return list(check(alias))

    run.__name__, run.__doc__ = check.__name__, check.__doc__
    # Under no other tag: who asks for that one has not asked for a connection.
    register(run, Tags.database, deploy=True)
    return check


def why_unreachable(alias: str) -> str | None:
    """Why there is no connection to a database, or ``None``."""
    try:
        connections[alias].ensure_connection()
    except (DatabaseError, InterfaceError, ImproperlyConfigured) as error:
        return " ".join(str(error).split()) or type(error).__name__
    return None


def tables_exist(alias: str) -> bool:
    """Whether this app's tables are there. If not, that is what has to be said, and nothing else."""
    with connections[alias].cursor() as cursor:
        return ScheduledFunction._meta.db_table in connections[alias].introspection.table_names(cursor)
