"""Where a tracer is plugged in: around each call that schedules, and around each body that is executed.

What it hands out for the first is stored with the function and handed back for the second, in whatever process that is.
Without a tracer nothing is stored. A tracer that raises changes no outcome.
"""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any, Protocol, TypeVar

from django_scheduler.log import warn

T = TypeVar("T")


class Tracer(Protocol):
    def scheduling(self, *, name: str, kind: str, queue: str, number: int) -> AbstractContextManager[str | None]:
        """Surrounds the scheduling of so many functions; gives what is to be stored with them."""
        ...

    def executing(self, trace_context: str | None, function: Mapping[str, Any]) -> AbstractContextManager[object]:
        """Surrounds a body, given what was stored, and the arguments of ``function_started``."""
        ...


_tracer: Tracer | None = None


def use(tracer: Tracer | None) -> None:
    """Have everything traced by this tracer from now on."""
    global _tracer
    _tracer = tracer


def is_active() -> bool:
    return _tracer is not None


def scheduling(*, name: str, kind: str, queue: str, number: int) -> AbstractContextManager[str | None]:
    """Surrounds the scheduling of so many functions; gives what is to be stored with them."""
    if _tracer is None:
        return nullcontext()
    return _surviving(_tracer.scheduling(name=name, kind=kind, queue=queue, number=number))


def executing(trace_context: str | None, function: Mapping[str, Any]) -> AbstractContextManager[object]:
    """Surrounds a body, given what was stored, and the arguments of ``function_started``."""
    return nullcontext() if _tracer is None else _surviving(_tracer.executing(trace_context, function))


@contextmanager
def _surviving(traced: AbstractContextManager[T]) -> Iterator[T | None]:
    with ExitStack() as stack:
        entered = None
        try:
            entered = stack.enter_context(traced)
        except Exception as error:
            warn("A tracer failed: %s", error, error=error)
        yield entered
