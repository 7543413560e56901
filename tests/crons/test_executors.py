"""Real executors, which are killed meanwhile: every slot of every cron once, and no two runs of one at a time."""

import json
import threading
from datetime import timedelta
from functools import partial
from itertools import pairwise

import pytest
from django.db import connection, transaction
from django.db.models import Count

from django_scheduler import crons, ctx
from django_scheduler.crons.history import functions_of
from django_scheduler.crons.models import Cron, CronRun
from django_scheduler.databases import database_for
from django_scheduler.executor.crons import CronPoller
from django_scheduler.executor.poller import Until
from django_scheduler.models import ScheduledFunction, State
from tests.crons.functions import tick, tick_at_gate
from tests.models import Entry
from tests.support.in_process import executing
from tests.support.soak import examples
from tests.support.statements import failing, statements_through
from tests.support.waiting import wait_until

#: How many executors are killed while crons run.
KILLS = examples(2, 5)
CRONS = 20

EVERY_SECOND = crons.Interval(seconds=1, catch_up="all")


@pytest.mark.timeout(KILLS * 10 + 120)
def test_three_executors_that_are_killed_run_every_slot_of_twenty_crons_once(executors):
    alive = [executors.start() for _ in range(3)]
    with transaction.atomic():
        for number in range(CRONS):
            ctx.crons.register(f"cron {number}", EVERY_SECOND, tick, label=str(number))
    for number in range(1, KILLS + 1):
        wait_until(partial(have_run, CRONS * number), "each ran once more, on average")
        alive.pop(0).kill()
        alive.append(executors.start())
    with transaction.atomic():
        for cron in ctx.crons.list():
            ctx.crons.pause(cron.name)
    unfinished = ScheduledFunction.objects.filter(state__in=[State.PENDING, State.IN_PROGRESS])
    wait_until(lambda: not unfinished.exists(), "every run has finished")
    for executor in alive:
        assert executor.stop() == 0

    for cron in Cron.objects.filter(origin="run_time"):
        assert_every_slot_is_decided_once(cron)
        assert_no_two_runs_at_a_time(cron)
    runs = CronRun.objects.exclude(function=None)
    assert runs.count() == ScheduledFunction.objects.filter(state=State.SUCCESS).count() == Entry.objects.count()
    assert not Entry.objects.values("function_id").annotate(times=Count("pk")).filter(times__gt=1).exists()


def have_run(number: int) -> bool:
    return CronRun.objects.exclude(function=None).count() >= number


def assert_every_slot_is_decided_once(cron: Cron) -> None:
    second = timedelta(seconds=1)
    decided = [
        (record.slot - cron.anchor) // second + offset
        for record in cron.runs.order_by("slot")
        if record.slot
        for offset in range(record.slots)
    ]
    assert cron.last_slot
    assert decided == list(range((cron.last_slot - cron.anchor) // second + 1))
    assert not cron.runs.exclude(state__in=["scheduled", "success", "skipped"]).exists()


def assert_no_two_runs_at_a_time(cron: Cron) -> None:
    functions = functions_of(cron).order_by("pk")
    for earlier, later in pairwise(functions):
        assert earlier.completed_time
        assert earlier.completed_time <= later.creation_time


@pytest.mark.timeout(90)
def test_a_run_that_takes_several_intervals_is_overlapped_by_no_other_executor(executors, gate):
    both = [executors.start() for _ in range(2)]
    cron = ctx.crons.register("slow", EVERY_SECOND, tick_at_gate, label="slow", gate=gate.path)
    skipped = CronRun.objects.filter(cron=cron, state="skipped")
    wait_until(lambda: sum(skipped.values_list("slots", flat=True)) >= 3, "three slots were skipped")
    assert gate.arrivals == functions_of(cron).count() == 1

    gate.open()
    wait_until(lambda: gate.arrivals > 1, "it ran again")
    ctx.crons.pause("slow")
    functions = functions_of(cron)
    wait_until(lambda: not functions.exclude(state=State.SUCCESS).exists(), "every run has finished")
    for executor in both:
        assert executor.stop() == 0
    cron.refresh_from_db()
    assert_every_slot_is_decided_once(cron)
    assert_no_two_runs_at_a_time(cron)


def test_a_cron_fires_in_an_executor_that_serves_another_queue(executors):
    executor = executors.start("--queue=email")
    cron = ctx.crons.register("a cron", crons.Interval(hours=1), tick)
    wait_until(lambda: functions_of(cron).exists(), "it was fired")
    assert executor.stop() == 0
    assert functions_of(cron).get().state == State.PENDING


def test_switched_off_executors_fire_nothing(executors):
    cron = ctx.crons.register("a cron", crons.Interval(seconds=1), tick)
    executor = executors.start(CRONS=False)
    function_id = ctx.scheduler.run_after(0, tick)
    wait_until(lambda: Entry.objects.filter(function_id=function_id).exists(), "it executed something else")
    assert executor.stop() == 0
    assert not functions_of(cron).exists()


@pytest.mark.parametrize("option", ["--once", "--drain"])
def test_an_executor_that_ends_by_itself_runs_what_is_due_at_its_start_and_ends(executors, option):
    ctx.crons.register("a cron", crons.Interval(seconds=1), tick)
    ctx.crons.register("later", crons.Daily(hour=0), tick)
    assert executors.launch(option).end(timeout=30) == 0
    assert Entry.objects.count() == 1


@pytest.mark.only_on("postgresql", "sqlite")
def test_a_cron_that_another_process_registers_need_not_wait_until_executors_look_again(executors, child_environment):
    names = ["POLLS", "UPKEEP_INTERVAL"]
    constants = {f"django_scheduler.executor.crons.{name}": 3600.0 for name in names}
    child_environment["TEST_CONSTANTS"] = json.dumps(constants)
    executor = executors.start()
    cron = ctx.crons.register("a cron", crons.Interval(hours=1), tick)
    wait_until(Entry.objects.exists, "it ran")
    assert executor.stop() == 0
    assert functions_of(cron).count() == 1


#: How often an idle executor looks for due crons, in seconds.
POLL_INTERVALS = {"postgresql": 60.0, "sqlite": 12.0, "mysql": 6.0}


def test_an_idle_executor_looks_for_due_crons_as_seldom_as_the_database_allows(clock, django_assert_num_queries):
    ctx.crons.register("tomorrow", crons.Daily(hour=12, minute=0, timezone="UTC"), tick)
    poller = CronPoller(database_for("default"), keeps_firing=True, stopping=threading.Event())
    with django_assert_num_queries(1):
        assert poller._fire_what_is_due() == POLL_INTERVALS[connection.vendor]
    clock.tick(timedelta(hours=23, minutes=59, seconds=57.5))
    assert poller._fire_what_is_due() == 2.5


def test_who_has_functions_polled_more_often_has_crons_polled_more_often_too(clock, settings):
    settings.DJANGO_SCHEDULER = {**settings.DJANGO_SCHEDULER, "POLL_INTERVAL": timedelta(seconds=0.25)}
    poller = CronPoller(database_for("default"), keeps_firing=True, stopping=threading.Event())
    assert poller._fire_what_is_due() == 3.0


class PassingTime(threading.Event):
    """Is never set; who waits for it has the clock tick instead."""

    def __init__(self, clock, *, minutes, stopping):
        super().__init__()
        self.clock, self.stopping = clock, stopping
        self.left = timedelta(minutes=minutes)

    def wait(self, timeout=None):
        self.clock.tick(timeout)
        self.left -= timedelta(seconds=timeout)
        if not self.left:
            self.stopping.set()
        return False


@pytest.mark.parametrize("has_crons", [True, False])
def test_an_idle_minute_costs_crons_three_statements_besides_their_looks(clock, has_crons):
    if has_crons:
        ctx.crons.register("tomorrow", crons.Daily(hour=12, minute=0, timezone="UTC"), tick)
    stopping = threading.Event()
    poller = CronPoller(database_for("default"), keeps_firing=True, stopping=stopping)
    poller._woken = passing = PassingTime(clock, minutes=10, stopping=stopping)
    minutes = []

    def note(execute, *arguments):
        minutes.append(10 - passing.left // timedelta(minutes=1))
        return execute(*arguments)

    with statements_through(note):
        poller.run()

    looks = 60 / POLL_INTERVALS[connection.vendor]
    assert {minute: minutes.count(minute) for minute in range(1, 10)} == dict.fromkeys(range(1, 10), 3 + looks)


def test_a_cron_that_cannot_even_be_read_holds_up_no_other(clock, fire_due, caplog):
    broken = ctx.crons.register("broken", crons.Interval(minutes=1), tick)
    healthy = ctx.crons.register("healthy", crons.Interval(minutes=1), tick)

    def reads_broken(sql, params):
        return sql.startswith("SELECT") and "NOT" not in sql and broken.pk in (params or ())

    with failing(reads_broken, ValueError("this row cannot be read")):
        fire_due()
    assert functions_of(healthy).exists()
    assert "The cron 'broken' cannot be fired now" in caplog.text


@pytest.mark.parametrize("until", [Until.STOPPED, Until.NOTHING_DUE])
def test_an_executor_works_although_its_crons_do_not(transactional_db, until):
    def reconciles(sql, params):
        return "django_scheduler_cron" in sql

    function_id = ctx.scheduler.run_after(0, tick)
    with failing(reconciles, ValueError("it cannot be reconciled")) as failed, executing(until=until):
        wait_until(Entry.objects.filter(function_id=function_id).exists, "it worked")
    assert failed
