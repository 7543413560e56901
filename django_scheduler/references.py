"""References: functions by name, found when they are used, so that modules need not import each other."""

from __future__ import annotations

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
            access, other = ("api", "internal") if self.public else ("internal", "api")
            path = self.name.replace(":", ".")
            hint = f" There is {other}.{path}." if function is not None else ""
            raise FunctionNotFound(f"There is no {access}.{path}.{hint}")
        return function


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
