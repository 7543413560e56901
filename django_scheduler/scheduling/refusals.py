"""What Django or the database refuses for a reason that is not in the call is answered with what to do about it.

Django refuses to ask the database within an event loop, and knows only ``sync_to_async`` to recommend; the database
knows only that it has no such table.
"""

import asyncio
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from django.core.exceptions import ImproperlyConfigured, SynchronousOnlyOperation
from django.db import DatabaseError

from django_scheduler.databases import is_not_migrated

P = ParamSpec("P")
R = TypeVar("R")


def explains_refusals(owner: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorate a method of ``owner``, such as ``"ctx.scheduler"``, whose async twin has its name with an ``a`` before.

    Raises ``SynchronousOnlyOperation`` that names the twin, and ``ImproperlyConfigured`` where a migration is missing.
    """

    def decorate(method: Callable[P, R]) -> Callable[P, R]:
        name = f"{owner}.{method.__name__}"

        @wraps(method)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                return method(*args, **kwargs)
            except SynchronousOnlyOperation as error:
                if not is_in_event_loop():
                    raise  # somebody's own async code, which was called from here
                twin = f"{owner}.a{method.__name__}"
                raise SynchronousOnlyOperation(
                    f"{name} waits for the database: in async code, await {twin}."
                ) from error
            except DatabaseError as error:
                if not is_not_migrated(error):
                    raise
                text = " ".join(str(error).split())
                raise ImproperlyConfigured(
                    f"{name} needs the tables of django_scheduler as this version has them: run manage.py migrate, with"
                    f" --database for another one than the default ({text})."
                ) from error

        return call

    return decorate


def is_in_event_loop() -> bool:
    """Return whether an event loop is running in this thread."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
