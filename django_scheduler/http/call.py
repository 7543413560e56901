"""A call from a client: finding the function, and running it as the request's user."""

from __future__ import annotations

from django.db import router
from django.http import HttpRequest, HttpResponse

from django_scheduler import calls
from django_scheduler.context import Context
from django_scheduler.errors import InvalidArguments
from django_scheduler.functions import AnyFunction
from django_scheduler.http import answer
from django_scheduler.http.answer import Refusal
from django_scheduler.http.request import Call
from django_scheduler.log import report
from django_scheduler.models import Kind, ScheduledFunction
from django_scheduler.registry import registry
from django_scheduler.running import Running


def find(path: str, kind: Kind) -> AnyFunction:
    """The public function of that name.

    Raises ``Refusal``, which is the same, byte for byte, for an internal function and for one that does not exist.
    """
    function = registry.find(path)
    if function is None or not function.public:
        raise Refusal(404, "There is no public function of that name.")
    if function.kind is not kind:
        raise Refusal(
            400, f"{function.name} is no {kind.value} but {_a(function.kind)}: post to {function.kind.value}/."
        )
    return function


def bind(function: AnyFunction, call: Call) -> None:
    """Raises ``Refusal`` if the arguments do not fit the function."""
    try:
        function.bind((), call.args)
    except InvalidArguments as error:
        reason = error.__context__ or error  # without the signature, which is the site's business
        raise Refusal(400, f"{function.name} cannot be called with these arguments: {reason}.") from None


def run(function: AnyFunction, call: Call, request: HttpRequest) -> HttpResponse:
    """Run the function and answer with what became of it."""
    running = Running(
        kind=function.kind, using=router.db_for_write(ScheduledFunction), user=getattr(request, "user", None)
    )
    context = Context(running)
    try:
        if function.kind is Kind.MUTATION:
            value, hook_error = calls.commit_mutation(context, function, function.bind((), call.args))
            if hook_error:
                report(
                    "%s has committed, but then one of its on_commit hooks failed: %r",
                    function.name,
                    hook_error,
                    error=hook_error,
                )
        else:
            value = context.run_action(function, **call.args)
    except Exception as error:
        return answer.failure(function.name, error)
    return answer.success(function.name, value)


def _a(kind: Kind) -> str:
    return "an action" if kind is Kind.ACTION else "a mutation"
