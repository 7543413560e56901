"""``running`` knows the function that the current code is part of.

A ``ContextVar`` carries it, so the imported ``ctx`` knows it in every service that a function calls, in
async code and across ``sync_to_async``. A thread that a function starts by itself does not inherit it;
the ``ctx`` that the function was given knows it there too.
"""

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from django_scheduler.models import Kind, ScheduledFunctionId

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """Describes a function that runs now, and what scheduled function it is part of."""

    #: What kind of function it is.
    kind: Kind
    #: The database that it runs on, and that it schedules in.
    using: str
    #: The scheduled function that is executing, which may have called this one; ``None`` where a view or a service
    #: called the function itself.
    function_id: ScheduledFunctionId | None = None
    #: The kind of that scheduled function.
    scheduled_kind: Kind | None = None
    #: Which executor executes it, and which attempt this is.
    executor_name: str = ""
    attempt: int = 0
    #: The user whose request called it over HTTP; ``None`` for everything else.
    user: "AbstractBaseUser | AnonymousUser | None" = None
    #: When its timeout ends; ``None``: never.
    deadline: datetime | None = None
    #: Says whether it should end early.
    should_end_early: Callable[[], bool] = lambda: False


running: ContextVar[Running | None] = ContextVar("django_scheduler.running", default=None)
