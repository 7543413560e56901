"""What a stub says of functions: their shapes, by which names they are passed, and their arguments as dicts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from django_scheduler.functions import AnyFunction, types_of_parameter
from django_scheduler.record import BatchOutcome, Outcome
from django_scheduler.stubs.signatures import Imports, Signature

#: How the types of the dicts of a function end.
DICTS = ("arguments", "some_arguments", "callback_arguments")


@dataclass(frozen=True)
class Shape:
    """Is what a stub says of a function."""

    function: AnyFunction
    #: How its protocol is called.
    name: str
    signature: Signature

    @property
    def literal_names(self) -> str:
        """Return the type that has only its names."""
        return literal_of(self.function.names)

    @property
    def result(self) -> str:
        """Return what a call of it returns."""
        result = self.signature.result
        return f"Coroutine[Any, Any, {result}]" if self.function.is_async else result

    @property
    def arguments(self) -> str:
        """Return the type of its arguments as a dict."""
        return self._type_of_dict("arguments")

    @property
    def some_arguments(self) -> str:
        """Return the type of some of its arguments as a dict."""
        return self._type_of_dict("some_arguments")

    @property
    def arguments_of_callback(self) -> str:
        """Return the type of what it is given besides its outcome."""
        return self._type_of_dict("callback_arguments")

    @property
    def with_arguments(self) -> str:
        """Return the type of it as a callback with arguments."""
        return f"tuple[{self.alternatives}, {self.arguments_of_callback}]"

    @property
    def alternatives(self) -> str:
        """Return the types by which it is passed to what takes a function."""
        return f"{self.name} | Reference[{self.name}] | {self.literal_names}"

    def is_told(self, outcome: type[Outcome | BatchOutcome]) -> bool:
        """Return whether it can be a callback that is told this."""
        if "outcome" not in self.signature.names:
            return self.signature.takes_others
        known = {each.__name__: each for each in (Outcome, BatchOutcome)}
        types = types_of_parameter(self.function, "outcome", known)
        return not types or bool({outcome, object, Any} & {*types})

    @property
    def needs_arguments(self) -> bool:
        """Return whether it needs more than its outcome."""
        return not {*self.signature.required} <= {"outcome"}

    def _type_of_dict(self, content: str) -> str:
        return "Mapping[str, Any]" if self.signature.takes_others else f"{self.name}__{content}"


def shapes_of(functions: Iterable[AnyFunction], imports: Imports) -> Iterator[Shape]:
    """Yield a shape for each function, in the order of their names."""
    for function in sorted(functions, key=lambda each: each.name):
        name = function.name.replace(":", "__")
        # a__b:c and a:b__c; a:b__arguments, and the arguments of a:b
        while imports.taken & (names := {name, *(f"{name}__{content}" for content in DICTS)}):
            name += "_"
        imports.taken |= names
        yield Shape(function, name, Signature(function, imports))


def literal_of(names: Iterable[str]) -> str:
    """Return the type that has only these names."""
    listed = ", ".join(f'"{name}"' for name in names)
    return f"Literal[{listed}]" if listed else "Never"
