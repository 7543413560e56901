"""Spans of what schedules and of what executes, linked across the stored row."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.test import modify_settings
from opentelemetry import trace
from opentelemetry.baggage import set_baggage
from opentelemetry.context import attach, detach
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, StatusCode, TraceState

from django_scheduler import Context, action, ctx, mutation
from django_scheduler.models import Failure, ScheduledFunction, State
from django_scheduler.scheduling import middleware_chain
from tests.executor.budgets.clock import time_begins
from tests.functions import note, write, write_and_raise, write_then_schedule
from tests.middleware.classes import events
from tests.support.records import record

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.once]


PATH = "django_scheduler.contrib.opentelemetry.middleware.OpenTelemetryMiddleware"


@pytest.fixture
def exporter(monkeypatch, settings):
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    settings.DJANGO_SCHEDULER = {"MIDDLEWARE": [PATH]}
    yield exporter
    provider.shutdown()


def spans(exporter, prefix):
    return [span for span in exporter.get_finished_spans() if span.name.startswith(prefix)]


def context_of(function_id: int) -> dict[str, Any]:
    context: dict[str, Any] | None = record(function_id).context
    assert context
    return context


@pytest.mark.parametrize("function", [write, note])
def test_execution_is_linked_to_the_call_that_scheduled_it(exporter, execute_due, function):
    function_id = ctx.scheduler.run_after(0, function, label="traced")
    execute_due()

    (scheduled,) = spans(exporter, f"schedule {function.name}")
    (executed,) = spans(exporter, f"execute {function.name}")
    assert (scheduled.kind, executed.kind) == (SpanKind.PRODUCER, SpanKind.CONSUMER)
    assert [link.context.span_id for link in executed.links] == [scheduled.context.span_id]
    assert executed.context.trace_id != scheduled.context.trace_id
    assert executed.parent is None
    assert executed.attributes["messaging.message.id"] == str(function_id)
    assert executed.attributes["django_scheduler.attempt"] == 1
    assert executed.attributes["django_scheduler.executor"] == record(function_id).executor


def test_what_a_function_schedules_belongs_to_its_span(exporter, execute_due):
    ctx.scheduler.run_after(0, write_then_schedule, label="parent")
    execute_due()

    (executed,) = spans(exporter, "execute tests:write_then_schedule")
    (scheduled,) = spans(exporter, "schedule tests:count_entries")
    assert scheduled.parent.span_id == executed.context.span_id


@action
async def tell_trace_async(ctx: Context) -> str:
    await asyncio.sleep(0)
    return format(trace.get_current_span().get_span_context().trace_id, "x")


def test_async_action_runs_within_its_span(exporter, execute_due):
    function_id = ctx.scheduler.run_after(0, tell_trace_async)
    execute_due()

    (executed,) = spans(exporter, "execute")
    assert record(function_id).result == format(executed.context.trace_id, "x")


def test_error_of_the_body_is_that_of_the_span(exporter, execute_due):
    ctx.scheduler.run_after(0, write_and_raise, label="it")
    execute_due()

    (executed,) = spans(exporter, "execute")
    assert executed.status.status_code == StatusCode.ERROR
    assert executed.status.description == "ValueError: it is not to be"
    assert executed.events[0].name == "exception"


@mutation(timeout=0.1)
def take_too_long_for_a_span(ctx: Context) -> None:
    time_begins()
    while True:
        pass


@pytest.mark.usefixtures("time_begins_when_told")
def test_timeout_is_that_of_the_span(exporter, execute_due):
    function_id = ctx.scheduler.run_after(0, take_too_long_for_a_span)
    execute_due()

    (executed,) = spans(exporter, "execute")
    assert executed.status.description.startswith("TimedOut")
    assert record(function_id).failure == Failure.TIMEOUT


def test_bulk_has_one_span_to_which_all_executions_are_linked(exporter, execute_due):
    ctx.scheduler.run_after_many(0, note, [{"label": "one"}, {"label": "two"}])
    execute_due()

    (scheduled,) = spans(exporter, "schedule")
    assert scheduled.attributes["messaging.batch.message_count"] == 2
    links = [span.links[0].context.span_id for span in spans(exporter, "execute")]
    assert links == [scheduled.context.span_id] * 2


@pytest.mark.parametrize("stored", [None, {}, {"traceparent": 7}, {"traceparent": "nonsense"}])
def test_trace_that_cannot_be_continued_keeps_nothing_from_being_executed(exporter, execute_due, stored):
    function_id = ctx.scheduler.run_after(0, write, label="traced")
    ScheduledFunction.objects.filter(pk=function_id).update(context=stored)
    execute_due()

    assert record(function_id).state == State.SUCCESS


def test_only_the_context_of_the_span_is_stored(exporter):
    with trace.use_span(NonRecordingSpan(SpanContext(0x7, 0x8, is_remote=True, trace_state=TraceState([("a", "b")])))):
        token = attach(set_baggage("customer", "ann@shop.example " * 400))
        try:
            function_id = ctx.scheduler.run_after(0, write, label="traced")
        finally:
            detach(token)

    assert context_of(function_id).keys() == {"traceparent", "tracestate"}
    assert len(str(context_of(function_id))) < 200


def test_not_even_that_if_it_is_long(exporter):
    state = TraceState([(f"vendor{number}", "x" * 250) for number in range(30)])
    with trace.use_span(NonRecordingSpan(SpanContext(0x7, 0x8, is_remote=True, trace_state=state))):
        function_id = ctx.scheduler.run_after(0, write, label="traced")

    assert context_of(function_id).keys() == {"traceparent"}


@mutation
def raise_a_secret(ctx: Context) -> None:
    raise ValueError("could not connect to postgres://ann:hunter2@db/shop")


def test_secrets_in_an_error_are_masked(exporter, execute_due):
    ctx.scheduler.run_after(0, raise_a_secret)
    execute_due()

    (executed,) = spans(exporter, "execute")
    assert executed.status.description.startswith("ValueError: could not connect to postgres://")
    assert "in raise_a_secret" in executed.events[0].attributes["exception.stacktrace"]
    assert "hunter2" not in executed.to_json()


class SpanThatFails:
    """At its beginning, or at its end."""

    def __init__(self, moment: str) -> None:
        self.moment = moment

    @contextmanager
    def start_as_current_span(self, name: str, **arguments: Any) -> Iterator[Any]:
        self.fail("beginning")
        try:
            yield trace.INVALID_SPAN
        finally:
            self.fail("end")

    def fail(self, moment: str) -> None:
        if moment == self.moment:
            raise RuntimeError("the collector is not there")


@pytest.mark.parametrize("moment", ["beginning", "end"])
def test_tracer_that_fails_changes_no_outcome(exporter, execute_due, monkeypatch, moment, caplog):
    monkeypatch.setattr(trace, "get_tracer", lambda *args, **options: SpanThatFails(moment))
    written = ctx.scheduler.run_after(0, write, label="written")
    noted = ctx.scheduler.run_after(0, note, label="noted")
    raised = ctx.scheduler.run_after(0, write_and_raise, label="it")
    execute_due()

    assert record(written).state == State.SUCCESS
    assert record(noted).state == State.SUCCESS
    assert record(raised).error == "ValueError: it is not to be"
    for what in ("the scheduling", "the execution"):
        assert f"it could not trace {what} of tests:write: RuntimeError('the collector is not there')" in caplog.text


class UnspeakableError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


@action
def raise_what_cannot_be_told(ctx: Context) -> None:
    raise UnspeakableError


def test_error_that_no_span_can_tell_is_that_of_the_function(exporter, execute_due):
    function_id = ctx.scheduler.run_after(0, raise_what_cannot_be_told)
    execute_due()

    assert record(function_id).error.startswith("UnspeakableError")
    assert len(spans(exporter, "execute")) == 1


def test_nothing_is_stored_without_the_app():
    function_id = ctx.scheduler.run_after(0, write, label="not traced")

    assert record(function_id).context is None


def test_trace_does_not_travel_on_from_call_to_call(exporter, execute_due, monkeypatch):
    """Each function is linked to the call that has scheduled it, or to none, and never to one before."""
    traced = ctx.scheduler.run_after(0, write_then_schedule, label="parent")
    ScheduledFunction.objects.update(context={**context_of(traced), "tracestate": "a=b", "tenant": "acme"})
    execute_due()
    (child,) = ScheduledFunction.objects.filter(parent=traced)
    monkeypatch.setattr(trace, "get_tracer_provider", trace.NoOpTracerProvider)
    middleware_chain.make_anew()
    again = ctx.scheduler.run_after(0, write_then_schedule, label="not recorded")
    ScheduledFunction.objects.filter(pk=again).update(context=context_of(traced))
    execute_due()
    (untraced,) = ScheduledFunction.objects.filter(parent=again)

    assert context_of(child.pk).keys() == {"traceparent", "tenant"}
    assert context_of(child.pk)["traceparent"] != context_of(traced)["traceparent"]
    assert untraced.context == {"tenant": "acme"}


def test_app_adds_the_middleware_outside_of_all_others(settings, monkeypatch):
    monkeypatch.setattr(middleware_chain, "_added", [])
    settings.DJANGO_SCHEDULER = {"MIDDLEWARE": ["tests.middleware.classes.Inner"]}
    events.clear()
    with TracerProvider().get_tracer("tests").start_as_current_span("request"):
        before = ctx.scheduler.run_after(0, write, label="not traced")
        with modify_settings(INSTALLED_APPS={"append": "django_scheduler.contrib.opentelemetry"}):
            after = ctx.scheduler.run_after(0, write, label="traced")

    assert record(before).context is None
    assert context_of(after).keys() == {"traceparent"}
    assert events == ["inner schedules, given []", "inner schedules, given ['traceparent']"]
