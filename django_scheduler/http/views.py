"""Clients post to ``mutation/`` and ``action/``: ``{"path": "orders:create_order", "args": {...}}``.

The answers are those of Convex's HTTP API: what a function returned or raised is 200, with ``status`` ``"success"`` or
``"error"``. A request that reached no function is 4xx, in the same form.

A request may call a function if the site's own rule permits it; one with a session needs a CSRF token too.
"""

from copy import copy
from typing import Any

from asgiref.sync import async_to_sync, iscoroutinefunction
from django.conf import settings
from django.db import router, transaction
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import CsrfViewMiddleware
from django.utils.module_loading import import_string
from django.views.decorators.csrf import csrf_exempt

from django_scheduler.conf import get_settings
from django_scheduler.context import Context
from django_scheduler.errors import InvalidArguments
from django_scheduler.functions import AnyFunction, Function, registry
from django_scheduler.http.answer import Refusal, failure, success
from django_scheduler.http.request import parse, require_readable
from django_scheduler.models import LONGEST_NAME, Kind, ScheduledFunction
from django_scheduler.scheduling import Running, calls
from django_scheduler.telemetry import report

#: How much of why arguments do not fit is told, in characters.
LONGEST_EXPLANATION = 500


@csrf_exempt  # _require_csrf_token asks for it, and answers in JSON
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
        require_readable(request)
        _require_csrf_token(request)
        path, args = parse(request)
        _load_user(request)
        function = _find(request, path, kind)
        arguments = _bind(function, args)
    except Refusal as refusal:
        return refusal.answer()
    try:
        value = _run(function, arguments, request)
    except Exception as error:
        return failure(function.name, error)
    return success(function.name, value)


def _require_csrf_token(request: HttpRequest) -> None:
    """Raise ``Refusal`` where a browser may have sent a user's session without the user knowing.

    A request without a session's cookie needs no token. Whatever else a browser adds by itself, such as a client's
    certificate, it adds to JSON from another site's page only if this site has allowed that page (CORS).
    """
    if settings.SESSION_COOKIE_NAME not in request.COOKIES:
        return
    check = _CsrfCheck(_view)
    check.process_request(request)
    if reason := check.process_view(request, _view, (), {}):
        raise Refusal(403, f"The request has a session, but no valid CSRF token: {reason}")


class _CsrfCheck(CsrfViewMiddleware):
    """Is Django's check, but returns the reason instead of a page for people."""

    def _reject(self, request: HttpRequest, reason: str) -> Any:
        return reason


def _view(request: HttpRequest) -> HttpResponse:
    raise NotImplementedError  # the check does not call it


def _find(request: HttpRequest, path: str, kind: Kind) -> AnyFunction:
    """Return the public function of that name, if the site's rule permits it to be called.

    Raises ``Refusal``, which is the same, byte for byte, for an internal function and for one that does not exist. The
    site's rule is asked about them as about any other, and its refusal comes first: whom it permits nothing learns
    nothing, neither from the answer nor from the time that it takes.
    """
    function = registry.find(path)
    if function is not None and not function.public:
        function = None
    _require_permission(request, _stand_in(path, kind) if function is None else function)
    if function is None:
        raise Refusal(404, "There is no public function of that name.")
    if function.kind is not kind:
        actual = function.kind.value
        article = "an" if function.kind is Kind.ACTION else "a"
        raise Refusal(400, f"{function.name} is no {kind.value} but {article} {actual}: post to {actual}/.")
    return function


def _no_body(ctx: Context) -> None:
    raise NotImplementedError  # nobody calls a stand-in


_STAND_INS: dict[Kind, AnyFunction] = {kind: Function(_no_body, kind=kind, public=True) for kind in Kind}


def _stand_in(path: str, kind: Kind) -> AnyFunction:
    """Return a function of that name and kind, about which the site's rule can be asked. It is not registered."""
    function = copy(_STAND_INS[kind])
    function.name = path[:LONGEST_NAME]
    return function


def _require_permission(request: HttpRequest, function: AnyFunction) -> None:
    """Raise ``Refusal`` unless the site's rule, if there is one, returns ``True``."""
    path = get_settings().HTTP_PERMISSION
    if path is None:
        return
    try:
        rule: Any = import_string(path)
        verdict = async_to_sync(rule)(request, function) if iscoroutinefunction(rule) else rule(request, function)
        if not isinstance(verdict, bool):
            raise TypeError(f"it returned {type(verdict).__name__}, and must return True or False")
    except Exception as error:
        name = function.name
        report("%s was refused to a client, because the permission %s failed: %r", name, path, error, error=error)
        verdict = False
    if not verdict:
        raise Refusal(403, "This function may not be called with this request.")


def _load_user(request: HttpRequest) -> None:
    """Read the request's user from the database now, which async code could not."""
    if (user := getattr(request, "user", None)) is not None:
        _ = user.pk


def _bind(function: AnyFunction, args: dict[str, Any]) -> dict[str, object]:
    """Return the arguments by name. Raises ``Refusal`` if they do not fit the function."""
    try:
        return function.bind((), args)
    except InvalidArguments as error:
        reason = str(error.__context__ or error)  # without the signature, which is the site's business
        shown = reason if len(reason) <= LONGEST_EXPLANATION else f"{reason[:LONGEST_EXPLANATION]}..."
        raise Refusal(400, f"{function.name} cannot be called with these arguments: {shown}.") from None


def _run(function: AnyFunction, arguments: dict[str, object], request: HttpRequest) -> Any:
    """Run the function as the request's user, and return what it returns. Raises what it raises."""
    using = router.db_for_write(ScheduledFunction)
    context = Context(Running(kind=function.kind, using=using, user=getattr(request, "user", None)))
    if function.kind is Kind.ACTION:
        run = async_to_sync(calls.run_async_body) if function.is_async else calls.run_body
        return run(function, arguments, context)
    value, hook_error = calls.commit_mutation(context, function, arguments)
    if hook_error:
        text = "%s has committed, but then one of its on_commit hooks failed: %r"
        report(text, function.name, hook_error, error=hook_error)
    return value
