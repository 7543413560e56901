"""Due crons run: each slot at most once, never two runs at a time, and on the grid."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import IntegrityError, connections
from django.utils import timezone

from django_scheduler import crons, ctx
from django_scheduler.crons.firing import fire
from django_scheduler.crons.history import cron_of, functions_of
from django_scheduler.crons.models import Cron, CronRun, CronState
from django_scheduler.crons.reconcile import impose
from django_scheduler.databases import database_for
from django_scheduler.executor.session import executor_session
from django_scheduler.models import ScheduledFunction, State
from tests.crons.conftest import NOON
from tests.crons.functions import tick, tick_and_fail
from tests.models import Entry
from tests.support.statements import failing

TEN_MINUTES = timedelta(minutes=10)


def register(function=tick, name="a cron", **options):
    return ctx.crons.register(name, crons.Interval(minutes=10, **options), function)


def slots(*states):
    """The slots of the grid that have been decided, counted in intervals since the first one."""
    records = CronRun.objects.filter(state__in=states) if states else CronRun.objects.all()
    return [
        (record.slot - NOON) // TEN_MINUTES + offset
        for record in records.order_by("slot")
        if record.slot
        for offset in range(record.slots)
    ]


def test_a_due_cron_schedules_its_function_for_its_slot(clock, fire_due, execute_due):
    cron = register()
    clock.tick(timedelta(seconds=3))
    fire_due()

    function = functions_of(cron).get()
    assert (function.name, function.state) == ("tests:tick", State.PENDING)
    assert function.scheduled_time == NOON
    assert function.due_time == NOON + timedelta(seconds=3)
    assert cron_of(function) == cron

    execute_due()
    assert Entry.objects.filter(function_id=function.pk).count() == 1


@pytest.mark.once
def test_it_runs_again_and_again_on_its_grid_however_late_it_is_taken_up(clock, fire_due, execute_due):
    register()
    for minutes in (0, 10, 27, 31, 44):
        clock.move_to(NOON + timedelta(minutes=minutes))
        fire_due()
        execute_due()
    assert slots("scheduled", "success") == [0, 1, 2, 3, 4]
    assert [function.scheduled_time for function in ScheduledFunction.objects.order_by("pk")] == [
        NOON + number * TEN_MINUTES for number in range(5)
    ]


def test_what_is_not_due_does_not_run(clock, fire_due):
    ctx.crons.register("tomorrow", crons.Daily(hour=9, timezone="UTC"), tick)
    clock.tick(timedelta(hours=20))
    fire_due()
    assert not CronRun.objects.exists()


def test_a_run_of_three_and_a_half_intervals_is_not_overlapped_and_the_next_one_is_on_the_grid(
    clock, fire_due, execute_due
):
    cron = register()
    for minutes in (0, 10, 20, 30):  # the function of the first slot does not come to its end
        clock.move_to(NOON + timedelta(minutes=minutes))
        fire_due()
        assert ScheduledFunction.objects.count() == 1
    clock.move_to(NOON + timedelta(minutes=35))
    execute_due()
    clock.move_to(NOON + timedelta(minutes=40))
    fire_due()

    skipped = CronRun.objects.get(state="skipped")
    assert (skipped.slots, skipped.slot, skipped.last_slot) == (3, NOON + TEN_MINUTES, NOON + 3 * TEN_MINUTES)
    assert slots("success", "scheduled") == [0, 4]
    cron.refresh_from_db()
    assert cron.next_time == NOON + 5 * TEN_MINUTES


def test_slots_that_came_up_during_a_run_are_skipped_also_if_nobody_looked_meanwhile(clock, fire_due, execute_due):
    register()
    fire_due()
    clock.move_to(NOON + timedelta(minutes=35))
    fire_due()
    assert slots("skipped") == [1, 2, 3]
    execute_due()
    clock.move_to(NOON + timedelta(minutes=40))
    fire_due()
    assert slots("success", "scheduled") == [0, 4]


@pytest.mark.once
@pytest.mark.parametrize("catch_up", ["one", "none", "all"])
def test_what_was_missed_while_everything_was_down_is_caught_up_with_as_asked(clock, fire_due, execute_due, catch_up):
    register(catch_up=catch_up)
    fire_due()
    execute_due()
    clock.move_to(NOON + timedelta(minutes=35))  # 10, 20 and 30 were missed
    for _ in range(5):
        fire_due()
        assert ScheduledFunction.objects.filter(state=State.PENDING).count() <= 1
        execute_due()
    clock.move_to(NOON + timedelta(minutes=40))
    fire_due()

    ran, missed = {"one": ([0, 3, 4], [1, 2]), "none": ([0, 4], [1, 2, 3]), "all": ([0, 1, 2, 3, 4], [])}[catch_up]
    assert slots("success", "scheduled") == ran
    assert slots("missed") == missed


@pytest.mark.once
def test_with_nothing_caught_up_a_slot_that_is_a_moment_late_still_runs(clock, fire_due):
    register(catch_up="none")
    clock.tick(timedelta(seconds=50))
    fire_due()
    assert slots("scheduled") == [0]


def test_a_slot_that_comes_up_during_a_run_that_catches_up_is_skipped(clock, fire_due, execute_due):
    register(catch_up="all")
    clock.move_to(NOON + timedelta(minutes=15))
    fire_due()  # runs the slot 0, which leaves slot 1 for its end
    clock.move_to(NOON + timedelta(minutes=21))
    fire_due()
    assert (slots("scheduled"), slots("skipped")) == ([0], [])
    execute_due()
    fire_due()
    clock.move_to(NOON + timedelta(minutes=35))
    fire_due()
    assert (slots("success", "scheduled"), slots("skipped")) == ([0, 1], [])
    execute_due()
    fire_due()
    execute_due()
    assert slots("success", "scheduled") == [0, 1, 2]


def test_a_clock_that_is_set_back_an_hour_makes_no_slot_run_again(clock, fire_due, execute_due):
    register()
    for minutes in (0, 10, 20):
        clock.move_to(NOON + timedelta(minutes=minutes))
        fire_due()
        execute_due()
    for minutes in range(-40, 30, 5):
        clock.move_to(NOON + timedelta(minutes=minutes))
        fire_due()
        execute_due()
    assert slots() == [0, 1, 2]
    clock.move_to(NOON + timedelta(minutes=30))
    fire_due()
    assert slots() == [0, 1, 2, 3]


def test_a_schedule_that_is_changed_while_the_clock_is_set_back_makes_no_slot_run_again(clock, fire_due, execute_due):
    register()
    for minutes in (0, 10, 20):
        clock.move_to(NOON + timedelta(minutes=minutes))
        fire_due()
        execute_due()
    clock.move_to(NOON - timedelta(minutes=40))
    cron = ctx.crons.update("a cron", schedule=crons.Interval(minutes=5))
    assert cron.next_time == NOON + timedelta(minutes=25)


def test_of_many_who_fire_a_cron_at_once_one_does(transactional_db):
    many = 8
    cron = register()
    together = threading.Barrier(many)

    def take_part():
        try:
            with executor_session(database_for("default")):
                together.wait(timeout=20)
                return fire(database_for("default"), cron.pk)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(many) as pool:
        fired = [future.result(timeout=30) for future in [pool.submit(take_part) for _ in range(many)]]

    assert fired.count(True) == 1
    assert CronRun.objects.count() == ScheduledFunction.objects.count() == 1


def test_the_database_refuses_a_second_run_of_a_slot(transactional_db):
    cron = register()
    CronRun.objects.create(cron=cron, slot=NOON, state="success", time=NOON)
    with pytest.raises(IntegrityError):
        CronRun.objects.create(cron=cron, slot=NOON, state="success", time=NOON)


def test_a_next_time_that_somebody_has_set_back_by_hand_is_mended(clock, fire_due, execute_due):
    register()
    fire_due()
    execute_due()
    Cron.objects.update(next_time=NOON)
    fire_due()
    assert slots() == [0]
    assert Cron.objects.get().next_time == NOON + TEN_MINUTES
    Cron.objects.update(next_time=NOON, last_slot=None)
    fire_due()
    cron = Cron.objects.get()
    assert ScheduledFunction.objects.count() == 1
    assert cron.last_run
    assert "IntegrityError" in cron.last_run.error
    assert cron.next_time == NOON + TEN_MINUTES


@pytest.mark.once
def test_a_failing_cron_goes_on(clock, fire_due, execute_due):
    register(tick_and_fail)
    for minutes in (0, 10, 20):
        clock.move_to(NOON + timedelta(minutes=minutes))
        fire_due()
        execute_due()
    fire_due()
    assert Cron.objects.get().failures == 3
    assert slots() == [0, 1, 2]


@pytest.mark.once
def test_it_pauses_itself_after_so_many_failures_in_a_row_and_says_why(clock, fire_due, execute_due):
    register(tick_and_fail, pause_after_failures=2)
    for minutes in (0, 10, 20, 30):
        clock.move_to(NOON + timedelta(minutes=minutes))
        fire_due()
        execute_due()
    cron = ctx.crons.get("a cron")
    assert cron.state is CronState.PAUSED
    assert cron.paused_reason == ("It has failed 2 times in a row, most recently with: ValueError: it is no good")
    assert (slots(), cron.next_time) == ([0, 1], None)

    ctx.crons.resume("a cron")
    clock.move_to(NOON + timedelta(minutes=40))
    fire_due()
    cron.refresh_from_db()
    assert (slots(), cron.failures) == ([0, 1, 4], 0)


@pytest.mark.once
def test_a_success_ends_a_row_of_failures(clock, fire_due, execute_due):
    register(tick_and_fail, pause_after_failures=2)
    for number, function in enumerate(["tick_and_fail", "tick", "tick_and_fail", "tick", "tick"]):
        ctx.crons.update("a cron", function=f"tests:{function}")
        clock.move_to(NOON + number * TEN_MINUTES)
        fire_due()
        execute_due()
    assert ctx.crons.get("a cron").state is CronState.ACTIVE
    assert slots() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("broken", "error"),
    [
        ({"function": "tests:gone"}, "FunctionNotFound: There is no mutation or action 'tests:gone'"),
        ({"args": {"lable": "x"}}, "InvalidArguments: tests:tick"),
        ({"args": {"label": {"$enum": ["tests.gone:Color", "RED"]}}}, "InvalidArguments: tests:tick"),
        ({"args": []}, "InvalidArguments: tests:tick"),
    ],
)
def test_a_cron_that_cannot_be_scheduled_says_so_and_goes_on_and_holds_up_no_other(
    clock, fire_due, execute_due, broken, error
):
    cron = register()
    register(name="another cron")
    Cron.objects.filter(pk=cron.pk).update(**broken)
    fire_due()

    cron.refresh_from_db()
    assert cron.last_run.state == "refused"
    assert cron.last_run.error.startswith(error)
    assert cron.next_time == NOON + TEN_MINUTES
    assert ScheduledFunction.objects.get().name == "tests:tick"

    Cron.objects.filter(pk=cron.pk).update(function="tests:tick", args={})
    clock.tick(TEN_MINUTES)
    execute_due()
    fire_due()
    assert functions_of(cron).count() == 1


@pytest.mark.once
def test_what_was_missed_is_logged_once_although_the_run_that_follows_is_refused(clock, fire_due, caplog):
    cron = register()
    Cron.objects.filter(pk=cron.pk).update(function="tests:gone")
    clock.tick(2 * TEN_MINUTES)
    fire_due()
    assert caplog.text.count("has missed its slot") == 1
    assert (slots("missed"), slots("refused")) == ([0, 1], [2])


@pytest.mark.once
def test_a_cron_whose_time_zone_is_gone_is_paused_with_the_reason(clock, fire_due):
    register(name="another cron")
    ctx.crons.register("a cron", crons.Hourly(minute=0), tick)
    Cron.objects.filter(name="a cron").update(timezone="Europe/Atlantis")
    clock.tick(timedelta(hours=1))
    fire_due()
    cron = ctx.crons.get("a cron")
    assert cron.state is CronState.PAUSED
    assert "Europe/Atlantis" in cron.paused_reason
    assert ScheduledFunction.objects.count() == 1


def test_a_slot_that_is_refused_does_not_hide_the_run_that_is_unfinished(clock, fire_due):
    cron = register()
    fire_due()

    def skips(sql, params):
        return "django_scheduler_cronrun" in sql and params is not None and "skipped" in params

    clock.tick(TEN_MINUTES)
    with failing(skips, ValueError("it cannot be skipped"), times=1) as failed:
        fire_due()
    assert failed
    assert CronRun.objects.get(state="refused").slot == NOON + TEN_MINUTES
    clock.tick(TEN_MINUTES)
    fire_due()
    assert slots("skipped") == [2]
    assert functions_of(cron).count() == 1


def test_what_only_newer_code_knows_is_left_to_it(clock, fire_due, code):
    cron = register()
    Cron.objects.update(function="tests:new")
    impose(database_for("default"))
    code()
    crons.register("of newer code", crons.Interval(minutes=1), tick)
    impose(database_for("default"))
    code()  # back to what was in force before

    fire_due()
    cron.refresh_from_db()
    assert (cron.last_run, cron.next_time) == (None, NOON)


def test_a_run_whose_record_is_gone_counts_as_finished(clock, fire_due):
    register()
    fire_due()
    ScheduledFunction.objects.all().delete()
    clock.tick(TEN_MINUTES)
    fire_due()
    assert list(CronRun.objects.order_by("pk").values_list("state", flat=True)) == ["unknown", "scheduled"]


def test_a_canceled_run_does_not_hold_up_the_next_one(clock, fire_due):
    cron = register()
    fire_due()
    ctx.scheduler.cancel(functions_of(cron).get().pk)
    clock.tick(TEN_MINUTES)
    fire_due()
    assert list(CronRun.objects.order_by("pk").values_list("state", flat=True)) == ["canceled", "scheduled"]


def test_switched_off_no_cron_runs(clock, fire_due, settings):
    settings.DJANGO_SCHEDULER = {"CLOCK": "python", "CRONS": False}
    register()
    crons.register("in code", crons.Interval(minutes=1), tick)
    fire_due()
    assert not CronRun.objects.exists()
    assert Cron.objects.count() == 1


def test_with_the_databases_clock_nothing_depends_on_pythons(transactional_db, fire_due):
    cron = register()
    fire_due()
    run = CronRun.objects.get()
    assert run.slot == cron.anchor
    assert run.slot <= run.time <= timezone.now() + timedelta(minutes=1)
