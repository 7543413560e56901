"""``Function`` is what the decorators make of a function; it refuses what could not be executed as it is."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from datetime import timedelta
from enum import Enum
from functools import cached_property, update_wrapper
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypeVar

from asgiref.sync import iscoroutinefunction
from django.apps import apps
from django.core.exceptions import ImproperlyConfigured

from django_scheduler.conf import get_settings
from django_scheduler.errors import InvalidArguments
from django_scheduler.models import LONGEST_QUEUE_NAME, Kind
from django_scheduler.times import FURTHEST
from django_scheduler.values import is_plain_text, short_repr

if TYPE_CHECKING:
    from django_scheduler.context import Context


P = ParamSpec("P")
R_co = TypeVar("R_co", covariant=True)


class Timeout(Enum):
    """Stands for the timeout of a function that names none."""

    DEFAULT = "the setting MUTATION_TIMEOUT for a mutation, for ever for an action"


class Function(Generic[P, R_co]):
    """Can be scheduled, and can be called like the plain function that was decorated."""

    def __init__(
        self,
        body: Callable[Concatenate[Context, P], R_co],
        *,
        kind: Kind,
        public: bool,
        name: str | None,
        queue: str,
        priority: int,
        alone: bool = False,
        timeout: timedelta | float | Timeout | None = Timeout.DEFAULT,
        admin: bool = True,
        rerun: bool = True,
    ) -> None:
        _refuse_what_is_no_plain_function(body, kind)
        update_wrapper(self, body, updated=())  # attributes that the body has could be named as ours are
        self.body = body
        self.kind = kind
        self.public = public
        self.queue = queue
        self.priority = priority
        self.alone = alone
        self.admin = admin
        self.rerun = rerun
        self._timeout = timeout
        self.is_async = iscoroutinefunction(body)
        self.last_name: str = body.__name__ if name is None else name
        _refuse_what_cannot_be_executed(self)

    def __call__(self, ctx: Context, /, *args: P.args, **kwargs: P.kwargs) -> R_co:
        return self.body(ctx, *args, **kwargs)

    def __repr__(self) -> str:
        return f"<{self.kind.value} {self.name}>"

    @cached_property
    def name(self) -> str:
        """Return ``"<app_label>:<name>"``, by which the function is stored, logged and found again."""
        app = apps.get_containing_app_config(self.body.__module__)
        if app is None:
            raise ImproperlyConfigured(
                f"{self.body.__module__}.{self.body.__qualname__} is {self.kind.with_article} outside of any installed"
                " app: add its app to INSTALLED_APPS, or move it into one that is there."
            )
        return f"{app.label}:{self.last_name}"

    @property
    def timeout(self) -> timedelta | None:
        """Return for how long its body may run; ``None``: for ever."""
        if isinstance(self._timeout, Timeout):
            return get_settings().MUTATION_TIMEOUT if self.kind is Kind.MUTATION else None
        return timedelta(seconds=self._timeout) if isinstance(self._timeout, int | float) else self._timeout

    @cached_property
    def signature(self) -> inspect.Signature:
        """Return the signature that it is scheduled with: its own without ``ctx``."""
        _, *parameters = self._whole_signature.parameters.values()
        return self._whole_signature.replace(parameters=parameters)

    @cached_property
    def _whole_signature(self) -> inspect.Signature:
        return inspect.signature(self.body)

    def names_by_position(self, number: int) -> list[str] | None:
        """Return what those arguments are called that a task of Django's is given by position.

        ``None``: it is no task, or it takes fewer.
        """
        return None

    def bind_names(self, names: Iterable[str]) -> None:
        """Raise ``InvalidArguments`` if arguments of these names do not fit the signature."""
        Function.bind(self, (), dict.fromkeys(names))  # not self.bind: that of a task looks at the values too

    def bind(self, args: tuple[object, ...], kwargs: dict[str, Any]) -> dict[str, object]:
        """Return the arguments by name.

        Raises ``InvalidArguments`` if they do not fit the signature.
        """
        try:
            _, *bound = self._whole_signature.bind(None, *args, **kwargs).arguments.items()
        except TypeError as error:
            raise InvalidArguments(f"{self.name}{self.signature} cannot be called like this: {error}.") from None
        arguments = dict(bound)
        for parameter in self.signature.parameters.values():
            if parameter.kind is inspect.Parameter.VAR_KEYWORD:
                arguments.update(arguments.pop(parameter.name, {}))
        return arguments


AnyFunction = Function[..., Any]


def _refuse_what_is_no_plain_function(body: object, kind: Kind) -> None:
    if isinstance(body, Function):
        raise ImproperlyConfigured(f"{body.name} is {body.kind.with_article} already: it cannot be two things.")
    if isinstance(body, type) or not (callable(body) and hasattr(body, "__qualname__")):
        raise ImproperlyConfigured(
            f"Only a function can be {kind.with_article}, not {short_repr(body)}. The options of the decorator are"
            f" given by name, as in @{kind.value}(name=...)."
        )


def _refuse_what_cannot_be_executed(function: AnyFunction) -> None:
    def refuse(problem: str) -> None:
        raise ImproperlyConfigured(
            f"{function.body.__module__}.{function.body.__qualname__} cannot be {function.kind.with_article}: {problem}"
        )

    if not isinstance(function.last_name, str) or not function.last_name.isidentifier():
        refuse(f"its name {function.last_name!r} is not an identifier; pass name=.")
    if len(function.last_name) > 150:
        refuse("its name is longer than 150 characters; pass a shorter name=.")
    if function.kind is Kind.MUTATION and function.is_async:
        refuse("Django's transactions are synchronous, so a mutation is a plain function: remove async or use @action.")
    if inspect.isgeneratorfunction(function.body) or inspect.isasyncgenfunction(function.body):
        refuse("it is a generator, and nobody would iterate it; return a list instead.")
    queue = function.queue
    if not isinstance(queue, str) or not 0 < len(queue) <= LONGEST_QUEUE_NAME or not is_plain_text(queue):
        refuse(f"queue= must be a name of 1 to {LONGEST_QUEUE_NAME} characters, without NUL, not {queue!a}.")
    if type(function.priority) is not int or not -32_768 <= function.priority <= 32_767:
        refuse(f"priority= must be a whole number from -32768 to 32767, not {function.priority!r}.")
    if function.alone and function.kind is Kind.ACTION:
        refuse("alone= is for mutations: an action runs outside of any transaction.")
    if type(function.admin) is not bool:
        refuse(f"admin= must be True or False, not {function.admin!r}.")
    if type(function.rerun) is not bool:
        refuse(f"rerun= must be True or False, not {function.rerun!r}.")
    if not _is_timeout(function._timeout):
        refuse(
            "timeout= must be a positive timedelta or number of seconds, of at most five years, or None, not"
            f" {function._timeout!r}."
        )
    parameters = list(inspect.signature(function.body).parameters.values())
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    if not parameters or parameters[0].kind not in positional:
        refuse("its first parameter must be ctx.")
    for parameter in parameters[1:]:
        if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            refuse(f"*{parameter.name} has no names to store its arguments by; name each parameter.")
        if parameter.kind is inspect.Parameter.POSITIONAL_ONLY:
            refuse(f"{parameter.name!r} is positional-only, and arguments are stored by name; remove the /.")


def _is_timeout(timeout: object) -> bool:
    if timeout is None or isinstance(timeout, Timeout):
        return True
    if isinstance(timeout, timedelta):
        return timedelta(0) < timeout <= FURTHEST
    if isinstance(timeout, bool) or not isinstance(timeout, int | float):
        return False
    return timedelta.resolution.total_seconds() <= timeout <= FURTHEST.total_seconds()
