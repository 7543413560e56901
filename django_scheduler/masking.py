"""Masking hides secrets among what functions were given, returned and raised from those who look at it in the admin.

The setting ``MASK`` names a callable that is given the name of a function and a value: its arguments or its result, as
the JSON that is stored, or the text of its error or traceback. It returns what to show instead. The default goes by the
names of keys, at any depth, and by how texts look (``telemetry/secrets.py``).

What is hidden of the arguments is hidden in the result, the error and the traceback too, wherever it stands there. What
is masked in the list and on the page of a function is masked for the search too: a function is only found by what can
be read of it.
"""

import json
import re
import sys
from base64 import b64decode
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import lru_cache, reduce
from itertools import islice
from typing import Any
from urllib.parse import quote

from django.utils.module_loading import import_string

from django_scheduler.conf import get_settings
from django_scheduler.functions import registry
from django_scheduler.models import Kind
from django_scheduler.telemetry import secrets
from django_scheduler.values import JSONValue

#: Takes the name of a function and a value, and returns what to show instead.
Mask = Callable[[str, JSONValue], Any]

BULLETS = secrets.BULLETS

#: So many secrets among the arguments of a function are looked for elsewhere, of at least so many characters.
MOST_SECRETS, SHORTEST_SECRET = 200, 3

#: Arguments of more characters are not looked at for the log.
LONGEST_ARGUMENTS = 100_000

#: How many characters of a secret are looked for at the end of a text at least, and at how many places.
SHORTEST_BEGINNING, MOST_ATTEMPTS = 4, 1_000

#: A secret that is shorter than this is a word of its own where it stands.
SHORT_SECRET = 8

#: What JSON text in a text begins with.
_JSON = ("{", "[", '"')

#: By which keys an object says what its value is of, and by which it has that: ``{"name": "token", "value": 1}``.
_NAMING = ("name", "key", "header", "field", "k")
_NAMED = ("value", "values", "val", "v", "content", "data", "default")

#: What a text is made of that names what stands beside it.
_NAME = re.compile(r"[\w.:$\[\]-]{2,64}")


def masked(name: str, value: JSONValue, *, args: JSONValue = None) -> JSONValue:
    """Return the arguments of the function ``name``, or what came of it, as they may be shown.

    ``args``: its arguments, if ``value`` is something else. If the callable raises, that is only a text that says so.
    """
    try:
        mask = _mask()
        shown: Any = mask(name, _without_hidden(value, _hidden_texts(name, args, mask)) if args else value)
    except Exception as error:
        return {"$repr": f"{BULLETS} (DJANGO_SCHEDULER['MASK'] raises {type(error).__name__})"}
    return shown  # type: ignore[no-any-return]


def masked_text(name: str, text: str, *, args: JSONValue = None) -> str:
    """Return an error or a traceback of the function ``name``, which had these arguments, as it may be shown."""
    match masked(name, text, args=args) if text else "":
        case str(shown) | {"$repr": str(shown)}:
            return shown
        case other:
            return json.dumps(other, ensure_ascii=False)


def mask_with_arguments(name: str, text: str, args: str) -> str:
    """Mask in a text for the log what is hidden of the arguments, which are JSON, and what looks like a secret."""
    if len(args) <= LONGEST_ARGUMENTS:
        with suppress(Exception):  # the arguments may be no JSON, and the callable may raise
            text = str(_without_hidden(text, _hidden_texts_of_json(_mask(), name, args)))
    return secrets.mask_text(text)


@lru_cache(maxsize=4)  # an error is masked several times: its message, its traceback
def _hidden_texts_of_json(mask: Mask, name: str, args: str) -> list[str]:
    return _hidden_texts(name, json.loads(args), mask)


def _mask() -> Mask:
    mask = get_settings().MASK
    return import_string(mask) if isinstance(mask, str) else mask


def _hidden_texts(name: str, args: JSONValue, mask: Mask) -> list[str]:
    """Return what is not to be seen of arguments, the longest first."""
    return sorted(set(islice(_hidden(args, mask(name, args)), MOST_SECRETS)), key=len, reverse=True)


def mask_by_key(name: str, value: JSONValue) -> JSONValue:
    """Mask what stands under a key such as ``password``, ``token``, ``secret``, ``authorization``, ``api_key``.

    In a text that is so behind ``password=`` and the like, in a URL with credentials, and in JSON. To mask more, call
    this from a function of your own::

        def mask(name, value):
            if name.startswith("payments:"):
                return {"$repr": "not shown"}
            return mask_by_key(name, value)
    """
    match value:
        case str():
            return _masked_string(name, value)
        case [key, _] if _names_secret(_text_of(key)):
            return [key, BULLETS]
        case list():
            return _masked_items(name, value)
        case dict():
            return _masked_object(name, value)
    return value


def _masked_object(name: str, members: dict[str, JSONValue]) -> JSONValue:
    match members:
        case {"$enum": _}:
            return members
        case {"$model": [str(label), _, str(alias)]} if secrets.is_secret(label.rpartition(".")[2]):
            return {"$model": [label, BULLETS, alias]}  # the key of a token may be the token
        case {"$bytes": str(encoded)}:
            text = _text_of_bytes(encoded)
            return members if secrets.mask_text(text) == text else {"$bytes": BULLETS}
        case {"$dataclass": [str(cls), dict(fields)]} if secrets.is_secret(cls.rpartition(":")[2].rpartition(".")[2]):
            hidden: dict[str, JSONValue] = dict.fromkeys(fields, BULLETS)
            return {"$dataclass": [cls, hidden]}
        case {"args": list(args), "kwargs": dict(), "backend": str()}:  # of a task of Django's
            others = {key: item for key, item in members.items() if key != "args"}
            return {"args": _masked_by_position(name, args), **_masked_members(name, others)}
    return _masked_members(name, members)


def _masked_items(name: str, items: list[JSONValue]) -> list[JSONValue]:
    shown: list[JSONValue] = []
    is_next_hidden = False
    for item in items:
        shown.append(BULLETS if is_next_hidden else mask_by_key(name, item))
        is_next_hidden = isinstance(item, str) and item.startswith("-") and "=" not in item and secrets.is_secret(item)
    return shown


def _masked_members(name: str, members: dict[str, JSONValue]) -> dict[str, JSONValue]:
    is_named = any(_names_secret(_text_of(members.get(each))) for each in _NAMING)
    return {
        key: BULLETS if secrets.is_secret(key) or (is_named and key.lower() in _NAMED) else mask_by_key(name, item)
        for key, item in members.items()
    }


def _masked_by_position(name: str, args: list[JSONValue]) -> list[JSONValue]:
    """Mask the arguments of a task that it is given by position: all of them if nobody knows what they are called."""
    # What is not loaded is not imported to be looked at.
    is_loaded = name.rpartition(".")[0] in sys.modules
    function = registry.find_recorded(name, Kind.ACTION) if is_loaded else None
    names = function.names_by_position(len(args)) if function else None
    if names is None:
        return [BULLETS for _ in args]
    return [
        BULLETS if secrets.is_secret(parameter) else mask_by_key(name, arg)
        for parameter, arg in zip(names, args, strict=True)
    ]


def _masked_string(name: str, text: str) -> str:
    if text.lstrip().startswith(_JSON):
        try:
            parsed = json.loads(text)
            shown = mask_by_key(name, parsed)
        except RecursionError:
            return BULLETS
        except ValueError:
            pass
        else:
            return text if shown == parsed else json.dumps(shown, ensure_ascii=False)
    return secrets.mask_text(text)


def _names_secret(text: str) -> bool:
    return bool(_NAME.fullmatch(text)) and secrets.is_secret(text)


def _text_of(value: JSONValue) -> str:
    """Return the text of a value that may be a key: a text, bytes, or the member of an enum."""
    match value:
        case str(text) | {"$str": str(text)} | {"$enum": [str(_), str(text)]}:
            return text
        case {"$bytes": str(encoded)}:
            return _text_of_bytes(encoded)
    return ""


def _text_of_bytes(encoded: str) -> str:
    try:
        return b64decode(encoded).decode("latin-1")
    except ValueError:
        return ""


def _hidden(value: JSONValue, shown: JSONValue) -> Iterator[str]:
    """Yield the texts that a value contains and that are not to be seen in what is shown of it."""
    match value, shown:
        case dict(), dict() if value.keys() == shown.keys():
            for key, item in value.items():
                yield from _hidden(item, shown[key])
        case list(), list() if len(value) == len(shown):
            for item, shown_item in zip(value, shown, strict=True):
                yield from _hidden(item, shown_item)
        case dict() | list(), _:
            for item in value.values() if isinstance(value, dict) else value:
                yield from _hidden(item, None)
            if text := _text_of(value) if isinstance(value, dict) else "":
                yield from _spellings(text)
        case str(), _ if value != shown:
            yield from _spellings(value)
            if isinstance(shown, str) and shown != BULLETS:
                yield from _words_hidden(value, shown)
        case ((int() | float()), _) if value != shown and not isinstance(value, bool):
            yield from _spellings(repr(value))


def _words_hidden(text: str, shown: str) -> Iterator[str]:
    """Yield the words of a text that are no longer there in what is shown of it, as of a URL without its password."""
    seen = set(_BETWEEN_WORDS.split(shown))
    for word in _BETWEEN_WORDS.split(text):
        if word not in seen:
            yield from _spellings(word)


_BETWEEN_WORDS = re.compile(r"[\s:/@&?=;,\"'<>(){}\[\]]+")


def _spellings(secret: str) -> Iterator[str]:
    """Yield a secret as it may stand in a text: as it is, and as it is quoted."""
    if len(secret) < SHORTEST_SECRET or secret.casefold() in ("none", "true", "false", "null"):
        return
    yield secret
    for spelling in (repr(secret)[1:-1], json.dumps(secret)[1:-1], quote(secret, safe="")):
        if spelling != secret:
            yield spelling


def _without_hidden(value: JSONValue, hidden: Sequence[str]) -> JSONValue:
    """Return a result or a text in which these hidden ones, sorted by length, are masked.

    A text, and what stands for a result that could not be stored, may have been cut off.
    """
    everything = "\n".join(_texts(value))
    match _without(value, [secret for secret in hidden if secret in everything]):
        case str(text):
            return reduce(_without_beginning, hidden, text)
        case {"$repr": str(text)}:
            return {"$repr": reduce(_without_beginning, hidden, text)}
        case other:
            return other


def _texts(value: JSONValue) -> Iterator[str]:
    match value:
        case str():
            yield value
        case list():
            for item in value:
                yield from _texts(item)
        case dict():
            yield from _texts(list(value.values()))


def _without(value: JSONValue, hidden: Sequence[str]) -> JSONValue:
    """Return a value in the texts of which these hidden ones, sorted by length, are masked."""
    match value:
        case str():
            for secret in hidden:
                value = _text_without(value, secret)
            return value
        case list():
            return [_without(item, hidden) for item in value]
        case dict():
            return {key: _without(item, hidden) for key, item in value.items()}
    return value


def _text_without(text: str, secret: str) -> str:
    if secret not in text:
        return text
    if len(secret) >= SHORT_SECRET:
        return text.replace(secret, BULLETS)
    return re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", BULLETS, text)


def _without_beginning(text: str, secret: str) -> str:
    """Mask the beginning of a secret with which a text ends that was cut off.

    Where that takes too many attempts, the rest of the text is masked.
    """
    start = max(0, len(text) - len(secret) + 1)
    for _ in range(MOST_ATTEMPTS):
        start = text.find(secret[:SHORTEST_BEGINNING], start)
        if start < 0:
            return text
        if secret.startswith(text[start:]):
            break
        start += 1
    return text[:start] + BULLETS
