"""Why a value cannot be stored or restored, and where in the argument it is."""

from collections.abc import Callable, Iterable, Mapping
from reprlib import repr as shortened
from typing import TypeVar

from django_scheduler.errors import InvalidArguments

Before = TypeVar("Before")
After = TypeVar("After")


class ValueProblem(InvalidArguments):
    """A ``reason``, and the ``path`` from the argument to the value: ``[3].price``.

    It is raised where the value is, and what contains the value puts its own step in front of the path. So
    nothing is spent on paths as long as all goes well.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.path = ""

    def within(self, step: str) -> None:
        self.path = step + self.path

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}" if self.path else self.reason


def malformed(content: object) -> ValueProblem:
    return ValueProblem(f"what is stored is malformed: {shortened(content)}")


def convert_items(convert: Callable[[Before], After], items: Iterable[Before]) -> list[After]:
    converted: list[After] = []
    for index, item in enumerate(items):
        try:
            converted.append(convert(item))
        except ValueProblem as problem:
            problem.within(f"[{index}]")
            raise
    return converted


def convert_members(convert: Callable[[Before], After], members: Mapping[str, Before]) -> dict[str, After]:
    converted: dict[str, After] = {}
    for name, item in members.items():
        try:
            converted[name] = convert(item)
        except ValueProblem as problem:
            problem.within(f".{name}" if name.isidentifier() else f"[{shortened(name)}]")
            raise
    return converted


def convert_pairs(
    convert: Callable[[Before], After], pairs: Iterable[tuple[Before, Before]]
) -> list[tuple[After, After]]:
    converted: list[tuple[After, After]] = []
    for key, item in pairs:
        try:
            converted.append((convert(key), convert(item)))
        except ValueProblem as problem:
            problem.within(f"[{shortened(key)}]")
            raise
    return converted
