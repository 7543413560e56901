"""Every function that can be scheduled, by its name ``"<app_label>:<name>"``.

A function belongs to the installed app whose code it is part of. The module ``functions`` of every installed
app is imported when Django starts, as ``admin`` is, and its decorators fill the registry.

References: functions by name, found when they are used, so that modules need not import each other.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured

from django_scheduler.errors import FunctionNotFound
from django_scheduler.functions.function import AnyFunction, Function

#: Finds a function that is not registered, by the name and the kind on record.
Source = Callable[[str, str], "AnyFunction | None"]


class Registry:
    """Every function that can be scheduled, by name."""

    def __init__(self) -> None:
        self._functions: dict[str, AnyFunction] = {}
        self._unnamed: list[AnyFunction] = []
        self._sources: list[Source] = []

    def add(self, function: AnyFunction) -> None:
        """Remember a function. Its app, and with it its name, is known once Django has found all apps."""
        self._unnamed.append(function)
        if apps.apps_ready:
            self._name_all()

    def add_source(self, source: Source) -> None:
        """Let the functions on record come from somewhere else too."""
        if source not in self._sources:
            self._sources.append(source)

    def find(self, name: str) -> AnyFunction | None:
        """The registered function of that name. A name that a client sends is looked up here, and imports nothing."""
        self._name_all()
        return self._functions.get(name)

    def find_recorded(self, name: str, kind: str) -> AnyFunction | None:
        """The function that a row means: a registered one, or one of another source, such as a task of Django's.

        ``kind``: the one on record. It counts only for what has no kind of its own.
        """
        if function := self.find(name):
            return function
        return next((function for source in self._sources if (function := source(name, kind))), None)

    def get(self, name: str) -> AnyFunction:
        """Raises ``FunctionNotFound``, with the nearest name there is."""
        function = self.find(name)
        if function is None:
            near = difflib.get_close_matches(name, self._functions, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise FunctionNotFound(f"There is no scheduled function {name!r} in any installed app.{hint}")
        return function

    def __iter__(self) -> Iterator[AnyFunction]:
        self._name_all()
        return iter(self._functions.values())

    def _name_all(self) -> None:
        while self._unnamed:
            function = self._unnamed.pop(0)
            other = self._functions.get(function.name)
            if other is not None and not _same_source(other, function):
                raise ImproperlyConfigured(
                    f"Two scheduled functions are named {function.name!r}: {_source(other)} and"
                    f" {_source(function)}. Rename one of them, or pass name=."
                )
            self._functions[function.name] = function


def _source(function: AnyFunction) -> str:
    body = inspect.unwrap(function.body)
    code = getattr(body, "__code__", None)
    return f"{code.co_filename}:{code.co_firstlineno}" if code else f"{body.__module__}.{body.__qualname__}"


def _same_source(one: AnyFunction, other: AnyFunction) -> bool:
    """Whether a module was loaded again: that replaces its functions.

    What a function makes has the same source each time, and is another function each time.
    """
    return _source(one) == _source(other) and "<locals>" not in other.body.__qualname__


registry = Registry()


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
