"""The site's middleware adds to the context of what is scheduled, and wraps the bodies that are executed.

``DJANGO_SCHEDULER["MIDDLEWARE"]`` names classes, from the outside to the inside. One object is made of each, when the
first of them is needed, and serves this process from then on, in all of its threads. It is given what it wraps, as
``run``; the innermost one is given what calls the body. An app may add a class of its own, outside of all others.

* The hook ``schedule`` of each is called with the context of what is about to be scheduled, in the same order. Nothing
  has been counted or written by then, so an error of a hook is the caller's, and nothing is scheduled.
* ``__call__`` is called where the body would be: for a mutation within its transaction, in the thread of the worker,
  within the time budget and in the isolation of the body. So what it writes, what it leaves behind and how long it
  takes is treated as if the body itself had done it; and an error of it is one of the body.

Both guarantees are statements about the body: ``success`` says that it has returned, and it begins once. So a
middleware that calls it twice, drops its error, or does not return what it has returned is an error of the function.

A site without middleware pays for one look at a variable when it schedules, and for another one before each body.
"""

import inspect
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from threading import RLock
from typing import Any, NoReturn, TypeAlias

from django.core.exceptions import ImproperlyConfigured, MiddlewareNotUsed
from django.core.signals import setting_changed
from django.db import DatabaseError, InterfaceError
from django.dispatch import receiver
from django.utils.module_loading import import_string

from django_scheduler.conf import NAME, get_settings
from django_scheduler.errors import InvalidContext, SchedulerError
from django_scheduler.models import Kind, ScheduledFunctionId
from django_scheduler.values import short_repr

#: How large the context of a function may be, in bytes of JSON: it is written with each row, and read with each claim.
MOST_BYTES = 4 * 1024

#: The result of a body that has not returned.
_NOTHING = object()


class NewContext(dict[str, Any]):
    """Is the context of what is about to be scheduled: JSON, to which ``schedule`` may add. It also says what that is.

    ``name``, ``kind`` and ``queue`` are those of the function; ``number`` says how many calls are scheduled at once.
    """

    def __init__(self, known: Mapping[str, Any], *, name: str, kind: Kind, queue: str, number: int) -> None:
        super().__init__(known)
        self.name = name
        self.kind = kind
        self.queue = queue
        self.number = number


@dataclass(kw_only=True, eq=False)
class Call:
    """Describes a scheduled function whose body is about to be called."""

    #: Its name: "orders:archive_order".
    name: str
    #: ``Kind.MUTATION`` or ``Kind.ACTION``.
    kind: Kind
    #: Its id, that of its ``ScheduledFunction``.
    id: ScheduledFunctionId
    #: What the body is given, by the names of its parameters.
    args: Mapping[str, Any]
    #: What was stored when it was scheduled.
    context: Mapping[str, Any]
    #: Which attempt this is, counted from 1.
    attempt: int
    #: Its queue.
    queue: str = "default"
    #: Which executor executes it.
    executor: str = ""
    #: For how long it has been due, in seconds.
    lag: float = 0.0
    #: In which database it is on record.
    using: str = "default"

    #: Calls the body; how often it has been called, and what it has returned.
    _body: Callable[[], object] = field(init=False, repr=False)
    _calls: int = field(default=0, init=False, repr=False)
    _returned: object = field(default=_NOTHING, init=False, repr=False)


#: What a middleware wraps: the next one, or what calls the body. It returns what the body returns.
Run: TypeAlias = Callable[[Call], Any]


class Middleware:
    """Is what a middleware may inherit from; it need not. It runs what it wraps, and adds nothing.

    One object serves all threads of a process, so nothing that belongs to one call is kept in it.

    Example::

        class TenantMiddleware(Middleware):
            def schedule(self, context):
                context["tenant"] = current_tenant()

            def __call__(self, call):
                with use_tenant(call.context.get("tenant")):
                    return self.run(call)
    """

    def __init__(self, run: Run) -> None:
        self.run = run

    def schedule(self, context: NewContext) -> None:
        """Add to the context of what is about to be scheduled: small JSON that travels with the function.

        It has what the function that schedules carries by itself, or what is known of the request. In bulk it is one
        context for all calls. An exception goes to whoever schedules, and nothing is scheduled.
        """

    def __call__(self, call: Call) -> Any:
        """Return ``self.run(call)``, which runs the body once; do before and after it what is to be done."""
        return self.run(call)


class Chain:
    """Is the middleware of the site, in order."""

    def __init__(self, classes: Sequence[Callable[[Run], Any]]) -> None:
        run: Run = call_body
        hooks: list[Callable[[NewContext], object]] = []
        for make in reversed(classes):
            try:
                each = make(run)
            except MiddlewareNotUsed:
                continue
            run = each
            if getattr(type(each), "schedule", Middleware.schedule) is not Middleware.schedule:
                hooks.insert(0, each.schedule)
        #: What adds to contexts; empty: nothing does.
        self.hooks = hooks
        #: What wraps bodies; ``None``: nothing does.
        self.outermost: Run | None = None if run is call_body else run

    def add_to(self, known: str | None, name: str, kind: Kind, queue: str, number: int) -> str | None:
        """Return the context, as JSON, of so many calls of a function, given what is known by itself.

        Raises ``InvalidContext``, and what a hook raises.
        """
        context = NewContext(json.loads(known) if known else {}, name=name, kind=kind, queue=queue, number=number)
        for add in self.hooks:
            add(context)
        return _to_json(context) if context else None


def call_through(outermost: Run, call: Call, body: Callable[[], object]) -> object:
    """Call a body through the middleware around it, and return what it has returned.

    Raises ``SchedulerError`` if the middleware has not returned that.
    """
    call._body = body
    returned = outermost(call)
    if returned is not call._returned:
        if not call._calls:
            what = "was not called"
        elif call._returned is _NOTHING:
            what = "has raised an exception"
        else:
            what = f"has returned {short_repr(call._returned)}"
        raise SchedulerError(
            f"{call.name} {call.id}: its middleware has returned {short_repr(returned)}, and its body {what}. Each"
            f" class in {NAME}['MIDDLEWARE'] has to return what self.run(call) returns, and to let its exceptions pass."
        )
    return returned


def call_body(call: Call) -> object:
    """Call the body, once; the innermost middleware is given this to run."""
    if call._calls:
        raise SchedulerError(
            f"{call.name} {call.id}: its middleware has run it twice. A body is called once for each attempt: call"
            " self.run(call) once, and let its exceptions pass."
        )
    call._calls += 1
    call._returned = call._body()
    return call._returned


_lock = RLock()  # one that schedules while it is made would wait for itself

#: Whether the thread that has the lock is making the middleware.
_is_making = False

#: The paths of classes that apps have added.
_added: list[str] = []

#: The middleware of the site; ``None``: it has not been made yet. Callers look at it before they call anything here.
chain: Chain | None = None


def make_chain() -> Chain:
    """Return the middleware of the site, which is made if that has not been done yet.

    Raises ``ImproperlyConfigured`` if one of the classes cannot be used.
    """
    try:
        return _made()
    except _Unusable as error:
        raise ImproperlyConfigured(f"{NAME}['MIDDLEWARE']: {error}") from error.__cause__


def _made() -> Chain:
    """Return the middleware of the site, or raise ``_Unusable``."""
    global chain, _is_making
    with _lock:
        if chain is None:
            if _is_making:
                raise RuntimeError("A middleware schedules while it is made. Schedule when it is called.")
            _is_making = True
            try:
                chain = Chain([_maker(path, _class_at(path)) for path in _paths()])
            finally:
                _is_making = False
        return chain


def make_anew() -> None:
    """Have the middleware made again when it is needed next."""
    global chain
    chain = None


def add(path: str) -> None:
    """Have a class wrap all others from now on, unless the setting gives it another place."""
    if path not in _added:
        _added.insert(0, path)
    make_anew()


def problems() -> Iterator[tuple[str, str, str]]:
    """Yield for each class that cannot be used its path, what is wrong, and what to do.

    If they look right they are made, and kept. An error of the database is none of theirs: it need not be there yet.
    """
    found: list[_Unusable] = []
    for path in _paths():
        try:
            _class_at(path)
        except _Unusable as error:
            found.append(error)
    if not found:
        try:
            _made()
        except _Unusable as error:
            if not isinstance(error.__cause__, DatabaseError | InterfaceError):
                found.append(error)
    for each in found:
        yield each.path, each.problem, each.hint


@receiver(setting_changed)
def _note_change(*, setting: str, **kwargs: object) -> None:
    if setting == NAME:
        make_anew()


def _paths() -> list[str]:
    configured = get_settings().MIDDLEWARE
    return [*(path for path in _added if path not in configured), *configured]


class _Unusable(Exception):
    """Says why a class cannot be a middleware."""

    def __init__(self, path: str, problem: str, hint: str) -> None:
        super().__init__(f"{path} {problem}. {hint}")
        self.path = path
        self.problem = problem
        self.hint = hint


def _class_at(path: str) -> type:
    """Import a class. Raises ``_Unusable`` if that is not possible, or if it is not made and called as ours are."""

    def refuse(problem: str, hint: str, cause: Exception | None = None) -> NoReturn:
        raise _Unusable(path, problem, hint) from cause

    try:
        cls = import_string(path)
    except Exception as error:  # whatever its module raises
        refuse(f"cannot be imported: {type(error).__name__}: {error}", "Correct the path, or its module.", error)
    if not isinstance(cls, type):
        refuse("is not a class", "Name a class, such as one that inherits from django_scheduler.middleware.Middleware.")
    if hasattr(cls, "sync_capable") or hasattr(cls, "async_capable"):
        refuse("is a middleware for requests", "Put it into Django's own setting MIDDLEWARE.")
    methods = {name: method for base in reversed(cls.__mro__) for name, method in vars(base).items()}
    shape = [("__init__(self, run)", cls, 1), ("__call__(self, call)", methods.get("__call__"), 2)]
    if "schedule" in methods:
        shape.append(("schedule(self, context)", methods["schedule"], 2))
    for wanted, method, number in shape:
        if not _takes(method, number):
            refuse(f"has no {wanted}", "Inherit from django_scheduler.middleware.Middleware.")
        if inspect.iscoroutinefunction(method):
            refuse(f"has an async {wanted}", "Make it synchronous: it is called in the thread of a worker.")
    return cls


def _maker(path: str, cls: type) -> Callable[[Run], Any]:
    """Return what makes a middleware of the class. It raises ``_Unusable`` if that is not possible."""

    def make(run: Run) -> Any:
        try:
            return cls(run)
        except MiddlewareNotUsed:
            raise
        except Exception as error:
            problem = f"cannot be made: {type(error).__name__}: {error}"
            hint = "Mend its __init__(self, run), or let it raise MiddlewareNotUsed where it is not to be used."
            raise _Unusable(path, problem, hint) from error

    return make


def _takes(method: Any, number: int) -> bool:
    """Return whether something can be called with so many arguments, as far as it tells."""
    try:
        inspect.signature(method).bind(*[None] * number)
    except TypeError:  # also if it cannot be called at all
        return False
    except ValueError:
        return True
    return True


def _to_json(context: NewContext) -> str:
    text = _dump(context)
    if text is None:
        wrong = [f"{key!r}: {short_repr(value)}" for key, value in context.items() if _dump({key: value}) is None]
        raise InvalidContext(
            f"{context.name} was not scheduled: its context cannot be stored as JSON, because of {', '.join(wrong)}."
            f" The classes in {NAME}['MIDDLEWARE'] add to it in schedule(). Let them add text, numbers, booleans, None,"
            " and lists and dicts of these."
        )
    if (size := len(text.encode())) > MOST_BYTES:
        sizes = sorted(((len(json.dumps(value)), key) for key, value in context.items()), reverse=True)
        raise InvalidContext(
            f"{context.name} was not scheduled: its context is {size:,} bytes of JSON, and {MOST_BYTES:,} are allowed"
            f" (most of it: {', '.join(f'{key!r}, {size:,}' for size, key in sizes[:3])}). The classes in"
            f" {NAME}['MIDDLEWARE'] add to it in schedule(). Let them add what the rest can be found by."
        )
    return text


def _dump(context: dict[str, Any]) -> str | None:
    """Return a context as JSON, or ``None`` if it would not come back equal, or if there is a database without it."""
    try:
        text = json.dumps(context, ensure_ascii=False, allow_nan=False)
        text.encode()  # which half of a surrogate pair cannot be
        is_right = json.loads(text) == context and r"\u0000" not in text.replace(r"\\", "")
    except (TypeError, ValueError, RecursionError):
        return None
    return text if is_right else None
