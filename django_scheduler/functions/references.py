"""References name a function without importing it: ``api.orders.archive``, or the string ``"orders:archive"``.

The function is looked up when the reference is used, so modules need not import each other.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TypeAlias

from django_scheduler.errors import FunctionNotFound
from django_scheduler.functions.function import AnyFunction, Function
from django_scheduler.functions.registry import registry

#: A function as callers name it: itself, by a reference, or by its name on record.
AnyReference: TypeAlias = "AnyFunction | Reference | str"


def resolve(function: AnyReference) -> AnyFunction:
    """Return the function that is named.

    Raises ``FunctionNotFound`` if there is none.
    """
    match function:
        case Function():
            return function
        case Reference():
            return function.resolve()
        case str():
            return registry.get(function)
        case _:
            name = getattr(function, "__qualname__", type(function).__qualname__)
            raise FunctionNotFound(
                f"{name} is not a scheduled function: decorate it with @mutation or @action, or pass a"
                ' reference (internal.<app_label>.<name>, or the string "<app_label>:<name>").'
            )


@dataclass(frozen=True, slots=True)
class Reference:
    """Names a function, and says whether it is public."""

    name: str
    public: bool

    def resolve(self) -> AnyFunction:
        """Return the function.

        Raises ``FunctionNotFound`` if there is none of that name and visibility.
        """
        function = registry.find(self.name)
        if function is None or function.public != self.public:
            raise FunctionNotFound(f"There is no scheduled function {self}.{self._hint()}")
        return function

    def __str__(self) -> str:
        return f"{'api' if self.public else 'internal'}.{self.name.replace(':', '.')}"

    def _hint(self) -> str:
        # The same name with the other visibility comes first: nothing is nearer.
        existing = {str(Reference(function.name, function.public)): function.name for function in registry}
        same_name = [path for path, name in existing.items() if name == self.name]
        near = same_name or difflib.get_close_matches(str(self), existing, n=1)
        return f" Did you mean {near[0]}?" if near else ""


class AppReferences:
    """Refers to the functions of one app: ``api.orders``."""

    def __init__(self, app_label: str, *, public: bool) -> None:
        self._app_label = app_label
        self._public = public

    def __getattr__(self, name: str) -> Reference:
        if name.startswith("__"):
            raise AttributeError(name)
        return Reference(f"{self._app_label}:{name}", self._public)


class References:
    """Refers to the functions of all apps: ``api`` and ``internal``."""

    def __init__(self, *, public: bool) -> None:
        self._public = public

    def __getattr__(self, app_label: str) -> AppReferences:
        if app_label.startswith("__"):
            raise AttributeError(app_label)
        return AppReferences(app_label, public=self._public)


#: ``api.<app_label>.<name>``: a reference to a public function.
api = References(public=True)
#: ``internal.<app_label>.<name>``: a reference to an internal function.
internal = References(public=False)
