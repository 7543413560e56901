"""What Django or the database refuses for a reason that is not in the call is answered with what to do about it.

Django refuses to ask the database within an event loop, and knows only ``sync_to_async`` to recommend; the database
knows only that it has no such table.
"""

import asyncio
import re
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured, SynchronousOnlyOperation
from django.db import DatabaseError, connections

from django_scheduler.databases import VENDORS, database_for

P = ParamSpec("P")
R = TypeVar("R")


def names_async_twin(owner: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorate a method of ``owner``, such as ``"ctx"``, whose async twin has its name with an ``a`` before.

    Raises ``SynchronousOnlyOperation``, as Django does, that names the twin.
    """

    def decorate(method: Callable[P, R]) -> Callable[P, R]:
        @wraps(method)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                return method(*args, **kwargs)
            except SynchronousOnlyOperation as error:
                if not is_in_event_loop():
                    raise  # somebody's own async code, which was called from here
                name = method.__name__
                raise SynchronousOnlyOperation(
                    f"{owner}.{name} waits for the database: in async code, await {owner}.a{name}."
                ) from error

        return call

    return decorate


def explains_refusals(owner: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorate a method that asks our tables; it names its async twin too.

    Raises ``ImproperlyConfigured`` where a migration is missing.
    """

    def decorate(method: Callable[P, R]) -> Callable[P, R]:
        @wraps(method)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                return method(*args, **kwargs)
            except DatabaseError as error:
                if not _is_not_migrated(error):
                    raise
                text = " ".join(str(error).split())
                raise ImproperlyConfigured(
                    f"{owner}.{method.__name__} needs the tables of django_scheduler as this version has them: run"
                    f" manage.py migrate, with --database for another one than the default ({text})."
                ) from error

        return names_async_twin(owner)(call)

    return decorate


def _is_not_migrated(error: DatabaseError) -> bool:
    """Return whether a statement of ours failed because a table or a column of ours is not there.

    Where the database tells the table, it has to be one of ours: models among the arguments are looked up, too.
    """
    tables = set(re.findall(r"\w+", str(error))) & {model._meta.db_table for model in apps.get_models()}
    ours = {model._meta.db_table for model in apps.get_app_config("django_scheduler").get_models()}
    return (not tables or not tables.isdisjoint(ours)) and any(
        database_for(alias).names_what_is_not_there(error)
        for alias in connections
        if connections[alias].vendor in VENDORS
    )


def is_in_event_loop() -> bool:
    """Return whether an event loop is running in this thread."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
