"""A middleware is any class of the right shape; one that inherits knows what it is given."""

from typing import Any, assert_type

from django_scheduler.middleware import Call, Middleware, NewContext, Run
from django_scheduler.models import Kind, ScheduledFunctionId


class Inherits(Middleware):
    def schedule(self, context: NewContext) -> None:
        context["tenant"] = context.name
        assert_type(context.kind, Kind)
        context.tenant = "acme"  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]

    def __call__(self, call: Call) -> Any:
        assert_type(call.id, ScheduledFunctionId)
        assert_type(call.attempt, int)
        assert call.user  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
        call.context["tenant"] = "acme"  # type: ignore[index]  # pyright: ignore[reportIndexIssue]
        return self.run(call)


class TakesAnyDict(Middleware):
    def schedule(self, context: dict[str, Any]) -> None:
        context["tenant"] = "acme"


class TakesNoContext(Middleware):
    def schedule(self) -> None: ...  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]


class InheritsNothing:
    def __init__(self, run: Run) -> None:
        self._run = run

    def __call__(self, call: Call) -> object:
        return self._run(call)


wrapped: Run = Inherits(InheritsNothing(lambda call: call.id))
Inherits(7)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
