"""``Function`` is what the decorators make of a function; it refuses what could not be executed as it is."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
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


#: What other queues call on a function to schedule it, and their async twins.
ELSEWHERE = (
    *("delay", "delay_on_commit", "apply_async", "apply_async_on_commit", "s", "si"),  # Celery
    *("enqueue", "aenqueue", "using"),  # Django's tasks, RQ
    *("send", "send_with_options", "message"),  # dramatiq
    *("defer", "defer_async", "configure"),  # procrastinate
    "schedule",  # Huey
)


class Timeout(Enum):
    """Stands for the timeout of a function that names none."""

    DEFAULT = "the setting MUTATION_TIMEOUT for a mutation, for ever for an action"


class Function(Generic[P, R_co]):
    """Can be scheduled, and can be called like the plain function that was decorated."""

    #: Whether every process that starts Django imports the module that defines it; the registry knows.
    is_discovered = True

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
        aliases: Sequence[str] = (),
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
        self._aliases = aliases
        self.is_async = iscoroutinefunction(body)
        self.last_name: str = body.__name__ if name is None else name
        _refuse_what_cannot_be_executed(self)

    def __call__(self, ctx: Context, /, *args: P.args, **kwargs: P.kwargs) -> R_co:
        return self.body(ctx, *args, **kwargs)

    def __repr__(self) -> str:
        return f"<{self.kind.value} {self.name}>"

    if not TYPE_CHECKING:  # for a type checker a function has the attributes that it has

        def __getattr__(self, attribute: str) -> object:
            if attribute not in ELSEWHERE:
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {attribute!r}")
            arguments = ", ".join(["0", self.last_name, *(f"{name}=..." for name in self.signature.parameters)])
            raise AttributeError(
                f"{self.last_name} has no .{attribute}(): schedule it with ctx.scheduler.run_after({arguments}), where"
                " 0 is the delay, and ctx comes from django_scheduler or is the first parameter of a function.",
                name=attribute,
                obj=None,  # otherwise Python adds a suggestion, such as queue for enqueue
            )

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
    def aliases(self) -> list[str]:
        """Return the names that it had before."""
        app_label = self.name.partition(":")[0]
        return [alias if ":" in alias else f"{app_label}:{alias}" for alias in self._aliases]

    @property
    def names(self) -> list[str]:
        """Return all names by which it may be on record."""
        return [self.name, *self.aliases]

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
            raise InvalidArguments(why_not_bound(self.name, self.signature, args, kwargs, error)) from None
        arguments = dict(bound)
        for parameter in self.signature.parameters.values():
            if parameter.kind is inspect.Parameter.VAR_KEYWORD:
                arguments.update(arguments.pop(parameter.name, {}))
        return arguments


AnyFunction = Function[..., Any]


def why_not_bound(
    name: str, signature: inspect.Signature, args: Sequence[object], kwargs: Mapping[str, object], error: TypeError
) -> str:
    """Say why arguments do not fit a signature: what is missing, and also what is given and not known.

    ``error``: the first problem that Python has found; it stops there.
    """
    problems = [str(error)]
    parameters = signature.parameters
    takes_any = any(each.kind is inspect.Parameter.VAR_KEYWORD for each in parameters.values())
    left = [each for each in list(parameters)[len(args) :] if each not in kwargs]
    for given in () if takes_any else [each for each in kwargs if isinstance(each, str) and each not in parameters]:
        near = difflib.get_close_matches(given, left or parameters, n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        known = f"got an unexpected keyword argument {given!r}"
        problems = [*(each for each in problems if each != known), known + hint]
    return f"{name}{signature} cannot be called like this: {', and '.join(problems)}."


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
    if isinstance(function._aliases, str) or not all(map(_is_alias, function._aliases)):
        refuse(
            "aliases= must be a tuple of the names that it had, as identifiers or, for those in another app, as"
            f' "<app_label>:<name>", not {function._aliases!r}.'
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


def _is_alias(alias: object) -> bool:
    return isinstance(alias, str) and alias.count(":") <= 1 and all(map(str.isidentifier, alias.split(":")))


def _is_timeout(timeout: object) -> bool:
    if timeout is None or isinstance(timeout, Timeout):
        return True
    if isinstance(timeout, timedelta):
        return timedelta(0) < timeout <= FURTHEST
    if isinstance(timeout, bool) or not isinstance(timeout, int | float):
        return False
    return timedelta.resolution.total_seconds() <= timeout <= FURTHEST.total_seconds()
