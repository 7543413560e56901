"""What a mutation does through its ``ctx`` is part of its transaction, or is refused: it never takes effect alone."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.db import connection, connections, transaction
from django.utils import timezone

from django_scheduler import Context, action, crons, ctx, mutation
from django_scheduler.crons.models import Cron
from django_scheduler.errors import SchedulerError, TransientError
from django_scheduler.models import ScheduledFunction, State
from tests.crons.functions import tick
from tests.functions import write
from tests.models import Entry
from tests.support.elsewhere import elsewhere
from tests.support.records import record

pytestmark = pytest.mark.django_db(transaction=True)


def pending() -> int:
    return ScheduledFunction.objects.earliest("pk").pk


def ended() -> int:
    return ScheduledFunction.objects.filter(state=State.SUCCESS).latest("pk").pk


#: Everything that writes, as it is called in the body of a mutation.
OPERATIONS: dict[str, Callable[[Context], object]] = {
    "run_after": lambda ctx: ctx.scheduler.run_after(0, write, label="a"),
    "run_at": lambda ctx: ctx.scheduler.run_at(timezone.now(), write, label="a"),
    "run_after_many": lambda ctx: ctx.scheduler.run_after_many(0, write, [{"label": "a"}]),
    "run_at_many": lambda ctx: ctx.scheduler.run_at_many(timezone.now(), write, [{"label": "a"}]),
    "by its alias": lambda ctx: ctx.scheduler.using("default").run_after(0, write, label="a"),
    "cancel": lambda ctx: ctx.scheduler.cancel(pending()),
    "cancel_all": lambda ctx: ctx.scheduler.cancel_all(write),
    "reschedule": lambda ctx: ctx.scheduler.reschedule(pending(), timezone.now()),
    "reschedule_many": lambda ctx: ctx.scheduler.reschedule_many([pending()], timezone.now()),
    "run_now of a function": lambda ctx: ctx.scheduler.run_now(pending()),
    "run_now_many": lambda ctx: ctx.scheduler.run_now_many([pending()]),
    "run_again": lambda ctx: ctx.scheduler.run_again(ended()),
    "run_again_many": lambda ctx: ctx.scheduler.run_again_many([ended()]),
    "run_mutation": lambda ctx: ctx.run_mutation(write, label="a"),
    "register": lambda ctx: ctx.crons.register("new", crons.Interval(hours=1), tick),
    "update": lambda ctx: ctx.crons.update("old", schedule=crons.Interval(hours=3)),
    "pause": lambda ctx: ctx.crons.pause("old"),
    "resume": lambda ctx: ctx.crons.resume("paused"),
    "run_now": lambda ctx: ctx.crons.run_now("old"),
    "delete": lambda ctx: ctx.crons.delete("old"),
}

#: The same from async code.
ASYNC_OPERATIONS: dict[str, Callable[[Context], Any]] = {
    "arun_after": lambda ctx: ctx.scheduler.arun_after(0, write, label="a"),
    "arun_at": lambda ctx: ctx.scheduler.arun_at(timezone.now(), write, label="a"),
    "arun_after_many": lambda ctx: ctx.scheduler.arun_after_many(0, write, [{"label": "a"}]),
    "arun_at_many": lambda ctx: ctx.scheduler.arun_at_many(timezone.now(), write, [{"label": "a"}]),
    "acancel": lambda ctx: ctx.scheduler.acancel(7),
    "acancel_all": lambda ctx: ctx.scheduler.acancel_all(write),
    "arun_mutation": lambda ctx: ctx.arun_mutation(write, label="a"),
    "aregister": lambda ctx: ctx.crons.aregister("new", crons.Interval(hours=1), tick),
    "aupdate": lambda ctx: ctx.crons.aupdate("old", schedule=crons.Interval(hours=3)),
    "apause": lambda ctx: ctx.crons.apause("old"),
    "aresume": lambda ctx: ctx.crons.aresume("paused"),
    "arun_now": lambda ctx: ctx.crons.arun_now("old"),
    "adelete": lambda ctx: ctx.crons.adelete("old"),
}


def in_a_pool(work: Callable[[], object]) -> None:
    with ThreadPoolExecutor(1) as pool:
        pool.submit(_and_disconnect, work).result()


def in_a_pool_that_is_told(work: Callable[[], object]) -> None:
    with ThreadPoolExecutor(1) as pool:
        pool.submit(copy_context().run, _and_disconnect, work).result()


def in_a_transaction_of_another_thread(work: Callable[[], object]) -> None:
    def within_a_block() -> None:
        with transaction.atomic(), transaction.atomic():
            work()

    in_a_pool(within_a_block)


def in_an_event_loop(work: Callable[[], object]) -> None:
    asyncio.run(sync_to_async(_and_disconnect)(work))


def in_a_thread_beside_the_loop(work: Callable[[], object]) -> None:
    async_to_sync(sync_to_async(_and_disconnect, thread_sensitive=False))(work)


def _and_disconnect(work: Callable[[], object]) -> None:
    try:
        work()
    finally:
        connections.close_all()


PLACES = [
    in_a_pool,
    in_a_pool_that_is_told,
    # SQLite has one writer at a time, and the mutation is that.
    pytest.param(in_a_transaction_of_another_thread, marks=pytest.mark.only_on("postgresql", "mysql")),
    in_an_event_loop,
    in_a_thread_beside_the_loop,
]


@pytest.fixture
def on_record():
    """Reads all that may be changed, which is a function that is pending, one that has ended, and two crons."""
    ctx.scheduler.run_after(60_000, write, label="pending")
    ended = ctx.scheduler.run_after(60_000, write, label="ended")
    ScheduledFunction.objects.filter(pk=ended).update(state=State.SUCCESS, completed_time=timezone.now())
    ctx.crons.register("old", crons.Interval(hours=1), tick)
    ctx.crons.register("paused", crons.Interval(hours=1), tick)
    ctx.crons.pause("paused")
    return lambda: [
        [*ScheduledFunction.objects.order_by("pk").values()],
        [*Cron.objects.order_by("pk").values()],
        [*Entry.objects.order_by("pk").values()],
    ]


def refused_in(place: Callable[..., None], operate: Callable[[Context], object], context: Context) -> None:
    with pytest.raises(SchedulerError, match=r"^Cannot .*: this ctx belongs to the mutation tests:\w+"):
        place(lambda: operate(context))


@pytest.mark.parametrize("operation", OPERATIONS)
def test_in_the_body_it_is_part_of_the_mutation(operation, on_record):
    @mutation
    def succeed(ctx: Context) -> None:
        OPERATIONS[operation](ctx)

    @mutation
    def fail(ctx: Context) -> None:
        OPERATIONS[operation](ctx)
        raise ZeroDivisionError

    before = on_record()
    with pytest.raises(ZeroDivisionError):
        ctx.run_mutation(fail)
    assert on_record() == before
    ctx.run_mutation(succeed)
    assert on_record() != before


@pytest.mark.parametrize("place", PLACES)
def test_in_another_thread_it_is_refused_before_anything_is_written(place, on_record):
    @mutation
    def go_elsewhere(context: Context) -> None:
        for operate in OPERATIONS.values():
            refused_in(place, operate, context)

    before = on_record()
    ctx.run_mutation(go_elsewhere)
    assert on_record() == before


def test_in_an_event_loop_of_asyncio_run_it_is_refused(on_record):
    @mutation
    def run_loops(context: Context) -> None:
        for operate in ASYNC_OPERATIONS.values():
            for given_or_imported in (context, ctx):
                with pytest.raises(SchedulerError, match="async_to_sync instead"):
                    asyncio.run(operate(given_or_imported))

    before = on_record()
    ctx.run_mutation(run_loops)
    assert on_record() == before


@pytest.mark.parametrize("place", [in_a_pool_that_is_told, in_an_event_loop])
def test_the_imported_ctx_is_refused_where_it_knows_the_mutation(place):
    @mutation
    def go_elsewhere(context: Context) -> None:
        refused_in(place, OPERATIONS["run_after"], ctx)

    ctx.run_mutation(go_elsewhere)
    assert not ScheduledFunction.objects.exists()


def test_through_async_to_sync_it_is_part_of_the_mutation():
    @mutation
    def schedule(context: Context, *, fail: bool) -> None:
        async_to_sync(context.scheduler.arun_after)(0, write, label="a")
        async_to_sync(ctx.arun_mutation)(write, label="b")
        if fail:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        ctx.run_mutation(schedule, fail=True)
    assert not ScheduledFunction.objects.exists()
    ctx.run_mutation(schedule, fail=False)
    assert ScheduledFunction.objects.get().name == "tests:write"
    assert Entry.objects.get().label == "b"


def test_a_scheduled_mutation_is_named_with_its_id_and_leaves_nothing(execute_due):
    @mutation
    def schedule_in_a_thread(context: Context) -> None:
        elsewhere(lambda: context.scheduler.run_after(0, write, label="a"))

    function_id = ctx.scheduler.run_after(0, schedule_in_a_thread)
    execute_due()
    row = record(function_id)
    assert row.state == State.FAILED
    assert row.error.startswith(
        "SchedulerError: Cannot schedule tests:write: this ctx belongs to the mutation"
        f" tests:schedule_in_a_thread {function_id}, whose transaction is not open on the connection of this thread"
    )
    assert ScheduledFunction.objects.count() == 1


@pytest.mark.usefixtures("retry_at_once")
def test_a_ctx_is_that_of_one_attempt():
    attempts: list[Context] = []

    @mutation
    def try_again(context: Context) -> None:
        attempts.append(context)
        context.scheduler.run_after(0, write, label="a")
        if len(attempts) == 1:
            raise TransientError
        with pytest.raises(SchedulerError, match="whose body has ended"):
            attempts[0].scheduler.run_after(0, write, label="of the first attempt")

    ctx.run_mutation(try_again)
    assert ScheduledFunction.objects.count() == 1


def test_a_ctx_that_is_kept_until_its_body_has_ended_is_refused():
    kept: list[Context] = []

    @mutation
    def keep(context: Context) -> None:
        kept.append(context)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        ctx.run_mutation(keep)
    with pytest.raises(SchedulerError, match=r"whose body has ended.*use the imported ctx"):
        kept[0].scheduler.run_after(0, write, label="a")
    with transaction.atomic(), pytest.raises(SchedulerError, match="whose body has ended"):
        kept[0].run_mutation(write, label="a")
    assert not ScheduledFunction.objects.exists()


def test_ctx_of_the_body_can_be_used_in_its_hooks_where_nothing_can_be_doubled_any_more(execute_due):
    @mutation(name="has_a_hook")
    def hook(context: Context, *, label: str) -> None:
        transaction.on_commit(lambda: context.scheduler.run_after(60_000, write, label=label) and None)

    ctx.run_mutation(hook, label="called")
    ctx.scheduler.run_after(0, hook, label="scheduled")
    execute_due()

    labels = [record.args["label"] for record in ScheduledFunction.objects.filter(name=write.name).order_by("pk")]
    assert labels == ["called", "scheduled"]


def test_the_imported_ctx_of_a_hook_belongs_to_no_mutation_any_more():
    @mutation
    def hook(context: Context) -> None:
        transaction.on_commit(lambda: ctx.scheduler.run_after(0, write, label="a") and None)

    ctx.run_mutation(hook)
    assert ScheduledFunction.objects.count() == 1


def test_members_of_a_group_have_each_their_own(execute_due, growing_groups, monkeypatch):
    monkeypatch.setattr("django_scheduler.executor.grouping.GROUP_SECONDS", 20.0)
    kept: list[Context] = []

    @mutation
    def take_that_of_another(context: Context) -> None:
        kept.append(context)
        transaction.on_commit(kept.clear)
        for other in kept[:-1]:
            with pytest.raises(SchedulerError, match="whose body has ended"):
                other.scheduler.run_after(0, write, label="a")

    ids = ctx.scheduler.run_after_many(0, take_that_of_another, [{}] * 8)
    execute_due()
    assert [record(function_id).state for function_id in ids] == [State.SUCCESS] * 8
    assert ScheduledFunction.objects.count() == 8


def test_a_mutation_within_another_has_its_savepoint():
    kept: list[Context] = []

    @mutation
    def inner(context: Context) -> None:
        kept.append(context)
        context.scheduler.run_after(0, write, label="inner")

    @mutation
    def outer(context: Context) -> None:
        @mutation(name="inner_that_uses_the_outer_ctx")
        def use_outer(_: Context) -> None:
            context.scheduler.run_after(0, write, label="outer, within")

        context.run_mutation(inner)
        context.run_mutation(use_outer)
        context.scheduler.run_after(0, write, label="outer")
        with pytest.raises(SchedulerError, match="mutation tests:inner, whose body has ended"):
            kept[0].scheduler.run_after(0, write, label="never")

    ctx.run_mutation(outer)
    labels = [row.decoded_args()["label"] for row in ScheduledFunction.objects.order_by("pk")]
    assert labels == ["inner", "outer, within", "outer"]


@pytest.mark.parametrize(
    "reconnect",
    # On MySQL Django cannot connect again within a transaction that it believes to be open.
    [False, pytest.param(True, marks=pytest.mark.only_on("postgresql", "sqlite"))],
)
def test_a_body_that_has_closed_its_connection_is_told_so(reconnect):
    @mutation
    def close(context: Context) -> None:
        connection.close()
        if reconnect:
            connection.connect()
        context.scheduler.run_after(0, write, label="a")

    problem = "is not open on the connection of this thread" if reconnect else "has closed its connection"
    with pytest.raises(SchedulerError, match=problem):
        ctx.run_mutation(close)
    assert not ScheduledFunction.objects.exists()


def test_a_thread_that_shares_the_connection_shares_the_transaction():
    @mutation
    def share(context: Context) -> None:
        shared = connections["default"]

        def schedule() -> None:
            connections["default"] = shared
            context.scheduler.run_after(0, write, label="a")

        shared.inc_thread_sharing()
        try:
            thread = threading.Thread(target=schedule)
            thread.start()
            thread.join()
        finally:
            shared.dec_thread_sharing()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        ctx.run_mutation(share)
    assert not ScheduledFunction.objects.exists()


def test_an_action_schedules_in_its_threads_as_ever(execute_due):
    @action
    def outer(context: Context) -> None:
        in_a_pool(lambda: context.scheduler.run_after(60_000, write, label="a"))
        in_an_event_loop(lambda: context.scheduler.run_after(60_000, write, label="b"))
        in_a_pool(lambda: context.run_mutation(write, label="c"))

    function_id = ctx.scheduler.run_after(0, outer)
    execute_due()
    assert record(function_id).state == State.SUCCESS, record(function_id).traceback
    assert ScheduledFunction.objects.filter(parent=function_id).count() == 2
