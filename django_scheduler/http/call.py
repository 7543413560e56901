"""Whether a request may call a function: its CSRF token where it has a session, and the site's own rule.

A call from a client: finding the function, and running it as the request's user.
"""

from __future__ import annotations

from typing import Any

from asgiref.sync import async_to_sync, iscoroutinefunction
from django.conf import settings
from django.db import router
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import CsrfViewMiddleware
from django.utils.module_loading import import_string

from django_scheduler.conf import get_settings
from django_scheduler.context import Context
from django_scheduler.errors import InvalidArguments
from django_scheduler.functions import AnyFunction, registry
from django_scheduler.http.request import Call, Refusal, failure, success
from django_scheduler.models import Kind, ScheduledFunction
from django_scheduler.scheduling import Running, calls
from django_scheduler.telemetry import report


def require_csrf_token(request: HttpRequest) -> None:
    """Raises ``Refusal`` where a browser may have sent a user's session without the user knowing.

    A request without a session's cookie needs no token. Whatever else a browser adds by itself, such as a client's
    certificate, it adds to JSON from another site's page only if this site has allowed that page (CORS).
    """
    if settings.SESSION_COOKIE_NAME not in request.COOKIES:
        return
    check = _CsrfCheck(_view)
    check.process_request(request)
    if reason := check.process_view(request, _view, (), {}):
        raise Refusal(403, f"The request has a session, but no valid CSRF token: {reason}")


def load_user(request: HttpRequest) -> None:
    """Read the request's user from the database now, which async code could not."""
    if (user := getattr(request, "user", None)) is not None:
        _ = user.pk


def require_permission(request: HttpRequest, function: AnyFunction) -> None:
    """Raises ``Refusal`` unless the site's rule, if there is one, says ``True``."""
    path = get_settings().HTTP_PERMISSION
    if path is None:
        return
    try:
        rule: Any = import_string(path)
        verdict = async_to_sync(rule)(request, function) if iscoroutinefunction(rule) else rule(request, function)
        if not isinstance(verdict, bool):
            raise TypeError(f"it returned {type(verdict).__name__}, and must return True or False")
    except Exception as error:
        report(
            "%s was refused to a client, because the permission %s failed: %r", function.name, path, error, error=error
        )
        verdict = False
    if not verdict:
        raise Refusal(403, "This function may not be called with this request.")


def _view(request: HttpRequest) -> HttpResponse:
    raise NotImplementedError  # the check does not call it


class _CsrfCheck(CsrfViewMiddleware):
    def _reject(self, request: HttpRequest, reason: str) -> Any:
        return reason  # instead of a page for people


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
        return failure(function.name, error)
    return success(function.name, value)


def _a(kind: Kind) -> str:
    return "an action" if kind is Kind.ACTION else "a mutation"
