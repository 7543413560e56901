"""What a function returned, as JSON. Whatever it is, it can be stored: if need be, as its ``repr``."""

import json

from django_scheduler.values.codec import decode, encode
from django_scheduler.values.json_text import JSONValue, to_json
from django_scheduler.values.problem import ValueProblem
from django_scheduler.values.scalars import escaped
from django_scheduler.values.short_repr import short_repr

ONE_MEBIBYTE = 2**20

#: How the text of a result begins that could not be stored as it was.
REPR = '{"$repr":'


def dump_result(value: object, max_bytes: int = ONE_MEBIBYTE) -> str:
    """The result as JSON text; never raises.

    A value that cannot be stored, or whose JSON is longer than ``max_bytes``, is stored as its ``repr``,
    shortened to 1,000 characters::

        >>> dump_result(7), dump_result(object())
        ('7', '{"$repr":"<object object at 0x7f8c>"}')
    """
    try:
        text = to_json(encode_result(value))
    except Exception:
        return to_json({"$repr": short_repr(value)})
    return text if len(text) <= max_bytes else to_json({"$repr": short_repr(value)})


def load_result(text_or_json: JSONValue) -> object:
    """The result that ``dump_result`` was given, from its text or from that text already parsed.

    What was stored as a ``repr`` comes back as that string. Raises ``InvalidArguments`` if the value cannot
    be restored any more::

        >>> load_result('{"$tuple":[1,2]}'), load_result({"$tuple": [1, 2]})
        ((1, 2), (1, 2))
    """
    if isinstance(text_or_json, str):
        return decode(parsed(text_or_json))
    return decode(text_or_json)


def encode_result(value: object) -> JSONValue:
    # A str handed to load_result() may be JSON text, or the str that a JSONField has made of it. This
    # keeps one from being taken for the other: the str "7" for the text of the number 7.
    if type(value) is str and is_json(value):
        return escaped(value)
    return encode(value)


def is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    except RecursionError:
        return True
    return True


def parsed(text: str) -> JSONValue:
    try:
        parsed: JSONValue = json.loads(text)
    except ValueError:
        return text
    except RecursionError as error:
        raise ValueProblem("nested too deeply") from error
    return parsed
