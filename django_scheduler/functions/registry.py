"""The registry finds every function that can be scheduled by its name, ``"<app_label>:<name>"``.

A function belongs to the installed app whose code it is part of. The module ``functions`` of every installed
app is imported when Django starts, as ``admin`` is, and its decorators fill the registry. What is defined in a module
that is imported only later, as views are, would not be found by an executor: so it is refused when it is scheduled.

A function that was renamed is also found by its ``aliases``, the names that rows on record still have.

A reference names a function without importing it: ``api.orders.archive``, or the string ``"orders:archive"``. The
function is looked up when the reference is used, so modules need not import each other.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured

from django_scheduler.errors import FunctionNotFound
from django_scheduler.functions.function import AnyFunction, Function
from django_scheduler.functions.limits import Concurrency, RateLimit
from django_scheduler.suggestions import did_you_mean, nearest
from django_scheduler.values import short_repr

if TYPE_CHECKING:
    from django_scheduler_functions import FunctionName

F_co = TypeVar("F_co", covariant=True)

#: The modules of every installed app that are imported when Django starts.
DISCOVERED_MODULES = ("functions", "crons")

#: What Django's and pytest's runners take for tests by default, and the packages that tests are in.
TEST_MODULE = re.compile(r"tests?|testing|conftest|tests?_.*|.*_tests?")

#: Finds a function that is not registered, by the name and the kind on record; ``None`` if there is none.
Source = Callable[[str, str], "AnyFunction | None"]


class Registry:
    """Finds functions that can be scheduled by name; iterating over it gives all that are registered."""

    def __init__(self) -> None:
        self._functions: dict[str, AnyFunction] = {}
        #: By the names that they had.
        self._renamed: dict[str, AnyFunction] = {}
        self._unnamed: list[AnyFunction] = []
        self._source: Source | None = None
        #: The limits that functions of the source have, as far as they were found.
        self._limits_of_source: dict[str, Concurrency] = {}
        self._rates_of_source: dict[str, RateLimit] = {}

    def add(self, function: AnyFunction) -> None:
        """Register a function. Its app, and with it its name, is known once Django has found all apps."""
        module = function.body.__module__
        function.is_imported_at_start = not apps.ready or is_discovered_module(module)
        function.is_discovered = function.is_imported_at_start or is_of_this_process(module)
        self._unnamed.append(function)
        if apps.apps_ready:
            self._name_all()

    def use_source(self, source: Source | None) -> None:
        """Look up names on record in ``source`` too from now on; ``None``: only among what is registered."""
        self._source = source

    def find(self, name: str) -> AnyFunction | None:
        """Return the registered function that has, or had, that name; or ``None``.

        A name that a client sends is looked up here, and imports nothing.
        """
        self._name_all()
        return self._find(name)

    def find_recorded(self, name: str, kind: str) -> AnyFunction | None:
        """Return the function that a row means: a registered one, or one of another source, as Django's tasks are.

        ``kind``: the one on record. It counts only for what has no kind of its own.
        """
        function = self.find(name)
        if function is None and self._source:
            function = self._source(name, kind)
            if function and function.concurrency:
                self._limits_of_source[function.limit_name] = function.concurrency
            if function and function.rate_limit:
                self._rates_of_source[function.rate_name] = function.rate_limit
        return function

    def limits(self) -> dict[str, Concurrency]:
        """Return what the code says of each limit, by its name.

        Of functions of another source, only the limits of those that this process has found are known. Where functions
        disagree, which is an error that a system check finds, the first one counts.
        """
        return self._limits_of_source | {
            each.limit_name: each.concurrency for each in self._last_to_first if each.concurrency
        }

    def rate_limits(self) -> dict[str, RateLimit]:
        """Return what the code says of each rate limit, by its name on record, as ``limits`` does."""
        return self._rates_of_source | {
            each.rate_name: each.rate_limit for each in self._last_to_first if each.rate_limit
        }

    @property
    def _last_to_first(self) -> list[AnyFunction]:
        return sorted(self, key=lambda each: each.name, reverse=True)

    def get(self, name: str) -> AnyFunction:
        """Return the registered function of that name.

        Raises ``FunctionNotFound``, which names the nearest that there is.
        """
        function = self.find(name)
        if function is None:
            of_apps = [each for each in [*self._functions] if each.partition(":")[2] == name]
            hint = f" Did you mean {of_apps[0]!r}?" if of_apps else did_you_mean(name, [*self._functions])
            raise FunctionNotFound(f"There is no mutation or action {name!r} in any installed app.{hint}")
        return function

    def __iter__(self) -> Iterator[AnyFunction]:
        self._name_all()
        return iter([*self._functions.values()])  # another thread may import some meanwhile

    def _name_all(self) -> None:
        """Enter the new functions under their names.

        Each is among the new ones until it is entered. So a thread that looks for it meanwhile enters it as well, which
        changes nothing, instead of not finding it.
        """
        while new := self._unnamed[:1]:
            try:
                self._name(new[0])
            finally:
                with suppress(ValueError):  # another thread has removed it
                    self._unnamed.remove(new[0])

    def _name(self, function: AnyFunction) -> None:
        for name in function.names:
            other = self._find(name)
            if other is None or other is function:
                continue
            if not _are_same_code(other, function):
                raise ImproperlyConfigured(
                    f"Two functions are named {name!r}: {_code_of(other)} and {_code_of(function)}. Rename one of"
                    " them, pass name=, or remove the name from aliases=."
                )
            function.is_imported_at_start = function.is_imported_at_start or other.is_imported_at_start
            function.is_discovered = function.is_discovered or other.is_discovered
        self._functions[function.name] = function
        self._renamed |= dict.fromkeys(function.aliases, function)

    def _find(self, name: str) -> AnyFunction | None:
        return self._functions.get(name) or self._renamed.get(name)


def is_discovered_module(name: str) -> bool:
    """Return whether every process imports that module when Django starts: here it has been loaded again."""
    package, _, last = name.rpartition(".")
    return last in DISCOVERED_MODULES and any(app.name == package for app in apps.get_app_configs())


def is_of_this_process(name: str) -> bool:
    """Return whether only this process executes what a module defines: one of tests, or one that was not imported."""
    module = sys.modules.get(name)
    is_made_by_hand = module is not None and getattr(module, "__spec__", None) is None
    return is_made_by_hand or any(TEST_MODULE.fullmatch(part) for part in name.split("."))


def _code_of(function: AnyFunction) -> str:
    body = inspect.unwrap(function.body)
    code = getattr(body, "__code__", None)
    return f"{code.co_filename}:{code.co_firstlineno}" if code else f"{body.__module__}.{body.__qualname__}"


def _are_same_code(one: AnyFunction, other: AnyFunction) -> bool:
    """Return whether a module was loaded again: that replaces its functions.

    What a function makes has the same code each time, and is another function each time.
    """
    return _code_of(one) == _code_of(other) and "<locals>" not in other.body.__qualname__


registry = Registry()

#: A function as callers name it: itself, by a reference, or by its name on record.
AnyReference: TypeAlias = "AnyFunction | Reference[Any] | FunctionName"


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
            name = getattr(function, "__qualname__", None) or short_repr(function)
            raise FunctionNotFound(
                f"{name} is not a mutation or an action: decorate it with @mutation or @action, or pass a reference"
                ' (internal.<app_label>.<name>, or the string "<app_label>:<name>").'
            )


def resolve_to_schedule(function: AnyReference) -> AnyFunction:
    """Return the function that is named, if executors find it too.

    Raises ``FunctionNotFound`` if there is none, or if it is in a module that executors do not import.
    """
    target = resolve(function)
    if not target.is_discovered:
        app = apps.get_containing_app_config(target.body.__module__)
        where = f"{app.name}.functions" if app else "the module functions of an installed app"
        raise FunctionNotFound(
            f"{target.name} was not scheduled, because no executor would find it: it is defined in"
            f" {target.body.__module__}, which was imported only after Django had started. Move it to the module"
            f" {where}, or import {target.body.__module__} there: executors import the modules functions and crons of"
            " every installed app, and what these import."
        )
    return target


@dataclass(frozen=True, slots=True)
class Reference(Generic[F_co]):
    """Names a function, and says whether it is public. For type checkers, ``F_co`` is what that can be called as."""

    name: str
    public: bool

    def resolve(self) -> AnyFunction:
        """Return the function.

        Raises ``FunctionNotFound`` if there is none of that name and visibility.
        """
        function = registry.find(self.name)
        if function is None or function.public != self.public:
            raise FunctionNotFound(f"There is no mutation or action {self}.{self._hint()}")
        return function

    def __str__(self) -> str:
        return f"{'api' if self.public else 'internal'}.{self.name.replace(':', '.')}"

    def _hint(self) -> str:
        # The same name with the other visibility comes first: nothing is nearer.
        existing = {str(Reference(function.name, function.public)): function.name for function in registry}
        same_name = next((path for path, name in existing.items() if name == self.name), None)
        near = same_name or nearest(str(self), existing)
        return f" Did you mean {near}?" if near else ""


class AppReferences:
    """Refers to the functions of one app: ``api.orders``."""

    def __init__(self, app_label: str, *, public: bool) -> None:
        self._app_label = app_label
        self._public = public

    def __getattr__(self, name: str) -> Reference[Any]:
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


if TYPE_CHECKING:
    # For type checkers they have the functions that the stub names, which a project may write: ``stubs/``.
    from django_scheduler_functions import api as api
    from django_scheduler_functions import internal as internal
else:
    #: ``api.<app_label>.<name>``: a reference to a public function.
    api = References(public=True)
    #: ``internal.<app_label>.<name>``: a reference to an internal function.
    internal = References(public=False)
