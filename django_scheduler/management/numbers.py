"""Numbers on the command line, for ``add_argument(type=...)``: each raises ``ArgumentTypeError`` for what is none."""

import re
from argparse import ArgumentTypeError
from collections.abc import Callable
from decimal import Decimal

_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30}

Number = type[int] | type[float]


def positive(number: Number) -> Callable[[str], float]:
    """A number of that type, greater than 0."""

    def parse(text: str) -> float:
        value = _parsed(text, number)
        if not value > 0:
            raise ArgumentTypeError(f"{text} is not greater than 0")
        return value

    return parse


def whole_from_0(text: str) -> float:
    """A whole number from 0 on."""
    value = _parsed(text, int)
    if value < 0:
        raise ArgumentTypeError(f"{text} is less than 0")
    return value


def size_of_memory(text: str) -> int:
    """In bytes: ``512M``, ``2G`` or ``1.5GiB``."""
    size = re.fullmatch(r"(\d+(?:\.\d+)?)([KMG]?)(?:iB|B)?", text.strip(), re.IGNORECASE)
    if size is None or not (value := int(Decimal(size[1]) * _UNITS[size[2].upper()])):
        raise ArgumentTypeError(f"{text!r} is not a size of memory, such as 512M or 2G")
    return value


def _parsed(text: str, number: Number) -> float:
    try:
        return number(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is not a {'whole ' if number is int else ''}number") from None
