"""Middleware: for requests, of Django's kind, and for scheduled functions, of ours.

``Middleware`` is what a class in ``DJANGO_SCHEDULER["MIDDLEWARE"]`` may inherit from, and ``LanguageMiddleware`` is
such a class. ``docs/middleware.md`` shows others, and ``scheduling/middleware_chain.py`` says how they are called.

``RequestContextMiddleware`` records which request has caused a function: its id, and its user. Add
``"django_scheduler.middleware.RequestContextMiddleware"`` to Django's own ``MIDDLEWARE``. What is scheduled while a
request is served then has on record, in the column ``context``, as far as it is known:

* ``request_id``: what the request's header ``DJANGO_SCHEDULER["REQUEST_ID_HEADER"]`` says, if it looks like an id;
* ``user_id`` and ``user``: the key and the name of its user, if anything has looked at ``request.user`` by then.
  Nothing is read from the database for it.

It travels on to what these functions schedule. Functions are given neither the request nor the user. What a streaming
response schedules while it is sent has no request any more.
"""

import json
import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, cast

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import translation
from django.utils.functional import LazyObject, empty

from django_scheduler.conf import get_settings
from django_scheduler.scheduling import Call, Middleware, NewContext, Run, request_context
from django_scheduler.telemetry import warn

__all__ = ["Call", "LanguageMiddleware", "Middleware", "NewContext", "RequestContextMiddleware", "Run", "serving"]

#: Anybody can send any header. Others are not recorded.
REQUEST_ID = re.compile(r"[\w.:+/=@~-]{1,200}", re.ASCII)

#: How much is recorded of a user's key and name, in characters.
LONGEST_KEY, LONGEST_NAME = 64, 150

GetResponse = Callable[[HttpRequest], HttpResponseBase | Awaitable[HttpResponseBase]]


class LanguageMiddleware(Middleware):
    """Has a function run in the language that was active where it was scheduled, and what it schedules as well."""

    def schedule(self, context: NewContext) -> None:
        context["language"] = translation.get_language()

    def __call__(self, call: Call) -> Any:
        with translation.override(call.context.get("language", settings.LANGUAGE_CODE)):
            return self.run(call)


class RequestContextMiddleware:
    """Has what is scheduled while a request is served know that request, in synchronous and in async code."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: GetResponse) -> None:
        self._get_response = get_response
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        if self._is_async:
            return self._respond(request)
        with serving(request):
            return self._get_response(request)

    async def _respond(self, request: HttpRequest) -> HttpResponseBase:
        with serving(request):
            return await cast(Awaitable[HttpResponseBase], self._get_response(request))


@contextmanager
def serving(request: HttpRequest) -> Iterator[None]:
    """Have what is scheduled within the block know that request."""
    token = request_context.set(partial(_context_of, request))
    try:
        yield
    finally:
        request_context.reset(token)


def _context_of(request: HttpRequest) -> str | None:
    """Return what is known of the request now, as JSON, or ``None``."""
    try:
        known = {**_request_id(request), **_user(request)}
    except Exception as error:  # of a user model of the project's
        warn("What is known of a request could not be recorded with what it schedules: %r", error, error=error)
        return None
    return json.dumps(known) if known else None


def _request_id(request: HttpRequest) -> dict[str, str]:
    header = get_settings().REQUEST_ID_HEADER
    value = request.headers.get(header, "") if header else ""
    return {"request_id": value} if REQUEST_ID.fullmatch(value) else {}


def _user(request: HttpRequest) -> dict[str, str]:
    # Not request.user: that may ask the database, within whatever transaction is open, or in an event loop.
    user: Any = vars(request).get("user")
    if isinstance(user, LazyObject):
        user = vars(user)["_wrapped"]
    if user is empty or user is None:
        user = getattr(request, "_acached_user", None)  # by request.auser()
    if user is None or user.pk is None:
        return {}
    return {"user_id": _text(user.pk, LONGEST_KEY), "user": _text(user.get_username(), LONGEST_NAME)}


def _text(value: object, longest: int) -> str:
    """Return text that every database takes, and no more of it than that."""
    return "".join(filter(str.isprintable, str(value)[:longest]))
