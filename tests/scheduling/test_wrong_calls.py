"""Every method of ``ctx.scheduler`` says of what it cannot take: what was attempted, on what, and what to write."""

import asyncio
import re
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.core.exceptions import SynchronousOnlyOperation
from django.db import connections, transaction
from django.utils.connection import ConnectionDoesNotExist

from django_scheduler import BatchOutcome, Context, Outcome, Retry, ctx, internal, internal_mutation
from django_scheduler.errors import FunctionNotFound, InvalidArguments, InvalidSchedule, SchedulerError
from django_scheduler.models import Batch, ScheduledFunction
from tests.functions import hear, write

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.once]

#: For calls that a type checker would reject.
unchecked: Any = ctx

TOMORROW = timedelta(days=1)
NAIVE = datetime(2030, 1, 1)
AWARE = datetime(2030, 1, 1, tzinfo=UTC)

Attempt = Callable[[Any, int], object]


@internal_mutation
def hear_of_one(ctx: Context, *, outcome: Outcome) -> None: ...


@internal_mutation
def hear_of_batch_only(ctx: Context, *, outcome: "BatchOutcome | None") -> None: ...


@pytest.fixture
def waiting() -> int:
    """One that waits, which no wrong call may change."""
    return ctx.scheduler.run_after(TOMORROW, write, label="waits")


def refused(attempt: Callable[[], object], error: type[Exception], *parts: str) -> None:
    before = list(ScheduledFunction.objects.order_by("pk").values())
    with pytest.raises(error) as caught:
        attempt()
    text = "\n".join([str(caught.value), *getattr(caught.value, "__notes__", [])])
    assert not [part for part in parts if part not in text], text
    assert list(ScheduledFunction.objects.order_by("pk").values()) == before
    assert not Batch.objects.exists()


TABLE: list[tuple[Attempt, type[Exception], list[str]]] = [
    # When
    (lambda s, pk: s.run_after(AWARE, write, label="x"), TypeError, ["tests:write was not scheduled", "run_at"]),
    (lambda s, pk: s.run_after(None, write, label="x"), TypeError, ["tests:write was not scheduled", "NoneType"]),
    (lambda s, pk: s.run_after(write, 0, label="x"), TypeError, ["tests:write was not", "run_after(0, write, ...)"]),
    (lambda s, pk: s.run_at(internal.tests.write, 0), TypeError, ["When it is to run comes first"]),
    (lambda s, pk: s.run_at(TOMORROW, write, label="x"), TypeError, ["timezone.now() + timedelta(...)"]),
    (lambda s, pk: s.run_at(date(2030, 1, 1), write, label="x"), TypeError, ["tests:write was not", "not date"]),
    # Which function
    (lambda s, pk: s.run_after(0, None), FunctionNotFound, ["None is not a mutation or an action"]),
    (lambda s, pk: s.run_after(0, 5), FunctionNotFound, ["5 is not a mutation or an action"]),
    # In bulk
    (lambda s, pk: s.run_after_many(0, write, {"label": "x"}), InvalidArguments, ["list of dicts", "{'label': 'x'}"]),
    (lambda s, pk: s.run_after_many(0, write, None), InvalidArguments, ["tests:write was not", "not None"]),
    (lambda s, pk: s.run_after_many(0, write, 5), InvalidArguments, ["list of dicts", "not 5"]),
    (lambda s, pk: s.run_after_many(0, write, "ab"), InvalidArguments, ["list of dicts", "not 'ab'"]),
    # Ids
    (lambda s, pk: s.cancel("x"), TypeError, ["'x' was not canceled. The id of a scheduled function is an int, not"]),
    (lambda s, pk: s.cancel(write), TypeError, ["<mutation tests:write> was not canceled", "cancel_all(function)"]),
    (lambda s, pk: s.cancel(ScheduledFunction.objects.get()), TypeError, ["was not canceled", "Pass its pk."]),
    (lambda s, pk: s.cancel([pk]), TypeError, ["was not canceled"]),
    (lambda s, pk: s.run_now([pk]), TypeError, ["was not run now", "_many"]),
    (lambda s, pk: s.run_now(None), TypeError, ["None was not run now"]),
    (lambda s, pk: s.run_again("x"), TypeError, ["'x' was not run again"]),
    (lambda s, pk: s.reschedule(AWARE, pk), TypeError, ["was not rescheduled"]),
    (lambda s, pk: s.run_now_many(5), TypeError, ["Nothing was run now", "[7, 8], not 5"]),
    (lambda s, pk: s.run_now_many(None), TypeError, ["Nothing was run now", "not None"]),
    (lambda s, pk: s.run_now_many("55"), TypeError, ["Nothing was run now", "not '55'"]),
    (lambda s, pk: s.run_again_many([pk, "x"]), TypeError, ["'x' was not run again"]),
    (lambda s, pk: s.reschedule_many(pk, AWARE), TypeError, ["Nothing was rescheduled"]),
    # Another time
    *(
        (attempt, error, [f"The scheduled {named} not rescheduled.", part])
        for when, error, part in [
            (TOMORROW, TypeError, "timezone.now() + timedelta(...)"),
            (NAIVE, InvalidSchedule, "naive"),
            (-(10**30), InvalidSchedule, "milliseconds since 1970"),
            ("tomorrow", TypeError, "not str"),
            (None, TypeError, "not NoneType"),
        ]
        for named, attempt in [
            ("function {pk} was", lambda s, pk, when=when: s.reschedule(pk, when)),
            ("functions [{pk}] were", lambda s, pk, when=when: s.reschedule_many([pk], when)),
        ]
    ),
    # Many at once
    (lambda s, pk: s.cancel_all(5), FunctionNotFound, ["5 is not a mutation"]),
    (lambda s, pk: s.cancel_all(write, start="now"), TypeError, ["cancel_all() canceled nothing, because of start="]),
    (lambda s, pk: s.cancel_all(write, end=NAIVE), InvalidSchedule, ["canceled nothing, because of end=", "naive"]),
    (lambda s, pk: s.cancel_all(batch="7"), TypeError, ["canceled nothing: batch= is the id of a batch, not '7'"]),
    (lambda s, pk: s.cancel_all(batch=7, everything=True), InvalidArguments, ["takes nothing else"]),
    (
        lambda s, pk: s.options(queue="bulk").cancel_all(write),
        InvalidArguments,
        ["cancel_all() canceled nothing: options and batches are for what is scheduled"],
    ),
    *(
        (
            lambda s, pk, method=method, args=args: getattr(s.options(queue="bulk"), method)(*args(pk)),
            InvalidArguments,
            [f"Nothing was {done}: options and batches are for", f"Write ctx.scheduler.{said}(...)."],
        )
        for method, said, done, args in [
            ("reschedule", "reschedule", "rescheduled", lambda pk: (pk, AWARE)),
            ("reschedule_many", "reschedule", "rescheduled", lambda pk: ([pk], AWARE)),
            ("run_now", "run_now", "run now", lambda pk: (pk,)),
            ("run_now_many", "run_now", "run now", lambda pk: ([pk],)),
            ("run_again", "run_again", "run again", lambda pk: (pk,)),
            ("run_again_many", "run_again", "run again", lambda pk: ([pk],)),
        ]
    ),
    (lambda s, pk: s.cancel_all(start=TOMORROW), TypeError, ["because of start=", "timezone.now() +"]),
    (
        lambda s, pk: s.cancel_all(start=AWARE, end=AWARE - TOMORROW),
        InvalidSchedule,
        ["canceled nothing", "after end="],
    ),
    (lambda s, pk: s.cancel_all(everything="yes"), TypeError, ["canceled nothing", "True or False, not 'yes'"]),
    # Databases
    (lambda s, pk: s.using("nowhere"), ConnectionDoesNotExist, ["no database 'nowhere'", "There are: default."]),
    (lambda s, pk: s.using("defualt"), ConnectionDoesNotExist, ["Did you mean 'default'?"]),
    (lambda s, pk: s.using(5), ConnectionDoesNotExist, ["There is no database 5"]),
    # Options
    (lambda s, pk: s.options(prority=5), TypeError, ["ctx.scheduler.options() has no option 'prority'", "'priority'?"]),
    (lambda s, pk: s.options(retry=Retry(3)), TypeError, ["no option 'retry'", "@mutation(retry=...)"]),
    (lambda s, pk: s.options(then=hear), TypeError, ["no option 'then'", "There are: queue, priority"]),
    (lambda s, pk: s.options(expires=NAIVE), InvalidSchedule, ["Nothing can be scheduled", "expires=:", "naive"]),
    (
        lambda s, pk: s.batch(on_failure=hear),
        TypeError,
        ["batch() has no option 'on_failure'", "There are: on_complete"],
    ),
    # Keys
    *(
        (lambda s, pk, key=key: s.options(key=key).run_after(0, write, label="x"), error, parts)
        for key, error, parts in [
            ("", InvalidSchedule, ["key= is ''", "1 to 255 characters"]),
            (5, InvalidSchedule, ["key= is 5", "callable"]),
            (b"x", InvalidSchedule, ["key= is b'x'"]),
            ("x" * 300, InvalidSchedule, ["a text of 300 characters, which begins with 'xxx", "1 to 255 characters"]),
            (lambda: "a", InvalidSchedule, ["tests:write was not scheduled", "called with (label)", "**others"]),
            (lambda order: "a", InvalidSchedule, ["tests:write was not scheduled", "'order'"]),
            (lambda **others: None, InvalidSchedule, ["tests:write was not scheduled", "has returned None"]),
            (lambda **others: "x" * 300, InvalidSchedule, ["has returned a text of 300 characters"]),
            (lambda label: str(int("x")), ValueError, ["tests:write was not scheduled, because its key= has raised"]),
            (lambda label: label + 5, TypeError, ["tests:write was not scheduled, because its key= has raised this"]),
        ]
    ),
    (
        lambda s, pk: s.options(key=lambda label: str(1 // int(label))).run_after_many(
            0, write, [{"label": "1"}, {"label": "0"}]
        ),
        ZeroDivisionError,
        ["tests:write was not scheduled", "(at position 1)"],
    ),
    # Callbacks
    *(
        (
            lambda s, pk, callback=callback: s.options(on_failure=callback).run_after(0, write, label="x"),
            error,
            ["tests:write was not scheduled: its on_failure=", *parts],
        )
        for callback, error, parts in [
            ([hear, {}], InvalidArguments, ["Write a tuple: (<mutation tests:hear>, {})."]),
            ([(hear, {}), (hear, {})], InvalidArguments, ["There is only one: have that schedule the others."]),
            ((hear,), InvalidArguments, ["(function, {...})"]),
            ((hear, {}, 3), InvalidArguments, ["(function, {...})"]),
            ((hear, [1]), InvalidArguments, ["(function, {...})"]),
            ((hear, None), InvalidArguments, ["(function, {...})"]),
            ((), InvalidArguments, ["(function, {...})"]),
            ({"f": hear}, InvalidArguments, ["(function, {...})"]),
            ((hear, {1: 2}), InvalidArguments, ["given by their names", "{1: 2}"]),
            ((hear, {"outcome": 1}), InvalidArguments, ["Leave it out"]),
            ("tests:haer", FunctionNotFound, ["Did you mean 'tests:hear'?"]),
            (5, FunctionNotFound, ["5 is not a mutation"]),
            (hear_of_batch_only, InvalidArguments, ["declared as BatchOutcome", "a function is told Outcome"]),
        ]
    ),
]


@pytest.mark.parametrize(("attempt", "error", "parts"), TABLE)
def test_a_wrong_call_says_what_to_write_and_changes_nothing(attempt, error, parts, waiting):
    refused(
        lambda: attempt(unchecked.scheduler, waiting), error, *(part.replace("{pk}", str(waiting)) for part in parts)
    )


def test_an_async_key_is_refused():
    async def key_of(**others: object) -> str:
        return "x"

    refused(lambda: unchecked.scheduler.options(key=key_of), InvalidSchedule, "key= is async")


# Batches


def test_a_batch_without_its_block_says_how_to_open_it():
    uses: list[Callable[[Any], object]] = [
        lambda batch: batch.run_after(0, write, label="x"),
        lambda batch: batch.id,
        lambda batch: batch.options(queue="bulk"),
    ]
    for use in uses:
        block = unchecked.scheduler.batch()
        refused(partial(use, block), AttributeError, "with ctx.scheduler.batch(...) as batch:")


def test_a_block_is_opened_once():
    block = ctx.scheduler.batch()
    with block as batch:
        batch.run_after(TOMORROW, write, label="x")
    with pytest.raises(SchedulerError, match="was opened already"), block:
        pass
    assert Batch.objects.get().total == 1


def test_a_batch_takes_no_members_from_another_thread():
    problems: list[BaseException] = []

    def add(batch: Any) -> None:
        try:
            batch.run_after(0, write, label="x")
        except SchedulerError as error:
            problems.append(error)
        finally:
            connections.close_all()

    with ctx.scheduler.batch() as batch:
        thread = threading.Thread(target=add, args=[batch])
        thread.start()
        thread.join()
        batch.run_after(TOMORROW, write, label="member")

    (problem,) = problems
    assert re.search(r"tests:write was not scheduled: the block of the batch \d+ .* another thread", str(problem))
    assert Batch.objects.get().total == 1


def test_a_batch_within_another_one_is_a_batch_of_its_own():
    with ctx.scheduler.batch() as outer, outer.batch() as inner:
        inner.run_after(TOMORROW, write, label="inner")
        outer.run_after(TOMORROW, write, label="outer")
    assert sorted(ScheduledFunction.objects.values_list("batch", "args__label")) == [
        (outer.id, "outer"),
        (inner.id, "inner"),
    ]


def test_async_code_is_told_how_to_schedule_a_batch():
    async def plain() -> None:
        with ctx.scheduler.batch() as batch:
            await batch.arun_after(0, write, label="x")

    async def with_async() -> None:
        async with unchecked.scheduler.batch():
            pass

    for attempt in (plain, with_async):
        refused(partial(asyncio.run, attempt()), SynchronousOnlyOperation, "sync_to_async", "Nothing was")


def test_async_code_schedules_a_batch_in_a_function_of_its_own():
    def render() -> int:
        with ctx.scheduler.batch() as batch:
            batch.run_after_many(TOMORROW, write, [{"label": "a"}, {"label": "b"}])
        return batch.id

    async def view() -> int:
        return await sync_to_async(render)()

    assert Batch.objects.get(pk=async_to_sync(view)()).total == 2


@pytest.fixture
def nothing_scheduled() -> Iterator[None]:
    yield
    assert not ScheduledFunction.objects.exists()
    assert not Batch.objects.exists()


def test_what_follows_a_batch_is_not_told_an_outcome_of_a_function(nothing_scheduled):
    with (
        pytest.raises(InvalidArguments, match=r"declared as Outcome, .* a batch is told BatchOutcome"),
        ctx.scheduler.batch(on_complete=hear_of_one),  # type: ignore[arg-type]
    ):
        pass


def test_what_takes_both_outcomes_or_says_nothing_follows_both():
    @internal_mutation
    def hear_anything(ctx, *, outcome) -> None: ...

    @internal_mutation
    def hear_object(ctx, *, outcome: "BatchOutcome | object") -> None: ...

    for function in (hear, hear_anything, hear_object):
        ctx.scheduler.options(on_complete=function).run_after(TOMORROW, write, label="x")
        with transaction.atomic(), ctx.scheduler.batch(on_complete=function):
            pass


@pytest.mark.parametrize("annotation", [str, "int", "dict[str, object] | None"])
def test_what_cannot_be_told_an_outcome_is_refused(annotation):
    def hear_text(ctx, *, outcome): ...

    hear_text.__annotations__["outcome"] = annotation
    function = internal_mutation(hear_text)
    refused(
        lambda: ctx.scheduler.options(on_complete=function).run_after(0, write, label="x"),
        InvalidArguments,
        "tests:write was not scheduled: its on_complete=",
        "declare outcome: Outcome",
    )


def test_what_the_scheduler_has_is_not_looked_for_in_ctx():
    with pytest.raises(AttributeError, match=r"ctx has no \.run_after\(\): write ctx\.scheduler\.run_after\(\.\.\.\)"):
        unchecked.run_after(0, write, label="x")
    with pytest.raises(AttributeError, match="ctx has no attribute 'anything'"):
        unchecked.anything  # noqa: B018
    assert not hasattr(ctx, "cancel_all")
