"""ctx.scheduler runs functions on record now, at another time, or once more: part of the caller's transaction."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import transaction
from django.utils import timezone

from django_scheduler import Context, InterventionResult, Outcome, action, ctx, mutation
from django_scheduler.errors import (
    AlreadyFinished,
    AlreadyStarted,
    CannotRunAgain,
    FunctionNotFound,
    InvalidSchedule,
    NotFinished,
    SchedulerError,
    TooManyScheduled,
    UnknownScheduledFunction,
)
from django_scheduler.models import LARGEST_ID, ScheduledFunction, State
from tests.functions import note, write
from tests.models import Entry
from tests.support.records import record

pytestmark = pytest.mark.django_db(transaction=True)

TOMORROW = timedelta(days=1)

#: For calls that a type checker would reject.
unchecked: Any = ctx

Call = Callable[[Any, int], Any]

MOVES: dict[str, Call] = {
    "reschedule": lambda ctx, pk: ctx.scheduler.reschedule(pk, timezone.now()),
    "run_now": lambda ctx, pk: ctx.scheduler.run_now(pk),
}
ALL: dict[str, Call] = {**MOVES, "run_again": lambda ctx, pk: ctx.scheduler.run_again(pk)}
MANY: dict[str, Callable[[Any, Any], Any]] = {
    "reschedule_many": lambda ctx, ids: ctx.scheduler.reschedule_many(ids, timezone.now()),
    "run_now_many": lambda ctx, ids: ctx.scheduler.run_now_many(ids),
    "run_again_many": lambda ctx, ids: ctx.scheduler.run_again_many(ids),
}
WORDS = {"reschedule": "rescheduled", "run_now": "run now", "run_again": "run again"}


@mutation
def note_end(ctx: Context, *, outcome: Outcome, label: str) -> None:
    Entry.objects.create(label=f"{label} {outcome.id} {outcome.state}")


def later(label: str = "later") -> int:
    return ctx.scheduler.run_after(TOMORROW, write, label=label)


def ended(state: State = State.SUCCESS, function: Any = write, callback: Any = None) -> int:
    function_id = ctx.scheduler.options(on_complete=callback).run_after(0, function, label="ended")
    ScheduledFunction.objects.filter(pk=function_id).update(state=state, completed_time=timezone.now())
    return function_id


def each(calls: dict[str, Any]) -> Any:
    return pytest.mark.parametrize("name", calls)


# At another time


@pytest.mark.parametrize("in_milliseconds", [False, True], ids=["datetime", "milliseconds"])
def test_reschedule_moves_what_is_due_and_not_what_was_asked_for(in_milliseconds):
    function_id = later()
    asked = record(function_id).scheduled_time
    when = datetime(2030, 1, 1, 12, tzinfo=UTC)
    ctx.scheduler.reschedule(function_id, when.timestamp() * 1000 if in_milliseconds else when)
    assert record(function_id).due_time == when
    assert record(function_id).scheduled_time == asked


@each(MOVES)
def test_what_is_to_run_now_runs(name, execute_due):
    function_id, other = later("now"), later()
    MOVES[name](ctx, function_id)
    execute_due()
    assert [record(pk).state for pk in (function_id, other)] == [State.SUCCESS, State.PENDING]
    assert Entry.objects.get().label == "now"


@each(MOVES)
def test_executors_are_woken(name, rings):
    function_id = later()
    rings.clear()
    with transaction.atomic():
        MOVES[name](ctx, function_id)
        assert not rings
    assert rings


@each(ALL)
def test_rollback_of_the_caller_restores_what_was(name):
    function_id = ended() if name == "run_again" else later()
    before = list(ScheduledFunction.objects.values())
    with transaction.atomic():
        ALL[name](ctx, function_id)
        transaction.set_rollback(True)
    assert list(ScheduledFunction.objects.values()) == before


@each(ALL)
def test_what_a_mutation_has_done_vanishes_with_it(name, execute_due):
    function_id = ended() if name == "run_again" else later()

    @mutation
    def intervene_and_raise(ctx: Context) -> None:
        ALL[name](ctx, function_id)
        raise ValueError("it went wrong after that")

    ctx.scheduler.run_after(0, intervene_and_raise)
    before = record(function_id).due_time
    execute_due()
    assert record(function_id).due_time == before
    assert not ScheduledFunction.objects.filter(rerun_of__isnull=False).exists()


def test_a_time_that_cannot_be_is_refused():
    function_id = later()
    before = record(function_id).due_time
    with pytest.raises(InvalidSchedule, match="naive"):
        ctx.scheduler.reschedule(function_id, datetime(2030, 1, 1))
    with pytest.raises(InvalidSchedule, match="days away"):
        ctx.scheduler.reschedule_many([function_id], datetime(2300, 1, 1, tzinfo=UTC))
    with pytest.raises(TypeError):
        unchecked.scheduler.reschedule(function_id, TOMORROW)
    assert record(function_id).due_time == before


@each(MOVES)
@pytest.mark.parametrize("state", [State.SUCCESS, State.FAILED, State.CANCELED])
def test_what_has_ended_cannot_be_moved(name, state):
    function_id = ended(state)
    with pytest.raises(
        AlreadyFinished, match=rf"tests:write {function_id} cannot be {WORDS[name]}: it has finished \({state}\)"
    ):
        MOVES[name](ctx, function_id)


@each(MOVES)
def test_an_action_in_progress_cannot_be_moved(name):
    function_id = ctx.scheduler.run_after(0, note, label="runs")
    ScheduledFunction.objects.update(state=State.IN_PROGRESS, executor="somebody")
    with pytest.raises(AlreadyStarted, match=rf"tests:note {function_id} cannot be {WORDS[name]}: it is executing"):
        MOVES[name](ctx, function_id)


@each(MOVES)
@pytest.mark.parametrize("decorator", [mutation, action], ids=["mutation", "action"])
def test_a_function_cannot_move_itself(name, decorator, execute_due):
    @decorator
    def move_itself(context: Context) -> str:
        assert context.function_id
        with pytest.raises(AlreadyStarted):
            MOVES[name](context, context.function_id)
        with pytest.raises(AlreadyStarted):
            MOVES[name](ctx, context.function_id)
        with pytest.raises(NotFinished):
            ctx.scheduler.run_again(context.function_id)
        return "went on"

    function_id = ctx.scheduler.run_after(0, move_itself)
    execute_due()
    assert record(function_id).state == State.SUCCESS, record(function_id).error
    assert record(function_id).attempts == 1


# Once more


def test_run_again_schedules_a_new_function_and_returns_its_id(execute_due):
    old = ctx.scheduler.run_after(0, write, label="twice")
    execute_due()
    before = ScheduledFunction.objects.values().get(pk=old)
    new = ctx.scheduler.run_again(old)
    assert new != old
    assert record(new).rerun_of_id == old
    assert record(new).parent_id is None
    execute_due()
    assert [entry.function_id for entry in Entry.objects.all()] == [old, new]
    assert ScheduledFunction.objects.values().get(pk=old) == before


@pytest.mark.parametrize("state", [State.PENDING, State.IN_PROGRESS])
def test_what_has_not_finished_cannot_run_again(state):
    function_id = later()
    ScheduledFunction.objects.update(state=state)
    with pytest.raises(NotFinished, match=rf"cannot be run again: it has not finished yet \({state}\)"):
        ctx.scheduler.run_again(function_id)


def test_a_function_that_forbids_it_does_not_run_again():
    @action(rerun=False)
    def pay(ctx: Context, *, label: str) -> None: ...

    function_id = ended(function=pay)
    with pytest.raises(CannotRunAgain, match="rerun=False"):
        ctx.scheduler.run_again(function_id)


def test_a_function_that_is_gone_from_the_code_does_not_run_again():
    function_id = ended()
    ScheduledFunction.objects.update(name="tests:gone")
    with pytest.raises(FunctionNotFound, match=f"tests:gone {function_id} cannot be run again"):
        ctx.scheduler.run_again(function_id)


@pytest.mark.parametrize("decorator", [mutation, action], ids=["mutation", "action"])
def test_what_a_function_runs_again_has_it_as_its_parent(decorator, execute_due):
    old = ended()

    @decorator
    def repair(context: Context) -> int:
        return ctx.scheduler.run_again(old)

    repairing = ctx.scheduler.run_after(0, repair)
    execute_due()
    rerun = ScheduledFunction.objects.get(rerun_of=old)
    assert rerun.pk == record(repairing).result
    assert rerun.parent_id == repairing


def test_what_runs_again_has_the_callbacks_of_the_old_one(execute_due):
    old = ctx.scheduler.options(on_complete=(note_end, {"label": "complete"})).run_after(0, write, label="paid")
    other = ctx.scheduler.options(on_failure=(note_end, {"label": "failure"})).run_after(0, write, label="paid")
    execute_due()
    new = ctx.scheduler.run_again(old)
    ctx.scheduler.run_again(other)
    execute_due()
    ends = Entry.objects.filter(label__startswith="complete").order_by("pk")
    assert [entry.label for entry in ends] == [f"complete {old} success", f"complete {new} success"]
    assert not Entry.objects.filter(label__startswith="failure").exists()


def test_what_a_canceled_action_runs_again_is_canceled_at_once(execute_due):
    old = ended(callback=(note_end, {"label": "told"}))

    @action
    def repair(context: Context) -> None:
        assert context.function_id
        ScheduledFunction.objects.filter(pk=context.function_id).update(state=State.CANCELED)
        context.scheduler.run_again(old)

    ctx.scheduler.run_after(0, repair)
    execute_due()
    rerun = ScheduledFunction.objects.get(rerun_of=old)
    assert rerun.state == State.CANCELED
    assert [entry.label for entry in Entry.objects.all()] == [f"told {rerun.pk} canceled"]


def test_one_by_one_the_limit_is_that_of_single_calls(settings):
    settings.DJANGO_SCHEDULER = {"MAX_SCHEDULED_PER_TRANSACTION": 1}
    old = ended()
    with transaction.atomic():
        ctx.scheduler.run_again(old)
        with pytest.raises(TooManyScheduled):
            ctx.scheduler.run_again(old)
        assert ctx.scheduler.run_again_many([old]) == {old: InterventionResult.DONE}


# Ids


@each(ALL)
@pytest.mark.parametrize("function_id", [987_654_321, 0, -1, LARGEST_ID, LARGEST_ID + 1, 10**30])
def test_an_id_that_no_function_has_is_unknown(name, function_id):
    with pytest.raises(UnknownScheduledFunction, match=f"There is no scheduled function {function_id} to {name[:3]}"):
        ALL[name](ctx, function_id)


@each({**ALL, **MANY})
@pytest.mark.parametrize("wrong", ["7", 7.0, True, None], ids=repr)
def test_what_is_no_id_is_refused(name, wrong):
    later()
    before = list(ScheduledFunction.objects.values())
    with pytest.raises(TypeError, match="The id of a scheduled function is an int"):
        MANY[name](ctx, [1, wrong]) if name in MANY else ALL[name](ctx, wrong)
    assert list(ScheduledFunction.objects.values()) == before


# Many


def test_of_many_each_has_its_own_result():
    pending, canceled, done, failed = later(), ended(State.CANCELED), ended(), ended(State.FAILED)
    running = ctx.scheduler.run_after(0, note, label="runs")
    ScheduledFunction.objects.filter(pk=running).update(state=State.IN_PROGRESS, executor="somebody")
    gone = ended()
    ScheduledFunction.objects.filter(pk=gone).update(name="tests:gone")
    ids = [failed, pending, canceled, done, 987_654_321, -1, 10**30, running]
    result = InterventionResult
    expected = {
        failed: result.FINISHED,
        pending: result.DONE,
        canceled: result.CANCELED,
        done: result.FINISHED,
        987_654_321: result.GONE,
        -1: result.GONE,
        10**30: result.GONE,
        running: result.IN_PROGRESS,
    }
    assert ctx.scheduler.run_now_many(ids) == expected
    assert list(ctx.scheduler.reschedule_many(iter(ids * 2), timezone.now() + TOMORROW)) == ids
    assert ctx.scheduler.run_again_many([*ids, gone]) == {
        **dict.fromkeys([failed, canceled, done], result.DONE),
        **dict.fromkeys([pending, running], result.UNFINISHED),
        **dict.fromkeys([987_654_321, -1, 10**30], result.GONE),
        gone: result.MISSING,
    }
    reruns = ScheduledFunction.objects.filter(rerun_of__isnull=False).order_by("pk")
    assert list(reruns.values_list("rerun_of", flat=True)) == sorted([canceled, done, failed])


@each(MANY)
def test_none_at_all_is_nothing_to_do(name):
    assert MANY[name](ctx, []) == {}


def test_more_than_a_thousand_take_few_statements(django_assert_max_num_queries):
    number = 1_100
    ids = ctx.scheduler.run_after_many(TOMORROW, write, [{"label": "later"}] * number)
    now = timezone.now()
    with django_assert_max_num_queries(20):
        assert ctx.scheduler.run_now_many(ids) == dict.fromkeys(ids, InterventionResult.DONE)
    assert ScheduledFunction.objects.filter(due_time__lt=now + TOMORROW / 2).count() == number
    ScheduledFunction.objects.update(state=State.SUCCESS, completed_time=now)
    with django_assert_max_num_queries(25):
        assert ctx.scheduler.run_again_many(ids) == dict.fromkeys(ids, InterventionResult.DONE)
    assert ScheduledFunction.objects.filter(rerun_of__isnull=False).count() == number


# From async code, from elsewhere


def test_async_twins_do_the_same():
    async def body() -> int:
        function_id = await ctx.scheduler.arun_after(TOMORROW, write, label="later")
        await ctx.scheduler.areschedule(function_id, timezone.now() + 2 * TOMORROW)
        assert await ctx.scheduler.areschedule_many([function_id], timezone.now()) == {
            function_id: InterventionResult.DONE
        }
        await ctx.scheduler.arun_now(function_id)
        assert await ctx.scheduler.arun_now_many([function_id]) == {function_id: InterventionResult.DONE}
        assert await ctx.scheduler.arun_again_many([function_id]) == {function_id: InterventionResult.UNFINISHED}
        await ctx.scheduler.acancel(function_id)
        with pytest.raises(AlreadyFinished):
            await ctx.scheduler.arun_now(function_id)
        return await ctx.scheduler.arun_again(function_id)

    assert record(async_to_sync(body)()).state == State.PENDING


def test_every_error_is_one_of_the_schedulers():
    for error in (AlreadyStarted, NotFinished, CannotRunAgain):
        assert issubclass(error, SchedulerError)
