"""``ctx.crons``: crons that are registered, changed and paused at run time, as part of the caller's transaction."""

from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import transaction
from django.utils.connection import ConnectionDoesNotExist

from django_scheduler import Context, crons, ctx, mutation
from django_scheduler.crons.models import Cron, CronRun, CronState
from django_scheduler.crons.reconcile import impose
from django_scheduler.databases import database_for
from django_scheduler.errors import (
    CronDefinedInCode,
    CronExists,
    CronUnfinished,
    FunctionNotFound,
    InvalidArguments,
    InvalidSchedule,
    SchedulerError,
    UnknownCron,
)
from django_scheduler.models import ScheduledFunction
from tests.crons.conftest import NOON
from tests.crons.functions import tick, tick_for_all
from tests.models import Entry

TEN_MINUTES = crons.Interval(minutes=10)


@mutation
def open_shop(ctx: Context, *, name: str, opened: date) -> None:
    Entry.objects.create(label=f"{name} {opened}", function_id=ctx.function_id)


@mutation
def register_from_within(ctx: Context) -> None:
    ctx.crons.register("from within", TEN_MINUTES, tick)
    raise ValueError("after all not")


def test_a_cron_is_registered_with_a_schedule_a_function_and_its_arguments(clock, fire_due, execute_due):
    cron = ctx.crons.register(
        "a shop", crons.Daily(hour=13, minute=0, timezone="UTC"), open_shop, name="a", opened=date(2026, 1, 1)
    )
    assert (cron.origin, cron.function, cron.next_time) == ("run_time", "tests:open_shop", NOON + timedelta(hours=1))
    assert ctx.crons.get("a shop") == cron
    clock.tick(timedelta(hours=1))
    fire_due()
    execute_due()
    assert Entry.objects.get().label == "a 2026-01-01"


def test_everything_is_part_of_the_callers_transaction(clock, fire_due, execute_due):
    ctx.crons.register("stays", TEN_MINUTES, tick)
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        ctx.crons.register("vanishes", TEN_MINUTES, tick)
        ctx.crons.update("stays", schedule=crons.Interval(minutes=1))
        ctx.crons.pause("stays")
        ctx.crons.run_now("stays")
        _ = 1 / 0
    (cron,) = ctx.crons.list()
    assert (cron.name, cron.every, cron.state) == ("stays", timedelta(minutes=10), CronState.ACTIVE)
    assert not ScheduledFunction.objects.exists()

    ctx.scheduler.run_after(0, register_from_within)
    execute_due()
    assert len(ctx.crons.list()) == 1


def test_a_name_is_taken_once_and_the_callers_transaction_goes_on(clock):
    ctx.crons.register("a cron", TEN_MINUTES, tick)
    with transaction.atomic():
        with pytest.raises(CronExists, match="'a cron'"):
            ctx.crons.register("a cron", TEN_MINUTES, tick)
        ctx.crons.register("another cron", TEN_MINUTES, tick)
    assert [cron.name for cron in ctx.crons.list()] == ["a cron", "another cron"]


@pytest.mark.parametrize("name", ["", " ", " a", "a ", "a\n", "Käse", "x" * 151, "\x00", "a\tb", "\u202eevil", 5, None])
def test_a_name_that_is_not_printable_ascii_is_refused(clock, name):
    with pytest.raises(InvalidSchedule, match="name of a cron"):
        ctx.crons.register(name, TEN_MINUTES, tick)
    assert not Cron.objects.exists()


@pytest.mark.once
@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("x", TEN_MINUTES, "tests:gone"), FunctionNotFound),
        (("x", TEN_MINUTES, print), FunctionNotFound),
        (("x", "0 9 * * *", tick), InvalidSchedule),
        (("x", timedelta(1), tick), InvalidSchedule),
        (("x", TEN_MINUTES, open_shop), InvalidArguments),
        (("x", TEN_MINUTES, tick, 1, 2), InvalidArguments),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_written(clock, arguments, error):
    with pytest.raises(error):
        ctx.crons.register(*arguments)
    with pytest.raises(InvalidArguments):
        ctx.crons.register("x", TEN_MINUTES, tick, label=object())  # type: ignore[call-overload]
    assert not Cron.objects.exists()


def test_a_function_is_named_in_every_way(clock):
    from django_scheduler import api

    for number, function in enumerate([tick, api.tests.tick, "tests:tick"]):
        ctx.crons.register(f"cron {number}", TEN_MINUTES, function, label="x")  # type: ignore[call-overload]
    assert {cron.function for cron in ctx.crons.list()} == {"tests:tick"}


@pytest.mark.once
def test_it_is_updated_part_by_part(clock, fire_due):
    ctx.crons.register("a cron", TEN_MINUTES, tick, label="a")
    fire_due()
    assert ctx.crons.update("a cron", args={"label": "b"}).args == {"label": "b"}
    assert ctx.crons.get("a cron").next_time == NOON + timedelta(minutes=10)
    assert ctx.crons.update("a cron", function=tick_for_all, args={"names": {"c"}}).function == "tests:tick_for_all"
    assert ctx.crons.update("a cron", schedule=crons.Interval(minutes=3)).next_time == NOON + timedelta(minutes=3)
    cron = ctx.crons.update("a cron", schedule=crons.Daily(hour=0, minute=0, timezone="UTC", catch_up="none"))
    assert (cron.next_time, cron.catch_up) == (datetime(2026, 6, 2, tzinfo=UTC), "none")
    with pytest.raises(InvalidArguments):
        ctx.crons.update("a cron", function=tick)  # its arguments are those of the other one
    assert ctx.crons.get("a cron").function == "tests:tick_for_all"


def test_a_paused_cron_rests_and_goes_on_with_the_next_slot_of_its_grid(clock, fire_due):
    ctx.crons.register("a cron", TEN_MINUTES, tick)
    ctx.crons.pause("a cron", "the shop is closed")
    cron = ctx.crons.get("a cron")
    assert (cron.state, cron.paused_reason, cron.paused_time) == (CronState.PAUSED, "the shop is closed", NOON)
    clock.tick(timedelta(minutes=25))
    fire_due()
    assert not CronRun.objects.exists()

    ctx.crons.update("a cron", schedule=crons.Interval(minutes=15))
    assert ctx.crons.get("a cron").next_time is None
    ctx.crons.resume("a cron")
    ctx.crons.resume("a cron")
    cron = ctx.crons.get("a cron")
    assert (cron.state, cron.paused_reason, cron.next_time) == (CronState.ACTIVE, "", NOON + timedelta(minutes=30))


def test_run_now_runs_it_besides_its_slots(clock, fire_due, execute_due):
    cron = ctx.crons.register("a cron", TEN_MINUTES, tick, label="now")
    function_id = ctx.crons.run_now("a cron")  # at the very time of its first slot
    execute_due()
    assert Entry.objects.get().function_id == function_id
    fire_due()
    execute_due()
    assert Entry.objects.count() == 2
    assert list(CronRun.objects.order_by("pk").values_list("slot", flat=True)) == [None, NOON]
    cron.refresh_from_db()
    assert cron.next_time == NOON + timedelta(minutes=10)


def test_run_now_never_makes_two_runs_at_a_time(clock, fire_due):
    ctx.crons.register("a cron", TEN_MINUTES, tick)
    fire_due()
    with pytest.raises(CronUnfinished, match="Cancel that one"):
        ctx.crons.run_now("a cron")
    assert ScheduledFunction.objects.count() == 1


def test_a_slot_that_comes_up_while_a_run_that_was_asked_for_is_unfinished_is_skipped(clock, fire_due):
    ctx.crons.register("a cron", crons.Daily(hour=13, minute=0, timezone="UTC"), tick)
    ctx.crons.run_now("a cron")
    clock.tick(timedelta(hours=1))
    fire_due()
    assert CronRun.objects.get(state="skipped").slot == NOON + timedelta(hours=1)
    assert ScheduledFunction.objects.count() == 1


def test_a_paused_cron_can_be_run_and_stays_paused(clock, execute_due):
    ctx.crons.register("a cron", TEN_MINUTES, tick)
    ctx.crons.pause("a cron")
    ctx.crons.run_now("a cron")
    execute_due()
    assert Entry.objects.count() == 1
    assert ctx.crons.get("a cron").state is CronState.PAUSED


def test_it_is_deleted_with_its_history(clock, fire_due, execute_due):
    ctx.crons.register("a cron", TEN_MINUTES, tick)
    fire_due()
    ctx.crons.delete("a cron")
    execute_due()
    assert Entry.objects.count() == 1
    assert not Cron.objects.exists()
    assert not CronRun.objects.exists()
    with pytest.raises(UnknownCron, match="'a cron'"):
        ctx.crons.get("a cron")


@pytest.mark.once
@pytest.mark.parametrize("method", ["get", "update", "pause", "resume", "run_now", "delete"])
def test_a_cron_that_is_not_there_is_named(clock, method):
    with pytest.raises(UnknownCron, match="'no such'") as caught:
        getattr(ctx.crons, method)("no such")
    assert isinstance(caught.value, SchedulerError)
    assert isinstance(caught.value, LookupError)


@pytest.mark.parametrize("method", ["pause", "resume", "run_now", "delete", "update", "get"])
@pytest.mark.parametrize("name", ["a\0cron", "\ud800", 7], ids=ascii)
def test_a_name_that_no_cron_can_have_is_that_of_none(clock, method, name):
    with pytest.raises(UnknownCron):
        getattr(ctx.crons, method)(name)


@pytest.mark.parametrize("reason", ["a\0b", "\ud800"], ids=ascii)
def test_a_reason_that_no_database_takes_is_refused_with_what_is_wrong(clock, reason):
    ctx.crons.register("a cron", crons.Daily(hour=9), tick)
    with pytest.raises(ValueError, match="has NUL or half of a surrogate pair"):
        ctx.crons.pause("a cron", reason)


def test_what_the_code_defines_is_paused_but_neither_changed_nor_deleted(clock, code):
    crons.register("in code", crons.Interval(minutes=10), tick)
    impose(database_for("default"))
    with pytest.raises(CronDefinedInCode, match="changed"):
        ctx.crons.update("in code", args={})
    with pytest.raises(CronDefinedInCode, match="deleted"):
        ctx.crons.delete("in code")
    with pytest.raises(CronExists):
        ctx.crons.register("in code", TEN_MINUTES, tick)
    ctx.crons.pause("in code")
    ctx.crons.resume("in code")
    ctx.crons.run_now("in code")

    code()
    impose(database_for("default"))
    with pytest.raises(UnknownCron, match="no longer in the code"):
        ctx.crons.run_now("in code")
    ctx.crons.pause("in code")
    ctx.crons.resume("in code")
    assert ctx.crons.get("in code").next_time is None
    ctx.crons.delete("in code")
    assert not Cron.objects.exists()


@pytest.mark.once
def test_every_method_has_an_async_twin(clock, execute_due):
    async def use() -> list[object]:
        await ctx.crons.aregister("a cron", TEN_MINUTES, tick, label="a")
        await ctx.crons.aupdate("a cron", args={"label": "b"})
        await ctx.crons.apause("a cron", "later")
        paused = await ctx.crons.aget("a cron")
        await ctx.crons.aresume("a cron")
        await ctx.crons.arun_now("a cron")
        listed = await ctx.crons.alist()
        await ctx.crons.adelete("a cron")
        return [paused.state, listed[0].state, len(await ctx.crons.alist())]

    assert async_to_sync(use)() == [CronState.PAUSED, CronState.ACTIVE, 0]
    execute_due()
    assert Entry.objects.get().label == "b"


def test_methods_and_twins_are_complete():
    from django_scheduler.crons.run_time import Crons

    methods = {name for name in vars(Crons) if not name.startswith("_") and name != "using"}
    assert {f"a{name}" for name in methods if f"a{name}" in methods} == {
        f"a{name}" for name in ("register", "update", "pause", "resume", "run_now", "delete", "get", "list")
    }


def test_what_the_code_defines_is_run_before_any_executor_has_put_it_on_record(clock, code, execute_due):
    crons.register("in code", crons.Daily(hour=9, timezone="UTC"), tick, label="now")
    crons.register("beside it", crons.Hourly(), tick)

    function_id = ctx.crons.run_now("in code")

    execute_due()
    assert ScheduledFunction.objects.get(pk=function_id).state == "success"
    assert [cron.name for cron in ctx.crons.list()] == ["beside it", "in code"]
    assert ctx.crons.get("in code").origin == "code"
    assert not impose(database_for("default"))  # an executor that starts finds nothing left to do


def test_a_name_that_the_code_has_in_another_case_is_taken_before_it_is_on_record(clock, code):
    crons.register("in code", crons.Daily(hour=9), tick)
    with pytest.raises(CronExists):
        ctx.crons.register("In Code", TEN_MINUTES, tick)
    assert [(cron.name, cron.origin) for cron in ctx.crons.list()] == [("in code", "code")]


def test_putting_it_on_record_is_part_of_the_transaction(clock, code):
    crons.register("in code", crons.Daily(hour=9), tick)
    with suppress(RuntimeError), transaction.atomic():
        ctx.crons.pause("in code")
        raise RuntimeError
    assert not Cron.objects.exists()
    ctx.crons.pause("in code")
    assert ctx.crons.get("in code").state == "paused"


def test_an_old_process_does_not_put_its_definitions_into_force_again(clock, code):
    crons.register("old", crons.Daily(hour=9), tick)
    impose(database_for("default"))
    code()
    crons.register("new", crons.Daily(hour=9), tick)
    impose(database_for("default"))
    code()
    crons.register("old", crons.Daily(hour=9), tick)

    assert {cron.name: cron.state for cron in ctx.crons.list()} == {"old": "removed", "new": "active"}
    ctx.crons.run_now("old")  # its own code has it
    assert ctx.crons.get("old").state == "removed"


def test_looking_at_crons_that_are_on_record_writes_nothing(clock, code, django_assert_num_queries):
    crons.register("in code", crons.Daily(hour=9), tick)
    impose(database_for("default"))
    with django_assert_num_queries(2):
        ctx.crons.get("in code")
    with django_assert_num_queries(2):
        ctx.crons.list()


@pytest.mark.once
@pytest.mark.django_db
@pytest.mark.parametrize(
    "attempt",
    [
        lambda: ctx.crons.get("digets"),
        lambda: ctx.crons.pause("digets"),
        lambda: ctx.crons.resume("digets"),
        lambda: ctx.crons.run_now("digets"),
        lambda: ctx.crons.delete("digets"),
        lambda: ctx.crons.update("digets", args={}),
    ],
)
def test_a_misspelt_name_is_answered_with_the_nearest_cron(attempt):
    ctx.crons.register("digest", TEN_MINUTES, tick)
    ctx.crons.register("something else", TEN_MINUTES, tick)
    with pytest.raises(UnknownCron, match=r"There is no cron 'digets': .* Did you mean 'digest'\?"):
        attempt()


@pytest.mark.django_db
def test_a_reason_and_arguments_of_a_wrong_type_are_refused_with_the_name():
    unchecked: Any = ctx.crons
    ctx.crons.register("digest", TEN_MINUTES, tick)
    with pytest.raises(TypeError, match="reason must be a str, not int"):
        unchecked.pause("digest", 5)
    with pytest.raises(InvalidArguments, match=r"The cron 'digest' was not changed: args= is a dict .*, not \[1\]"):
        unchecked.update("digest", args=[1])
    with pytest.raises(UnknownCron, match="There is no cron 5"):
        unchecked.get(5)
    with pytest.raises(ConnectionDoesNotExist, match="There are: default"):
        ctx.crons.using("nowhere")
