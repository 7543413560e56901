"""Each call that schedules and each body that is executed has a span; the two are linked through the context.

They are linked, and not parent and child, because a function may be executed a week after it was scheduled, and a trace
that lasts for a week is of no use. The context of a function is what its own call has added. What it carries of the
call before is overwritten, or removed where nothing is traced.

Tracing that fails changes no outcome.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, SpanKind, Status, StatusCode, TracerProvider
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue

from django_scheduler import __version__
from django_scheduler.record import describe
from django_scheduler.scheduling import Call, Middleware, NewContext, Run
from django_scheduler.telemetry import secrets, warn

#: How long what vendors add to the context of a span may be, in characters: what the W3C asks everybody to carry.
LONGEST_TRACE_STATE = 512

_SPAN_CONTEXT = TraceContextTextMapPropagator()


class OpenTelemetryMiddleware(Middleware):
    """Makes a span for each call that schedules and for each body.

    The app adds it outside of all others. Name it in the setting to give it another place. The default ``provider`` is
    that of the process.
    """

    def __init__(self, run: Run, provider: TracerProvider | None = None) -> None:
        super().__init__(run)
        self._tracer = trace.get_tracer("django_scheduler", __version__, tracer_provider=provider)

    def schedule(self, context: NewContext) -> None:
        """Trace the call that schedules, and have the context name its span."""
        with _never_failing("scheduling", context.name, lambda: self._scheduling(context)):
            pass

    def __call__(self, call: Call) -> Any:
        """Trace a body in a trace of its own, linked to the call that scheduled it."""
        with _never_failing("execution", call.name, lambda: self._executing(call)):
            return self.run(call)

    @contextmanager
    def _scheduling(self, context: NewContext) -> Iterator[None]:
        for key in _SPAN_CONTEXT.fields:
            context.pop(key, None)
        attributes: dict[str, AttributeValue] = {
            "messaging.system": "django_scheduler",
            "messaging.operation.type": "send",
            "messaging.destination.name": context.queue,
            "messaging.batch.message_count": context.number,
            "django_scheduler.function": context.name,
            "django_scheduler.kind": context.kind.value,
        }
        name = f"schedule {context.name}"
        with self._tracer.start_as_current_span(name, kind=SpanKind.PRODUCER, attributes=attributes):
            context.update(_stored_context())
            yield

    @contextmanager
    def _executing(self, call: Call) -> Iterator[None]:
        attributes: dict[str, AttributeValue] = {
            "messaging.system": "django_scheduler",
            "messaging.operation.type": "process",
            "messaging.message.id": str(call.id),
            "django_scheduler.function": call.name,
            "django_scheduler.kind": call.kind.value,
            "django_scheduler.attempt": call.attempt,
            "django_scheduler.lag": call.lag,
            "django_scheduler.executor": call.executor,
        }
        with self._tracer.start_as_current_span(
            f"execute {call.name}",
            context=Context(),
            kind=SpanKind.CONSUMER,
            attributes=attributes,
            links=_links(call),
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                yield
            except BaseException as error:  # TimedOut is no Exception
                told = {column: secrets.mask_text(text) for column, text in describe(error).items()}
                texts = {"exception.message": told["error"], "exception.stacktrace": told["traceback"]}
                span.record_exception(error, attributes=texts)
                span.set_status(Status(StatusCode.ERROR, told["error"]))
                raise


def _stored_context() -> dict[str, str]:
    """Return the context of the span that is open, as it is stored with each function.

    Only that: what else a propagator would carry, such as baggage, may be long, and may hold what is nobody's business.
    """
    carrier: dict[str, str] = {}
    _SPAN_CONTEXT.inject(carrier)
    if len(carrier.get("tracestate", "")) > LONGEST_TRACE_STATE:
        del carrier["tracestate"]
    return carrier


def _links(call: Call) -> list[Link]:
    carrier = {key: value for key in _SPAN_CONTEXT.fields if isinstance(value := call.context.get(key), str)}
    remote = trace.get_current_span(_SPAN_CONTEXT.extract(carrier, Context())).get_span_context()
    return [Link(remote)] if remote.is_valid else []


@contextmanager
def _never_failing(what: str, name: str, traced: Callable[[], AbstractContextManager[None]]) -> Iterator[None]:
    span = ExitStack()

    def warn_of(error: Exception) -> None:
        warn("A tracer failed: it could not trace the %s of %s: %r", what, name, error, error=error)

    def end(error: BaseException | None) -> None:
        try:
            span.__exit__(type(error) if error else None, error, error.__traceback__ if error else None)
        except Exception as problem:
            if problem is not error:
                warn_of(problem)

    try:
        span.enter_context(traced())
    except Exception as error:
        warn_of(error)
    try:
        yield
    except BaseException as error:
        end(error)
        raise
    end(None)
