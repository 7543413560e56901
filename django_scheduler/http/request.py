"""A request is read as a call: which function, and with which arguments. What is malformed is refused with the reason.

Arguments are plain JSON. What is on record for other types (``{"$datetime": ...}``) means nothing here, because a
client must not be able to name a model's row, an enum or a dataclass.
"""

import json
import math
from typing import Any, NoReturn

from django.http import HttpRequest, UnreadablePostError

from django_scheduler.conf import get_settings
from django_scheduler.http.answer import Refusal

#: How many arrays and objects may lie within each other.
MAXIMUM_DEPTH = 100

#: How much of what a client has sent is repeated to it in a refusal, in characters.
LONGEST_QUOTE = 100


def require_readable(request: HttpRequest) -> None:
    """Raise ``Refusal`` if the headers say that the body is none that ``parse`` reads. Nothing of it is read for that.

    This comes before all that may read the body in its own way, as Django's CSRF check reads a form.
    """
    if request.content_type != "application/json":
        sent = (request.content_type or "missing")[:LONGEST_QUOTE]
        raise Refusal(415, f"The content type must be application/json, not {sent}.")
    declared = request.META.get("CONTENT_LENGTH") or ""
    if declared.isdecimal() and (len(declared) > 18 or int(declared) > get_settings().HTTP_MAX_BODY_BYTES):
        raise _too_large()


def parse(request: HttpRequest) -> tuple[str, dict[str, Any]]:
    """Return which function a request calls, and with which arguments.

    Raises ``Refusal`` if the request is malformed or too long.
    """
    document = _parse_json(_read(request))
    if not isinstance(document, dict):
        raise _malformed("it must be a JSON object with the keys path and args")
    if unknown := document.keys() - {"path", "args"}:
        raise _malformed(f"there is no key {min(unknown)[:LONGEST_QUOTE]!r}: the keys are path and args")
    path, args = document.get("path"), document.get("args", {})
    if not isinstance(path, str) or not path:
        raise _malformed('path must be the name of a function, such as "orders:create_order"')
    if not isinstance(args, dict):
        raise _malformed("args must be an object: the name of each argument, and its value")
    return path, args


def _read(request: HttpRequest) -> bytes:
    limit = get_settings().HTTP_MAX_BODY_BYTES
    try:
        body = request.read(limit + 1)
    except UnreadablePostError:
        raise _malformed("it could not be read to its end") from None
    if len(body) > limit:
        raise _too_large()
    if not body:
        raise _malformed("it has no body, or one without a Content-Length, which WSGI does not read")
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
    """Return how many arrays and objects lie within each other, at most."""
    depth, level = 0, [document]
    while level := [each for each in level if isinstance(each, dict | list)]:
        depth += 1
        level = [item for each in level for item in (each.values() if isinstance(each, dict) else each)]
    return depth


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for name, value in pairs:
        if name in members:
            raise ValueError(f"the key {name[:LONGEST_QUOTE]!r} occurs twice in one object")
        members[name] = value
    return members


def _finite_float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:LONGEST_QUOTE]} is too large a number")
    return number


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _too_large() -> Refusal:
    return Refusal(413, f"The request is larger than {get_settings().HTTP_MAX_BODY_BYTES:,} bytes.")


def _malformed(reason: str) -> Refusal:
    return Refusal(400, f"The request is malformed: {reason}.")
