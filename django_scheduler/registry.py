"""Every function that can be scheduled, by its name ``"<app_label>:<name>"``.

A function belongs to the installed app whose code it is part of. The module ``functions`` of every installed
app is imported when Django starts, as ``admin`` is, and its decorators fill the registry.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured

from django_scheduler.errors import FunctionNotFound

if TYPE_CHECKING:
    from django_scheduler.functions import AnyFunction


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
