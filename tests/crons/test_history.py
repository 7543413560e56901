"""What became of each slot stays known, also when the scheduled functions are gone."""

import threading
from datetime import timedelta

import pytest

from django_scheduler import crons, ctx
from django_scheduler.crons.history import ALWAYS_KEPT, delete_expired_history, functions_of, settle_finished_runs
from django_scheduler.crons.models import CronRun, CronState
from django_scheduler.databases import database_for
from django_scheduler.models import ScheduledFunction
from django_scheduler.record.retention import delete_expired
from tests.crons.conftest import NOON
from tests.crons.functions import tick, tick_and_fail


@pytest.fixture
def database(transactional_db):
    return database_for("default")


def test_how_a_run_went_is_recorded_although_its_next_slot_is_far_away(clock, fire_due, execute_due, database):
    for name, function in [("good", "tests:tick"), ("bad", "tests:tick_and_fail")]:
        ctx.crons.register(name, crons.Interval(hours=24 * 30), function)
    fire_due()
    settle_finished_runs(database)
    assert set(CronRun.objects.values_list("state", flat=True)) == {"scheduled"}

    execute_due()
    settle_finished_runs(database)
    good, bad = ctx.crons.get("good"), ctx.crons.get("bad")
    assert good.last_run
    assert bad.last_run
    assert (good.last_run.state, good.last_run.completed_time) == ("success", NOON)
    assert (bad.last_run.state, bad.last_run.error, bad.failures) == ("failed", "ValueError: it is no good", 1)


def test_a_cron_pauses_itself_although_its_next_slot_is_far_away(clock, fire_due, execute_due, database):
    ctx.crons.register("bad", crons.Interval(hours=24 * 30, pause_after_failures=1), tick_and_fail)
    fire_due()
    execute_due()
    settle_finished_runs(database)
    assert ctx.crons.get("bad").state is CronState.PAUSED


def test_with_nothing_to_settle_it_costs_one_statement(clock, fire_due, database, django_assert_num_queries):
    ctx.crons.register("good", crons.Interval(minutes=1), tick)
    fire_due()
    with django_assert_num_queries(1):
        settle_finished_runs(database)


def test_retention_of_functions_leaves_the_history_as_it_is(clock, fire_due, execute_due, database):
    cron = ctx.crons.register("a cron", crons.Interval(hours=24 * 30), tick)
    fire_due()
    execute_due()
    settle_finished_runs(database)
    clock.tick(timedelta(days=8))
    delete_expired(database, threading.Event())
    assert not ScheduledFunction.objects.exists()
    assert CronRun.objects.get(cron=cron).state == "success"
    assert not functions_of(cron).exists()


def test_history_goes_with_its_retention_but_the_last_records_of_each_cron_stay(clock, database):
    rare, frequent = [ctx.crons.register(name, crons.Interval(hours=1), tick) for name in ("rare", "frequent")]
    for cron, number in [(rare, 3), (frequent, 50)]:
        for index in range(number):
            slot = NOON + timedelta(hours=index)
            CronRun.objects.create(cron=cron, slot=slot, state="success", time=slot)
    clock.move_to(NOON + timedelta(days=7, hours=45, minutes=30))
    delete_expired_history(database)
    assert rare.runs.count() == 3
    assert frequent.runs.count() == ALWAYS_KEPT
    assert min(record.slot for record in frequent.runs.all() if record.slot) == NOON + timedelta(hours=30)
    clock.move_to(NOON + timedelta(days=7, hours=10))
    delete_expired_history(database)
    assert frequent.runs.count() == ALWAYS_KEPT


def test_without_retention_all_of_it_stays(clock, database, settings):
    settings.DJANGO_SCHEDULER = {"CLOCK": "python", "RETENTION": None}
    cron = ctx.crons.register("a cron", crons.Interval(hours=1), tick)
    for index in range(30):
        CronRun.objects.create(cron=cron, slot=NOON + timedelta(hours=index), state="success", time=NOON)
    clock.tick(timedelta(days=1_000))
    delete_expired_history(database)
    assert cron.runs.count() == 30
