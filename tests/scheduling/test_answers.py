"""Whoever calls something in the wrong way is told what to write, and on which function it was."""

import asyncio
import inspect
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.core.exceptions import ImproperlyConfigured, SynchronousOnlyOperation
from django.db import DatabaseError, connection, transaction

from django_scheduler import Context, ctx, internal, mutation
from django_scheduler.crons import Interval
from django_scheduler.errors import ArgumentsTooLarge, InvalidArguments, InvalidSchedule, TooManyScheduled
from django_scheduler.functions.function import ELSEWHERE
from django_scheduler.scheduling.scheduler import Scheduler
from tests.docs.blocks import ROOT
from tests.functions import note, note_async, write, write_then_schedule
from tests.models import Entry

pytestmark = pytest.mark.once

#: For calls that a type checker would reject.
unchecked: Any = ctx


# Numbers are milliseconds


@pytest.fixture
def in_debug(settings, monkeypatch):
    settings.DEBUG = True
    monkeypatch.setattr("django_scheduler.scheduling.enqueue._warned_of", set())


def warnings_in(caplog) -> list[str]:
    return [record.getMessage() for record in caplog.records if "milliseconds" in record.getMessage()]


@pytest.mark.django_db
@pytest.mark.parametrize("seconds", [0.5, 1, 5, 30, 60, 90, 300, 600, 1800, 3600, 86_400, 604_800, 2_592_000])
def test_a_number_that_looks_like_seconds_is_logged_in_debug(seconds, in_debug, caplog):
    ctx.scheduler.run_after(seconds, write, label="x")
    (warning,) = warnings_in(caplog)
    assert warning.startswith(f"tests:write was scheduled after {seconds} milliseconds, by {__file__}:")
    assert f"timedelta(seconds={seconds})" in warning


@pytest.mark.django_db
@pytest.mark.parametrize(
    "delay",
    [
        *(0, 0.0, -0.0, 100, 250, 500, 1_000, 1_500, 2_000, 5_000, 30_000, 60_000, 90_000, 3_600_000, 86_400_000),
        *(604_800_000, timedelta(0), timedelta(seconds=60), timedelta(milliseconds=5)),
    ],
    ids=str,
)
def test_what_is_meant_as_milliseconds_is_not(delay, in_debug, caplog):
    ctx.scheduler.run_after(delay, write, label="x")
    assert not warnings_in(caplog)


@pytest.mark.django_db
def test_it_is_logged_once_for_each_place_in_the_code_and_by_every_way_to_schedule(in_debug, caplog):
    for _ in range(3):
        ctx.scheduler.run_after(60, write, label="x")
        unchecked.scheduler.run_after_many(60, "tests:write", [{"label": "x"}] * 2)
    first, second = warnings_in(caplog)
    assert first != second
    async_to_sync(ctx.scheduler.arun_after)(60, write, label="x")
    assert len(warnings_in(caplog)) == 3


@pytest.mark.django_db
def test_it_is_not_logged_without_debug(settings, caplog):
    settings.DEBUG = False
    ctx.scheduler.run_after(60, write, label="x")
    assert not warnings_in(caplog)


# What a message names


@pytest.mark.parametrize("function", [write, internal.tests.write, "tests:write"], ids=["itself", "reference", "name"])
@pytest.mark.parametrize(
    ("attempt", "error", "problem"),
    [
        (lambda f: unchecked.scheduler.run_after(-5, f, label="x"), InvalidSchedule, "negative"),
        (lambda f: unchecked.scheduler.run_after(float("nan"), f, label="x"), InvalidSchedule, "finite"),
        (lambda f: unchecked.scheduler.run_after("60", f, label="x"), TypeError, "timedelta"),
        (lambda f: unchecked.scheduler.run_after(True, f, label="x"), TypeError, "bool"),
        (lambda f: unchecked.scheduler.run_at(datetime(2030, 1, 1), f, label="x"), InvalidSchedule, "naive"),
        (lambda f: unchecked.scheduler.run_at(datetime(2130, 1, 1, tzinfo=UTC), f), InvalidSchedule, "1830 days"),
        (lambda f: unchecked.scheduler.run_after_many(-5, f, [{}]), InvalidSchedule, "negative"),
        (lambda f: unchecked.scheduler.run_at_many("now", f, [{}]), TypeError, "datetime"),
        (lambda f: async_to_sync(unchecked.scheduler.arun_after)(-5, f), InvalidSchedule, "negative"),
    ],
)
def test_an_error_about_a_delay_or_a_time_names_the_function(attempt, error, problem, function):
    name = "internal.tests.write" if function is not write and function != "tests:write" else "tests:write"
    with pytest.raises(error, match=rf"^{name} was not scheduled\. .*{problem}"):
        attempt(function)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("limit", "error"),
    [("MAX_SCHEDULED_PER_TRANSACTION", TooManyScheduled), ("MAX_ARGUMENT_BYTES_PER_TRANSACTION", ArgumentsTooLarge)],
)
def test_who_schedules_too_much_one_by_one_is_told_of_scheduling_in_bulk(limit, error, settings):
    settings.DJANGO_SCHEDULER = {limit: 1}
    with pytest.raises(error, match="Use run_after_many or run_at_many, which may schedule "), transaction.atomic():
        for _ in range(2):
            ctx.scheduler.run_after(0, write, label="x")


@pytest.mark.django_db
def test_who_schedules_too_much_in_bulk_is_not(settings):
    settings.DJANGO_SCHEDULER = {"MAX_BULK_SCHEDULED_PER_TRANSACTION": 1}
    with pytest.raises(TooManyScheduled, match="Schedule in several transactions") as refused:
        ctx.scheduler.run_after_many(0, write, [{"label": "x"}] * 2)
    assert "run_after_many" not in str(refused.value)


@pytest.mark.parametrize(
    ("function", "arguments", "parts"),
    [
        (write, {"lable": "x"}, ["missing a required ", ": 'label', and got", "'lable' (did you mean 'label'?)"]),
        (write, {"label": "x", "wait": 1}, ["unexpected keyword argument 'wait'"]),
        (write_then_schedule, {"label": "x", "dealy": 1}, ["'dealy' (did you mean 'delay'?)"]),
        (write_then_schedule, {"lebal": 1, "dealy": 1}, ["'lebal' (did you mean 'label'?)", "'dealy' (did you mean"]),
    ],
)
@pytest.mark.parametrize("bulk", [False, True], ids=["one", "many"])
def test_a_misspelt_argument_is_named_beside_the_missing_one(function, arguments, parts, bulk):
    with pytest.raises(InvalidArguments) as refused:
        if bulk:
            ctx.scheduler.run_after_many(0, function, [arguments])
        else:
            unchecked.scheduler.run_after(0, function, **arguments)
    assert not [part for part in parts if part not in str(refused.value)], str(refused.value)
    assert str(refused.value).count("wait") <= 1


def test_a_misspelt_argument_of_a_test_is_answered_too(scheduler):
    with pytest.raises(InvalidArguments, match=r"no such argument\. Did you mean 'label'\?"):
        scheduler.assert_scheduled(write, lable="x")


# What other queues have


@pytest.mark.parametrize("attribute", ["delay", "apply_async", "enqueue", "send", *ELSEWHERE])
def test_what_other_queues_call_is_answered_with_how_to_schedule(attribute):
    function: Any = write
    with pytest.raises(AttributeError, match=r"ctx\.scheduler\.run_after\(0, write, label=\.\.\.\)"):
        getattr(function, attribute)(label="x")
    assert not hasattr(function, attribute)


def test_python_adds_no_suggestion_of_its_own_to_that_answer():
    function: Any = write
    with pytest.raises(AttributeError) as refused:
        function.enqueue(label="x")
    assert refused.value.obj is None  # from what this has, it would suggest queue for enqueue


def test_other_attributes_are_missing_as_ever():
    function: Any = write
    with pytest.raises(AttributeError, match="has no attribute 'anything'"):
        function.anything  # noqa: B018
    assert not hasattr(function, "_anything")


# Async code


SYNC_CALLS = {
    "ctx.scheduler.arun_after": lambda: ctx.scheduler.run_after(0, write, label="x"),
    "ctx.scheduler.arun_at": lambda: ctx.scheduler.run_at(0.0 + datetime.now(UTC).timestamp() * 1000, write, label="x"),
    "ctx.scheduler.arun_after_many": lambda: ctx.scheduler.run_after_many(0, write, [{"label": "x"}]),
    "ctx.scheduler.arun_at_many": lambda: ctx.scheduler.run_at_many(datetime.now(UTC), write, [{"label": "x"}]),
    "ctx.scheduler.acancel": lambda: ctx.scheduler.cancel(5),
    "ctx.scheduler.acancel_all": lambda: ctx.scheduler.cancel_all(everything=True),
    "ctx.arun_mutation": lambda: ctx.run_mutation(write, label="x"),
    "ctx.arun_action": lambda: ctx.run_action(note, label="x"),
    "ctx.crons.aregister": lambda: ctx.crons.register("x", Interval(minutes=1), write, label="x"),
    "ctx.crons.aupdate": lambda: ctx.crons.update("x", args={}),
    "ctx.crons.apause": lambda: ctx.crons.pause("x"),
    "ctx.crons.aresume": lambda: ctx.crons.resume("x"),
    "ctx.crons.arun_now": lambda: ctx.crons.run_now("x"),
    "ctx.crons.adelete": lambda: ctx.crons.delete("x"),
    "ctx.crons.aget": lambda: ctx.crons.get("x"),
    "ctx.crons.alist": ctx.crons.list,
}


@pytest.mark.django_db
@pytest.mark.parametrize("twin", SYNC_CALLS)
def test_async_code_that_calls_what_waits_is_told_what_to_await(twin):
    async def call() -> None:
        SYNC_CALLS[twin]()

    with pytest.raises(SynchronousOnlyOperation, match=rf"in async code, await {twin}\."):
        asyncio.run(call())


def test_every_method_with_a_twin_is_tried():
    owners = {"ctx": Context, "ctx.scheduler": Scheduler, "ctx.crons": type(ctx.crons)}
    twins = {
        f"{owner}.{name}"
        for owner, cls in owners.items()
        for name in vars(cls)
        if inspect.iscoroutinefunction(getattr(cls, name)) and name != "acanceled"
    }
    assert twins == set(SYNC_CALLS)


@pytest.mark.django_db
def test_an_async_action_that_is_called_in_async_code_is_awaited():
    async def call() -> None:
        unchecked.run_action(note_async, label="x")

    with pytest.raises(RuntimeError, match=r"await ctx\.arun_action"):
        asyncio.run(call())


@pytest.mark.django_db
def test_somebody_elses_async_code_is_not_ours_to_explain():
    def body(ctx: Context) -> None:
        async def count() -> None:
            Entry.objects.count()

        asyncio.run(count())

    with pytest.raises(SynchronousOnlyOperation, match="You cannot call this from an async context"):
        body(ctx)


# What is not set up


@pytest.mark.django_db
@pytest.mark.parametrize(
    "attempt",
    [
        lambda: ctx.scheduler.run_after(0, write, label="x"),
        lambda: ctx.scheduler.run_after_many(0, write, [{"label": "x"}]),
        lambda: ctx.scheduler.cancel_all(write),
        ctx.crons.list,
        lambda: ctx.crons.register("x", Interval(minutes=1), write, label="x"),
    ],
    ids=["run_after", "run_after_many", "cancel_all", "crons.list", "crons.register"],
)
@pytest.mark.parametrize("missing", ["table", "column"])
def test_before_migrate_the_answer_is_to_migrate(attempt, missing):
    there = r"(django_scheduler_\w+)" if missing == "table" else r"\b(name)\b"

    def of_tomorrow(execute: Callable[..., Any], sql: str, *others: Any) -> Any:
        return execute(re.sub(there, r"\1_of_tomorrow", sql), *others)

    with (
        pytest.raises(ImproperlyConfigured, match=r"^ctx\.(scheduler|crons)\.\w+ needs .*migrate.*of_tomorrow"),
        transaction.atomic(),
        connection.execute_wrapper(of_tomorrow),
    ):
        attempt()


@pytest.mark.django_db
def test_a_table_of_somebody_else_is_not_ours_to_explain():
    @mutation
    def count_orders(ctx: Context) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT COUNT(*) FROM orders_of_tomorrow")

    with pytest.raises(DatabaseError, match="orders_of_tomorrow"):
        ctx.run_mutation(count_orders)


def test_an_app_that_is_not_installed_is_named():
    script = """
import importlib
import django
from django.conf import settings
settings.configure(INSTALLED_APPS=["django.contrib.contenttypes"])
django.setup()
for module in ["django_scheduler.context", "django_scheduler.crons", "django_scheduler.models"]:
    try:
        importlib.import_module(module)
    except Exception as error:
        print(f"{type(error).__name__}: {error}")
"""
    ended = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, cwd=ROOT)
    assert ended.stdout.count("ImproperlyConfigured: django_scheduler is imported") == 3
    assert ended.stdout.count("add 'django_scheduler' to INSTALLED_APPS") == 3
