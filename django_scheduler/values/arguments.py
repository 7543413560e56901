"""The arguments of one call, as one JSON object: parameter name -> encoded value."""

import json
from collections.abc import Mapping
from typing import Any

from django_scheduler.errors import InvalidArguments
from django_scheduler.values.codec import decode, encode
from django_scheduler.values.json_text import JSONValue, to_json
from django_scheduler.values.problem import ValueProblem
from django_scheduler.values.scalars import is_plain_text


def dump_arguments(function_name: str, arguments: Mapping[str, object]) -> str:
    """The arguments as JSON text: ASCII, compact, one object.

    Raises ``InvalidArguments``, which names the function, the parameter and the path inside it, if a value
    cannot be stored::

        >>> dump_arguments("orders:archive", {"order_id": 7})
        '{"order_id":7}'
    """
    encoded: dict[str, JSONValue] = {}
    for name, value in arguments.items():
        if not is_plain_text(name):
            raise InvalidArguments(f"{function_name}: {name!a} cannot be stored as the name of an argument")
        try:
            encoded[name] = encode(value, depth=1)
        except ValueProblem as problem:
            raise invalid(function_name, name, problem) from problem
    return to_json(encoded)


def load_arguments(function_name: str, text_or_object: str | dict[str, Any]) -> dict[str, object]:
    """The arguments that ``dump_arguments`` was given, from its text or from that text already parsed.

    Raises ``InvalidArguments``, which names the function, the parameter and the reason, if a value cannot be
    restored any more; a database error while the row of a model instance is read is raised as it is::

        >>> load_arguments("orders:archive", '{"order_id":7}')
        {'order_id': 7}
    """
    stored: JSONValue = text_or_object
    if isinstance(text_or_object, str):
        stored = parsed(function_name, text_or_object)
    if not isinstance(stored, dict):
        raise InvalidArguments(f"{function_name}: the stored arguments are not a JSON object")
    arguments: dict[str, object] = {}
    for name, value in stored.items():
        try:
            arguments[name] = decode(value)
        except ValueProblem as problem:
            raise invalid(function_name, name, problem) from problem
    return arguments


def parsed(function_name: str, text: str) -> JSONValue:
    try:
        parsed: JSONValue = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidArguments(f"{function_name}: the stored arguments are not JSON: {error}") from error
    return parsed


def invalid(function_name: str, name: str, problem: ValueProblem) -> InvalidArguments:
    return InvalidArguments(f"{function_name}: argument {name}{problem.path}: {problem.reason}")
