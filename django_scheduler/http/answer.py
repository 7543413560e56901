"""A client is told what the function returned or raised, or why its request was refused: all in one form."""

import json
import uuid
from typing import Any

from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder
from django.http import HttpResponse

from django_scheduler.errors import ApplicationError
from django_scheduler.telemetry import report


class Refusal(Exception):
    """Says why a request is refused; it has done nothing."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status

    def answer(self) -> HttpResponse:
        response = _json({"status": "error", "errorMessage": str(self)}, status=self.status)
        if self.status == 405:
            response["Allow"] = "POST"
        return response


def success(name: str, value: object) -> HttpResponse:
    """Answer with what the function returned.

    It has done its work by now. So a value that JSON cannot express is logged, and answered with ``null``.
    """
    try:
        return _json({"status": "success", "value": value})
    except Exception as error:
        report("%s returned what JSON cannot express, so the client was given null: %s", name, error, error=error)
        return _json({"status": "success", "value": None})


def failure(name: str, error: Exception) -> HttpResponse:
    """Answer with what the function raised: an ``ApplicationError`` is meant for the client, any other error is not."""
    if isinstance(error, ApplicationError):
        return _application_error(name, error)
    request_id = uuid.uuid4().hex[:16]
    report("%s failed in the request %s: %r", name, request_id, error, error=error)
    text = f"{type(error).__qualname__}: {_message(error)}" if settings.DEBUG else "Server Error"
    return _json({"status": "error", "errorMessage": f"[Request {request_id}] {text}"})


def _application_error(name: str, error: ApplicationError) -> HttpResponse:
    answer = {"status": "error", "errorMessage": _message(error)}
    try:
        return _json({**answer, "errorData": error.data})
    except Exception as problem:
        report("%s raised an ApplicationError whose data JSON cannot express: %s", name, problem, error=problem)
        return _json(answer)


def _message(error: Exception) -> str:
    try:
        return str(error)
    except Exception:  # an exception's own __str__ may raise
        return "(its message cannot be shown)"


def _json(content: dict[str, Any], status: int = 200) -> HttpResponse:
    text = json.dumps(content, cls=DjangoJSONEncoder, allow_nan=False, separators=(",", ":"))
    response = HttpResponse(text, status=status, content_type="application/json")
    response["Cache-Control"] = "no-store"
    return response
