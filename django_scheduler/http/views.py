"""Clients post to ``mutation/`` and ``action/``: ``{"path": "orders:create_order", "args": {...}}``.

The answers are those of Convex's HTTP API: what a function returned or raised is 200, with ``status`` ``"success"`` or
``"error"``. A request that reached no function is 4xx, in the same form.
"""

from typing import Any

from asgiref.sync import async_to_sync
from django.db import router, transaction
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from django_scheduler.context import Context
from django_scheduler.errors import InvalidArguments
from django_scheduler.functions import AnyFunction, registry
from django_scheduler.http.answer import Refusal, failure, success
from django_scheduler.http.permission import require_csrf_token, require_permission
from django_scheduler.http.request import parse
from django_scheduler.models import Kind, ScheduledFunction
from django_scheduler.scheduling import Running, calls, run_async_body, run_body
from django_scheduler.telemetry import report


@csrf_exempt  # require_csrf_token asks for it, and answers in JSON
@transaction.non_atomic_requests  # a mutation has its own transaction, which is repeated when it conflicts
def run_mutation(request: HttpRequest) -> HttpResponse:
    """Run a public mutation now."""
    return _respond(request, Kind.MUTATION)


@csrf_exempt
@transaction.non_atomic_requests
def run_action(request: HttpRequest) -> HttpResponse:
    """Run a public action now."""
    return _respond(request, Kind.ACTION)


def _respond(request: HttpRequest, kind: Kind) -> HttpResponse:
    try:
        if request.method != "POST":
            raise Refusal(405, "Functions are called by POST.")
        require_csrf_token(request)
        call = parse(request)
        function = _find(call.path, kind)
        _load_user(request)
        require_permission(request, function)
        arguments = _bind(function, call.args)
    except Refusal as refusal:
        return refusal.answer()
    try:
        value = _run(function, arguments, request)
    except Exception as error:
        return failure(function.name, error)
    return success(function.name, value)


def _find(path: str, kind: Kind) -> AnyFunction:
    """Return the public function of that name.

    Raises ``Refusal``, which is the same, byte for byte, for an internal function and for one that does not exist.
    """
    function = registry.find(path)
    if function is None or not function.public:
        raise Refusal(404, "There is no public function of that name.")
    if function.kind is not kind:
        actual = function.kind.value
        article = "an" if function.kind is Kind.ACTION else "a"
        raise Refusal(400, f"{function.name} is no {kind.value} but {article} {actual}: post to {actual}/.")
    return function


def _load_user(request: HttpRequest) -> None:
    """Read the request's user from the database now, which async code could not."""
    if (user := getattr(request, "user", None)) is not None:
        _ = user.pk


def _bind(function: AnyFunction, args: dict[str, Any]) -> dict[str, object]:
    """Return the arguments by name. Raises ``Refusal`` if they do not fit the function."""
    try:
        return function.bind((), args)
    except InvalidArguments as error:
        reason = error.__context__ or error  # without the signature, which is the site's business
        raise Refusal(400, f"{function.name} cannot be called with these arguments: {reason}.") from None


def _run(function: AnyFunction, arguments: dict[str, object], request: HttpRequest) -> Any:
    """Run the function as the request's user, and return what it returns. Raises what it raises."""
    using = router.db_for_write(ScheduledFunction)
    context = Context(Running(kind=function.kind, using=using, user=getattr(request, "user", None)))
    if function.kind is Kind.ACTION:
        run = async_to_sync(run_async_body) if function.is_async else run_body
        return run(function, arguments, context)
    value, hook_error = calls.commit_mutation(context, function, arguments)
    if hook_error:
        text = "%s has committed, but then one of its on_commit hooks failed: %r"
        report(text, function.name, hook_error, error=hook_error)
    return value
