"""Middleware as sites have it, and as no site should have it."""

import threading
from contextvars import ContextVar
from typing import Any

from django.core.exceptions import MiddlewareNotUsed
from django.db import connection

from django_scheduler import ctx
from django_scheduler.middleware import Call, Middleware, NewContext, Run
from tests.models import Entry

#: What has happened, in order.
events: list[str] = []

#: The calls that ``Inner`` was given.
calls: list[Call] = []

#: What ``Tenant`` adds when something is scheduled, and what it sets around a body.
tenant: ContextVar[str] = ContextVar("tests.tenant", default="")

#: What ``Adds`` adds to the context.
added: dict[Any, Any] = {}


class Outer(Middleware):
    def schedule(self, context: NewContext) -> None:
        events.append(f"outer schedules {context.name} {context.kind} {context.queue} {context.number}")
        context["outer"] = True

    def __call__(self, call: Call) -> Any:
        events.append("outer begins")
        try:
            return self.run(call)
        finally:
            events.append("outer ends")


class Inner:
    """Inherits nothing."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def schedule(self, context: dict[str, Any]) -> None:
        events.append(f"inner schedules, given {sorted(context)}")

    def __call__(self, call: Call) -> Any:
        events.append("inner begins")
        calls.append(call)
        result = self._run(call)
        events.append("inner ends")
        return result


class Tenant(Middleware):
    def schedule(self, context: NewContext) -> None:
        if tenant.get():
            context["tenant"] = tenant.get()

    def __call__(self, call: Call) -> Any:
        tenant.set(call.context.get("tenant", ""))  # never reset
        return self.run(call)


class Adds(Middleware):
    def schedule(self, context: NewContext) -> None:
        context.update(added)


class AuditsInTheDatabase(Middleware):
    def __call__(self, call: Call) -> Any:
        Entry.objects.create(label=f"before {ctx.function_id}")
        result = self.run(call)
        Entry.objects.create(label="after")
        return result


class RaisesAfterwards(Middleware):
    def __call__(self, call: Call) -> Any:
        self.run(call)
        raise LookupError("the auditor is not there")


class RaisesWhenScheduling(Middleware):
    def schedule(self, context: NewContext) -> None:
        raise LookupError("nobody has logged in")


class ForgetsTheResult(Middleware):
    def __call__(self, call: Call) -> Any:
        self.run(call)


class DropsErrors(Middleware):
    def __call__(self, call: Call) -> Any:
        try:
            return self.run(call)
        except ValueError:
            return None


class NeverRuns(Middleware):
    def __call__(self, call: Call) -> Any:
        return None


class RunsTwice(Middleware):
    def __call__(self, call: Call) -> Any:
        self.run(call)
        return self.run(call)


class Hangs(Middleware):
    def __call__(self, call: Call) -> Any:
        while True:
            threading.Event().wait(0.01)


class SetsTheSession(Middleware):
    """As a schema for each tenant does."""

    def __call__(self, call: Call) -> Any:
        if call.args:
            with connection.cursor() as cursor:
                cursor.execute(SET_IN_SESSION[connection.vendor])
        return self.run(call)


SET_IN_SESSION = {
    "postgresql": "SET search_path TO pg_temp, public",
    "mysql": "SET SESSION max_heap_table_size = 65536",
    "sqlite": "PRAGMA cache_size = 99",
}


ASK_SESSION = {
    "postgresql": "SHOW search_path",
    "mysql": "SELECT @@session.max_heap_table_size",
    "sqlite": "PRAGMA cache_size",
}


class IsNotUsed(Middleware):
    def __init__(self, run: Run) -> None:
        raise MiddlewareNotUsed


class CannotBeMade(Middleware):
    def __init__(self, run: Run) -> None:
        raise RuntimeError("no license")


class TakesMoreThanItSays(Middleware):
    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments, *arguments)


class SchedulesWhileItIsMade(Middleware):
    def __init__(self, run: Run) -> None:
        super().__init__(run)
        ctx.scheduler.run_after(0, "tests:write", label="too early")


class CountsItself(Middleware):
    def __init__(self, run: Run) -> None:
        super().__init__(run)
        events.append("made")


class AsksWhatIsNotMigrated(Middleware):
    def __init__(self, run: Run) -> None:
        super().__init__(run)
        with connection.cursor() as cursor:
            cursor.execute("SELECT * FROM tenants_that_are_not_migrated")


def no_class(run: Run) -> Run:
    return run


class TakesNothing:
    def __call__(self, call: Call) -> Any: ...


class IsNotCallable:
    def __init__(self, run: Run) -> None: ...


class IsAsync(Middleware):
    async def __call__(self, call: Call) -> Any:
        return self.run(call)


class SchedulesWithoutContext(Middleware):
    def schedule(self) -> None:  # type: ignore[override]
        ...


class ForRequests:
    sync_capable = True

    def __init__(self, get_response: Any) -> None: ...

    def __call__(self, request: Any) -> Any: ...
