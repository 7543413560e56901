"""``Function`` is what the decorators make of a function; it refuses what could not be executed as it is."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from functools import cached_property, update_wrapper
from typing import TYPE_CHECKING, Any, Concatenate, Generic, Literal, ParamSpec, TypeVar

from asgiref.sync import iscoroutinefunction
from django.apps import apps
from django.core.exceptions import ImproperlyConfigured

from django_scheduler.conf import get_settings
from django_scheduler.errors import InvalidArguments
from django_scheduler.functions.limits import LimitTexts, problem_of_key
from django_scheduler.functions.options import DEFAULTS, NOT_GIVEN, NotGiven, Options
from django_scheduler.models import RATE, Kind
from django_scheduler.suggestions import nearest
from django_scheduler.values import JSONValue, short_repr

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


#: What a call may say besides its arguments, with ``ctx.scheduler.options``.
OPTIONS_OF_CALLS = (
    *("queue", "priority", "expires", "key", "existing", "max_wait"),
    *("on_complete", "on_failure"),
)


class Function(Generic[P, R_co]):
    """Can be scheduled, and can be called like the plain function that was decorated."""

    #: Whether every process that starts Django imports the module that defines it; the registry knows.
    is_imported_at_start = True
    #: Whether an executor finds it: it is imported there, or only this process executes it.
    is_discovered = True

    def __init__(
        self,
        body: Callable[Concatenate[Context, P], R_co],
        *,
        kind: Kind,
        public: bool,
        options: Options = DEFAULTS,
    ) -> None:
        _refuse_what_is_no_plain_function(body, kind)
        update_wrapper(self, body, updated=())  # attributes that the body has could be named as ours are
        self.body = body
        self.kind = kind
        self.public = public
        self.queue = options.queue
        self.priority = options.priority
        self.alone = options.alone
        self.admin = options.admin
        self.rerun = options.rerun
        self.expires = options.expires
        self.retry = options.retry
        self.idempotent = options.idempotent
        self.fair_key = options.fair_key
        self.concurrency = options.concurrency
        self.rate_limit = options.rate_limit
        self._options = options
        self.is_async = iscoroutinefunction(body)
        self.last_name: str = body.__name__ if options.name is None else options.name
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
        return [alias if ":" in alias else f"{app_label}:{alias}" for alias in self._options.aliases]

    @property
    def names(self) -> list[str]:
        """Return all names by which it may be on record."""
        return [self.name, *self.aliases]

    @property
    def timeout(self) -> timedelta | None:
        """Return for how long its body may run; ``None``: for ever."""
        timeout = self._options.timeout
        if timeout is NOT_GIVEN:
            return get_settings().MUTATION_TIMEOUT if self.kind is Kind.MUTATION else None
        return timedelta(seconds=timeout) if isinstance(timeout, int | float) else timeout

    @property
    def retention(self) -> timedelta | NotGiven | None:
        """Return how long it stays on record once it has ended; ``None``: for ever."""
        return self._options.retention

    def fair_key_in(self, queue: str) -> str | None:
        """Return the parameter that names the tenant of what is scheduled in a queue; ``None``: there is none."""
        if self.fair_key is not None:
            return self.fair_key
        key = get_settings().FAIR_KEYS.get(queue)
        return None if key is None or key not in self.names_of_parameters else key

    @cached_property
    def names_of_parameters(self) -> frozenset[str]:
        """Return the names of the arguments that it declares."""
        variable = inspect.Parameter.VAR_KEYWORD
        return frozenset(each.name for each in self.signature.parameters.values() if each.kind is not variable)

    @cached_property
    def limit_name(self) -> str:
        """Return the name of its limit."""
        return (self.concurrency and self.concurrency.name) or self.name

    def limit_of(self, stored_args: str) -> str:
        """Return the text by which the limit of a call is known, from its arguments as stored; never raise."""
        return self._limit_texts.of(stored_args, self.arguments_by_name)

    @cached_property
    def _limit_texts(self) -> LimitTexts:
        key = self.concurrency.parameters if self.concurrency else ()
        return LimitTexts(self.limit_name, key, self.declared_parameters)

    @cached_property
    def rate_name(self) -> str:
        """Return the name of its rate limit as it is on record: ``bank rate``."""
        return f"{(self.rate_limit and self.rate_limit.name) or self.name}{RATE}"

    def rate_limit_of(self, stored_args: str) -> str:
        """Return the text by which the rate limit of a call is known, as ``limit_of`` does."""
        return self._rate_limit_texts.of(stored_args, self.arguments_by_name)

    @cached_property
    def _rate_limit_texts(self) -> LimitTexts:
        key = self.rate_limit.parameters if self.rate_limit else ()
        return LimitTexts(self.rate_name, key, self.declared_parameters)

    @property
    def keeps_order(self) -> bool:
        """Return whether its bodies begin one after the other, in the order of their due times."""
        return self.concurrency is not None and self.concurrency.limit == 1

    @cached_property
    def signature(self) -> inspect.Signature:
        """Return the signature that it is scheduled with: its own without ``ctx``."""
        _, *parameters = self._whole_signature.parameters.values()
        return self._whole_signature.replace(parameters=parameters)

    @cached_property
    def _whole_signature(self) -> inspect.Signature:
        return inspect.signature(self.body)

    @property
    def declared_parameters(self) -> Mapping[str, inspect.Parameter]:
        """Return the parameters that its author has declared for arguments."""
        return self.signature.parameters

    def arguments_by_name(self, stored: dict[str, JSONValue]) -> dict[str, JSONValue]:
        """Return stored arguments by the names of those parameters, as far as they have one."""
        return stored

    def names_by_position(self, number: int) -> list[str] | None:
        """Return what those arguments are called that a task of Django's is given by position.

        ``None``: it is no task, or it takes fewer.
        """
        return None

    def bind_names(self, names: Iterable[str]) -> None:
        """Raise ``InvalidArguments`` if arguments of these names do not fit the signature."""
        Function.bind(self, (), dict.fromkeys(names))  # not self.bind: that of a task looks at the values too

    @cached_property
    def _binder(self) -> Binder:
        return Binder(self._whole_signature)

    def bind(self, args: tuple[object, ...], kwargs: dict[str, Any]) -> dict[str, object]:
        """Return the arguments by name, in the order of the signature.

        Raises ``InvalidArguments`` if they do not fit the signature.
        """
        arguments = self._binder.bind(args, kwargs)
        return self._bind_slowly(args, kwargs) if arguments is None else arguments

    def _bind_slowly(self, args: tuple[object, ...], kwargs: dict[str, Any]) -> dict[str, object]:
        """Bind as Python does, which says what does not fit."""
        try:
            _, *bound = self._whole_signature.bind(None, *args, **kwargs).arguments.items()
        except TypeError as error:
            reason = why_not_bound(self.name, self.signature, args, kwargs, error)
            ctx = next(iter(self._whole_signature.parameters))
            if ctx in kwargs:
                reason += f" Its first parameter, {ctx}, is given ctx: if that is missing, add it before {ctx}."
            raise InvalidArguments(reason) from None
        arguments = dict(bound)
        for parameter in self.signature.parameters.values():
            if parameter.kind is inspect.Parameter.VAR_KEYWORD:
                arguments.update(arguments.pop(parameter.name, {}))
        return arguments


class Mutation(Function[P, R_co]):
    """Is a function whose effects on the database happen exactly once."""

    # For type checkers, who tell by it what a reference refers to.
    kind: Literal[Kind.MUTATION]

    def __init__(
        self, body: Callable[Concatenate[Context, P], R_co], *, public: bool, options: Options = DEFAULTS
    ) -> None:
        super().__init__(body, kind=Kind.MUTATION, public=public, options=options)


class Action(Function[P, R_co]):
    """Is a function whose body starts at most once, unless it declares otherwise."""

    kind: Literal[Kind.ACTION]

    def __init__(
        self, body: Callable[Concatenate[Context, P], R_co], *, public: bool, options: Options = DEFAULTS
    ) -> None:
        super().__init__(body, kind=Kind.ACTION, public=public, options=options)


AnyFunction = Function[..., Any]


class Binder:
    """Binds arguments to a signature whose first parameter is ``ctx``, as ``inspect.Signature.bind`` does.

    That takes 10 to 20 times as long, and is left to say what does not fit. What is bound here, it binds alike:
    ``tests/functions/test_binding.py`` tries it.
    """

    def __init__(self, signature: inspect.Signature) -> None:
        ctx, *parameters = signature.parameters.values()
        kinds = [parameter.kind for parameter in parameters]
        by_name = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
        named = [parameter for parameter in parameters if parameter.kind in by_name]
        self._names = [parameter.name for parameter in named]
        self._by_position = self._names[: kinds.count(inspect.Parameter.POSITIONAL_OR_KEYWORD)]
        self._required = {each.name for each in named if each.default is inspect.Parameter.empty}
        self._takes_others = inspect.Parameter.VAR_KEYWORD in kinds
        #: A name that is given already. (Others may have that of a ctx that is positional-only.)
        self._taken = None if ctx.kind is inspect.Parameter.POSITIONAL_ONLY else ctx.name
        # Others are refused where the function is decorated; its body may have been exchanged since.
        self._knows_the_kinds = {*kinds} <= {*by_name, inspect.Parameter.VAR_KEYWORD} and (
            ctx.kind is not inspect.Parameter.VAR_POSITIONAL
        )

    def bind(self, args: tuple[object, ...], kwargs: dict[str, Any]) -> dict[str, object] | None:
        """Return the arguments by name, in the order of the signature; ``None`` if they do not fit, or may not."""
        if not self._knows_the_kinds:
            return None
        given = kwargs
        if args:
            given = {**dict(zip(self._by_position, args, strict=False)), **kwargs}
            if len(given) < len(args) + len(kwargs):  # too many, or one that was given twice
                return None
        arguments = {name: given[name] for name in self._names if name in given}
        if not self._required <= arguments.keys():
            return None
        if len(arguments) < len(given):
            if not self._takes_others or self._taken in given:
                return None
            for name, value in given.items():
                if not isinstance(name, str):
                    return None
                arguments.setdefault(name, value)
        return arguments


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
        near = nearest(given, left or parameters)
        hint = f" (did you mean {near!r}?)" if near else ""
        if not near and given in OPTIONS_OF_CALLS:
            hint = f" (if that is an option of the call: ctx.scheduler.options({given}=...).run_after(...))"
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
    if function.alone and function.kind is Kind.ACTION:
        refuse("alone= is for mutations: an action runs outside of any transaction.")
    if function.idempotent and function.kind is Kind.MUTATION:
        refuse("idempotent= is for actions: the effects of a mutation happen exactly once anyway.")
    for problem in function._options.problems():
        refuse(problem)
    parameters = list(inspect.signature(function.body).parameters.values())
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    if not parameters or parameters[0].kind not in positional:
        refuse("its first parameter must be ctx.")
    for parameter in parameters[1:]:
        if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            refuse(f"*{parameter.name} has no names to store its arguments by; name each parameter.")
        if parameter.kind is inspect.Parameter.POSITIONAL_ONLY:
            refuse(f"{parameter.name!r} is positional-only, and arguments are stored by name; remove the /.")
    others = {parameter.name: parameter for parameter in parameters[1:]}
    for option, limit in (("concurrency", function.concurrency), ("rate_limit", function.rate_limit)):
        if limit and (wrong := problem_of_key(limit.parameters, others)):
            refuse(f"{option}=: {wrong}")
    is_parameter = isinstance(function.fair_key, str) and function.fair_key in function.names_of_parameters
    if function.fair_key is not None and not is_parameter:
        known = ", ".join(sorted(function.names_of_parameters)) or "it has none besides ctx"
        refuse(f"fair_key= must be one of its parameters ({known}), not {function.fair_key!a}.")
