"""References: functions by name, found when they are used, so that modules need not import each other."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from django_scheduler.errors import FunctionNotFound
from django_scheduler.functions import AnyFunction, Function
from django_scheduler.registry import registry


@dataclass(frozen=True, slots=True)
class Reference:
    """A function by its name and its visibility."""

    name: str
    public: bool

    def resolve(self) -> AnyFunction:
        function = registry.find(self.name)
        if function is None or function.public != self.public:
            raise FunctionNotFound(f"There is no scheduled function {self}.{self._hint()}")
        return function

    def __str__(self) -> str:
        return f"{'api' if self.public else 'internal'}.{self.name.replace(':', '.')}"

    def _hint(self) -> str:
        # First of all the same name with the other visibility, which is as near as can be.
        existing = {str(Reference(function.name, function.public)): function.name for function in registry}
        same_name = [path for path, name in existing.items() if name == self.name]
        near = same_name or difflib.get_close_matches(str(self), existing, n=1)
        return f" Did you mean {near[0]}?" if near else ""


class AppReferences:
    """``api.orders``: the functions of one app."""

    def __init__(self, app_label: str, *, public: bool) -> None:
        self._app_label = app_label
        self._public = public

    def __getattr__(self, name: str) -> Reference:
        if name.startswith("__"):
            raise AttributeError(name)
        return Reference(f"{self._app_label}:{name}", self._public)


class References:
    """``api`` and ``internal``: the functions of all apps."""

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


def resolve(function: AnyFunction | Reference | str) -> AnyFunction:
    """The function that is meant.

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
