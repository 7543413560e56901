"""What a client is told: one form for what a function did, and for what was wrong with the request.

A request as a call: which function, and with which arguments. What is malformed is refused with the reason.

Arguments are plain JSON. What is on record for other types (``{"$datetime": ...}``) means nothing here, because a
client must not be able to name a model's row, an enum or a dataclass.
"""

from __future__ import annotations

import json
import math
import uuid
from dataclasses import dataclass
from typing import Any, NoReturn

from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder
from django.http import HttpRequest, HttpResponse, UnreadablePostError

from django_scheduler.conf import get_settings
from django_scheduler.errors import ApplicationError
from django_scheduler.telemetry import report


class Refusal(Exception):
    """A request that has been refused, and that has done nothing."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status

    def answer(self) -> HttpResponse:
        return _json({"status": "error", "errorMessage": str(self)}, status=self.status)


def success(name: str, value: object) -> HttpResponse:
    """What the function returned.

    It has done its work by now. So a value that JSON does not have is logged, and answered with ``null``.
    """
    try:
        return _json({"status": "success", "value": value})
    except Exception as error:
        report("%s returned what JSON does not have, and the client was given null: %s", name, error, error=error)
        return _json({"status": "success", "value": None})


def failure(name: str, error: Exception) -> HttpResponse:
    """What the function raised: an ``ApplicationError`` is meant for the client, any other one is not."""
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
        report("%s raised an ApplicationError with data that JSON does not have: %s", name, problem, error=problem)
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


#: How many arrays and objects may lie within each other.
MAXIMUM_DEPTH = 100


@dataclass(frozen=True, slots=True)
class Call:
    path: str
    args: dict[str, Any]


def parse(request: HttpRequest) -> Call:
    """Raises ``Refusal`` for what is no call."""
    if request.content_type != "application/json":
        raise _malformed(f"the content type must be application/json, not {request.content_type or 'missing'}")
    document = _parse_json(_read(request))
    if not isinstance(document, dict):
        raise _malformed("it must be a JSON object with the keys path and args")
    if unknown := sorted(document.keys() - {"path", "args"}):
        raise _malformed(f"there is no key {unknown[0]!r}: the keys are path and args")
    path, args = document.get("path"), document.get("args", {})
    if not isinstance(path, str) or not path:
        raise _malformed('path must be the name of a function, such as "orders:create_order"')
    if not isinstance(args, dict):
        raise _malformed("args must be an object: the name of each argument, and its value")
    return Call(path, args)


def _read(request: HttpRequest) -> bytes:
    limit = get_settings().HTTP_MAX_BODY_BYTES
    try:
        body = request.read(limit + 1)
    except UnreadablePostError:
        raise _malformed("it could not be read to its end") from None
    if len(body) > limit:
        raise _too_large(limit)
    return body


def _parse_json(body: bytes) -> Any:
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise _malformed("it is not UTF-8") from None
    try:
        document = json.loads(
            text, object_pairs_hook=_object, parse_float=_finite_float, parse_constant=_refuse_constant
        )
        if "\\u" in text:  # only an escape can stand for half a character
            json.dumps(document, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise _malformed("it contains half of a surrogate pair, which is no character") from None
    except RecursionError:
        raise _malformed(f"it is nested more than {MAXIMUM_DEPTH} levels deep") from None
    except ValueError as error:
        raise _malformed(f"it is not JSON: {error}") from None
    if _depth(document) > MAXIMUM_DEPTH:
        raise _malformed(f"it is nested more than {MAXIMUM_DEPTH} levels deep")
    return document


def _depth(document: Any) -> int:
    """How many arrays and objects lie within each other, at most."""
    depth, level = 0, [document]
    while level := [each for each in level if isinstance(each, dict | list)]:
        depth += 1
        level = [item for each in level for item in (each.values() if isinstance(each, dict) else each)]
    return depth


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {repeated[:100]!r} occurs twice in one object")
    return members


def _finite_float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:100]} is too large a number")
    return number


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _malformed(reason: str) -> Refusal:
    return Refusal(400, f"The request is malformed: {reason}.")


def _too_large(limit: int) -> Refusal:
    return Refusal(413, f"The request is larger than {limit:,} bytes.")
