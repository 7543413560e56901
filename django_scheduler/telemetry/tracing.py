"""Trace each call that schedules and each body that is executed, if a tracer is in use.

What the tracer gives for the call is stored with the function, and is given back to it for the body, in whatever
process that is executed. Without a tracer nothing is stored. A tracer that raises changes no outcome.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import partial
from typing import Any, Protocol, TypeVar

from django_scheduler.telemetry.log import warn

T = TypeVar("T")


class Tracer(Protocol):
    """Is what ``use`` takes: see ``contrib/opentelemetry``."""

    def scheduling(self, *, name: str, kind: str, queue: str, number: int) -> AbstractContextManager[str | None]:
        """Surround the scheduling of so many functions; give what is to be stored with them."""
        ...

    def executing(self, trace_context: str | None, function: Mapping[str, Any]) -> AbstractContextManager[object]:
        """Surround a body, given what was stored, and the arguments of ``function_started``."""
        ...


#: What traces now. Callers look at it first, because without a tracer the arguments of the functions below need not be
#: collected.
tracer: Tracer | None = None

#: Surrounds a call or a body that is not traced.
UNTRACED = nullcontext()


def use(new_tracer: Tracer | None) -> None:
    """Have everything traced by this tracer from now on; ``None``: by none."""
    global tracer
    tracer = new_tracer


def scheduling(*, name: str, kind: str, queue: str, number: int) -> AbstractContextManager[str | None]:
    """Surround the scheduling of so many functions; give what is to be stored with them."""
    current = tracer  # another thread may be taking it out of use
    if current is None:
        return UNTRACED
    return _never_failing(
        "scheduling", name, partial(current.scheduling, name=name, kind=kind, queue=queue, number=number)
    )


def executing(trace_context: str | None, function: Mapping[str, Any]) -> AbstractContextManager[object]:
    """Surround a body, given what was stored, and the arguments of ``function_started``."""
    current = tracer
    if current is None:
        return UNTRACED
    return _never_failing("execution", function["name"], partial(current.executing, trace_context, function))


@contextmanager
def _never_failing(what: str, name: str, traced: Callable[[], AbstractContextManager[T]]) -> Iterator[T | None]:
    warn_of = partial(warn, "A tracer failed: it could not trace the %s of %s: %r", what, name)
    span = ExitStack()
    entered = None
    try:
        entered = span.enter_context(traced())
    except Exception as error:
        warn_of(error, error=error)
    try:
        yield entered
    except BaseException as error:
        _end(span, error, warn_of)
        raise
    _end(span, None, warn_of)


def _end(span: ExitStack, error: BaseException | None, warn_of: Callable[..., None]) -> None:
    try:
        span.__exit__(type(error) if error else None, error, error.__traceback__ if error else None)
    except Exception as problem:
        if problem is not error:
            warn_of(problem, error=problem)
