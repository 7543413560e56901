"""Masking hides secrets among the arguments and the result of a function from those who look at it in the admin.

The setting ``MASK`` names a callable that is given the name of a function and its arguments, or its result, as the
JSON that is stored, and returns what to show instead. The default goes by the names of keys, at any depth.

What is masked in the list and on the page of a function is masked for the search too: a function is only found by what
can be read of it. Errors and tracebacks are shown as the exception wrote them.
"""

import re
from typing import Any

from django.utils.module_loading import import_string

from django_scheduler.conf import get_settings
from django_scheduler.values import JSONValue

BULLETS = "••••••••"

SECRET_KEY = re.compile(
    r"pass(word|wd|phrase|code)|(^|_)(pwd|pin|cvc|cvv|otp)($|_)|secret|token|authori[sz]ation|credential|cookie|signature"
    r"|(api|access|private|encryption|signing)[_-]?key",
    re.IGNORECASE,
)


def masked(name: str, value: JSONValue) -> JSONValue:
    """Return arguments or result of the function ``name`` as they may be shown.

    If the callable raises, that is only a text that says so.
    """
    try:
        mask = get_settings().MASK
        mask = import_string(mask) if isinstance(mask, str) else mask
        shown: Any = mask(name, value)
    except Exception as error:
        return {"$repr": f"{BULLETS} (DJANGO_SCHEDULER['MASK'] raises {type(error).__name__})"}
    return shown  # type: ignore[no-any-return]


def mask_by_key(name: str, value: JSONValue) -> JSONValue:
    """Mask what stands under a key such as ``password``, ``token``, ``secret``, ``authorization``, ``api_key``.

    To mask more, call this from a function of your own::

        def mask(name, value):
            if name.startswith("payments:"):
                return {"$repr": "not shown"}
            return mask_by_key(name, value)
    """
    if isinstance(value, list):
        return [mask_by_key(name, item) for item in value]
    if isinstance(value, dict):
        if set(value) == {"$dict"} and isinstance(value["$dict"], list):
            return {"$dict": [_mask_pair(name, pair) for pair in value["$dict"]]}
        return {key: BULLETS if SECRET_KEY.search(key) else mask_by_key(name, item) for key, item in value.items()}
    return value


def _mask_pair(name: str, pair: JSONValue) -> JSONValue:
    match pair:
        case [str(key), _] if SECRET_KEY.search(key):
            return [key, BULLETS]
    return mask_by_key(name, pair)
