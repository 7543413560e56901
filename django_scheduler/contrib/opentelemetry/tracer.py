"""Each call that schedules and each body that is executed has a span; the two are linked through the stored row.

They are linked, and not parent and child, because a function may be executed a week after it was scheduled, and a trace
that lasts for a week is of no use.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, SpanKind, Status, StatusCode, TracerProvider
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue

from django_scheduler import __version__
from django_scheduler.record import describe
from django_scheduler.telemetry import secrets

#: How long what vendors add to the context of a span may be, in characters: what the W3C asks everybody to carry.
LONGEST_TRACE_STATE = 512

_SPAN_CONTEXT = TraceContextTextMapPropagator()


class OpenTelemetryTracer:
    """Makes a span for each call that schedules and for each body. The default ``provider`` is that of the process."""

    def __init__(self, provider: TracerProvider | None = None) -> None:
        self._tracer = trace.get_tracer("django_scheduler", __version__, tracer_provider=provider)

    @contextmanager
    def scheduling(self, *, name: str, kind: str, queue: str, number: int) -> Iterator[str | None]:
        """Trace the scheduling of so many functions; yield the context that is stored with them, as JSON."""
        attributes: dict[str, AttributeValue] = {
            "messaging.system": "django_scheduler",
            "messaging.operation.type": "send",
            "messaging.destination.name": queue,
            "messaging.batch.message_count": number,
            "django_scheduler.function": name,
            "django_scheduler.kind": kind,
        }
        with self._tracer.start_as_current_span(f"schedule {name}", kind=SpanKind.PRODUCER, attributes=attributes):
            yield _stored_context()

    @contextmanager
    def executing(self, trace_context: str | None, function: Mapping[str, Any]) -> Iterator[None]:
        """Trace a body in a trace of its own, linked to the call that scheduled it."""
        attributes = {
            "messaging.system": "django_scheduler",
            "messaging.operation.type": "process",
            "messaging.message.id": str(function["function_id"]),
            "django_scheduler.function": function["name"],
            "django_scheduler.kind": function["kind"],
            "django_scheduler.attempt": function["attempt"],
            "django_scheduler.lag": function["lag"],
            "django_scheduler.executor": function["executor"],
        }
        with self._tracer.start_as_current_span(
            f"execute {function['name']}",
            context=Context(),
            kind=SpanKind.CONSUMER,
            attributes=attributes,
            links=_links(trace_context),
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


def _stored_context() -> str | None:
    """Return the context of the span that is open, as it is stored with each function.

    Only that: what else a propagator would carry, such as baggage, may be long, and may hold what is nobody's business.
    """
    carrier: dict[str, str] = {}
    _SPAN_CONTEXT.inject(carrier)
    if len(carrier.get("tracestate", "")) > LONGEST_TRACE_STATE:
        del carrier["tracestate"]
    return json.dumps(carrier) if carrier else None


def _links(trace_context: str | None) -> list[Link]:
    if not trace_context:
        return []
    remote = trace.get_current_span(_SPAN_CONTEXT.extract(json.loads(trace_context), Context())).get_span_context()
    return [Link(remote)] if remote.is_valid else []
