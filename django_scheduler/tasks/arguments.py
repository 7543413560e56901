"""The arguments of a task: JSON, as Django has it."""

from enum import Enum
from typing import Any


def as_plain(value: Any) -> Any:
    """JSON in which no subclass of ``str``, ``int`` or ``float`` is left, such as a ``SafeString``.

    They go into JSON as what they are subclasses of. An enum's member does not: it is stored as one, and comes back.
    """
    match value:
        case None | bool() | Enum():
            return value
        case str():
            return "".join(value)
        case int():
            return int(value)
        case float():
            return float(value)
        case list():
            return [as_plain(item) for item in value]
        case dict():
            return {as_plain(key): as_plain(item) for key, item in value.items()}
        case _:
            return value
