"""A request may call a function if the site's own rule permits it; one with a session needs a CSRF token too."""

from typing import Any

from asgiref.sync import async_to_sync, iscoroutinefunction
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import CsrfViewMiddleware
from django.utils.module_loading import import_string

from django_scheduler.conf import get_settings
from django_scheduler.functions import AnyFunction
from django_scheduler.http.answer import Refusal
from django_scheduler.telemetry import report


def require_csrf_token(request: HttpRequest) -> None:
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


def require_permission(request: HttpRequest, function: AnyFunction) -> None:
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


class _CsrfCheck(CsrfViewMiddleware):
    """Django's check, which returns the reason instead of a page for people."""

    def _reject(self, request: HttpRequest, reason: str) -> Any:
        return reason


def _view(request: HttpRequest) -> HttpResponse:
    raise NotImplementedError  # the check does not call it
