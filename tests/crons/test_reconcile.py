"""The crons of the code come into force with a deploy, and two versions at once do not flap."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connections, transaction

from django_scheduler import crons, ctx
from django_scheduler.crons.models import Cron, CronRelease, CronState
from django_scheduler.crons.reconcile import SETTLING, adopt, fingerprint, record_as_alive
from django_scheduler.databases import database_for
from django_scheduler.errors import CronExists
from django_scheduler.executor.session import executor_session
from tests.crons.conftest import NOON
from tests.crons.functions import tick, tick_and_fail, tick_for_all
from tests.support.elsewhere import elsewhere
from tests.support.in_process import executing
from tests.support.waiting import wait_until

MORNING = NOON + timedelta(hours=21)


@pytest.fixture
def version(code):
    """Another version of the code, which this process has from now on."""

    def have(define):
        code()
        define()

    return have


@pytest.fixture
def deploy(version):
    """Another version of the code, which is put into force."""

    def deploy(define):
        version(define)
        return synccrons()

    return deploy


def synccrons(*arguments):
    output = StringIO()
    call_command("synccrons", *arguments, stdout=output)
    return output.getvalue().splitlines()


def executor_adopts():
    """What an executor does when it starts, and every minute."""
    return adopt(database_for("default"))


def executors_are_alive():
    """Those of the version that the code has now."""
    record_as_alive(database_for("default"))


def first():
    crons.register("expire", crons.Interval(minutes=10), tick)
    crons.register("report", crons.Daily(hour=9, minute=0, timezone="UTC"), tick, label="report")


def second():
    crons.register("expire", crons.Interval(minutes=5), tick)
    crons.register("report", crons.Daily(hour=9, minute=0, timezone="UTC"), tick, label="another report")
    crons.register("new", crons.Hourly(), tick)


def test_what_the_code_defines_is_added(clock, deploy):
    assert deploy(first) == ["added: expire", "added: report"]
    expire, report = ctx.crons.list()
    assert (expire.function, expire.args, expire.every) == ("tests:tick", {}, timedelta(minutes=10))
    assert (expire.origin, expire.next_time, report.next_time) == ("code", NOON, MORNING)
    assert synccrons() == ["The crons are as the code defines them."]


def test_what_changes_is_changed_and_the_next_run_only_if_the_schedule_did(clock, deploy, fire_due):
    deploy(first)
    fire_due()
    Cron.objects.filter(name="report").update(next_time=NOON + timedelta(hours=1))  # as if computed long ago
    clock.tick(timedelta(minutes=1))
    assert deploy(second) == ["added: new", "changed: expire", "changed: report"]

    assert ctx.crons.get("expire").next_time == NOON + timedelta(minutes=5)
    report = ctx.crons.get("report")
    assert report.args == {"label": "another report"}
    assert report.next_time == NOON + timedelta(hours=1)


@pytest.mark.parametrize("option", [{"catch_up": "all"}, {"pause_after_failures": 3}])
def test_an_option_that_changes_leaves_the_next_run_as_it_is(clock, deploy, option):
    deploy(lambda: crons.register("expire", crons.Interval(minutes=10), tick))
    clock.tick(timedelta(minutes=3))
    assert deploy(lambda: crons.register("expire", crons.Interval(minutes=10, **option), tick)) == ["changed: expire"]
    cron = ctx.crons.get("expire")
    assert cron.next_time == NOON
    assert {name: getattr(cron, name) for name in option} == option


def test_what_is_no_longer_in_the_code_is_marked_and_does_not_run_and_keeps_its_history(
    clock, deploy, fire_due, execute_due
):
    deploy(first)
    fire_due()
    execute_due()
    clock.tick(timedelta(hours=1))
    assert deploy(
        lambda: crons.register("report", crons.Daily(hour=9, minute=0, timezone="UTC"), tick, label="report")
    ) == ["no longer in the code: expire"]
    fire_due()
    cron = ctx.crons.get("expire")
    assert (cron.state, cron.next_time, cron.runs.count()) == (CronState.REMOVED, None, 1)

    assert deploy(first) == ["restored: expire"]
    cron = ctx.crons.get("expire")
    assert (cron.state, cron.next_time) == (CronState.ACTIVE, NOON + timedelta(minutes=70))


def test_what_people_have_paused_stays_paused_whatever_is_deployed(clock, deploy):
    deploy(first)
    ctx.crons.pause("expire", "we are moving")
    deploy(lambda: None)
    deploy(second)
    cron = ctx.crons.get("expire")
    assert (cron.state, cron.next_time, cron.paused_reason) == (CronState.PAUSED, None, "we are moving")
    assert cron.every == timedelta(minutes=5)
    ctx.crons.resume("expire")
    assert ctx.crons.get("expire").next_time == NOON + timedelta(minutes=5)


def test_what_was_registered_at_run_time_is_left_alone(clock, deploy):
    ctx.crons.register("expire", crons.Interval(hours=1), tick)
    ctx.crons.register("mine", crons.Interval(hours=1), tick)
    with pytest.raises(CommandError, match="not in force"):
        deploy(first)
    assert ctx.crons.get("expire").every == timedelta(hours=1)
    assert ctx.crons.get("mine").state is CronState.ACTIVE
    assert ctx.crons.get("report").origin == "code"


def test_a_definition_that_is_wrong_changes_nothing_of_its_cron_and_stops_no_other(clock, deploy):
    deploy(first)

    def broken():
        crons.register("expire", crons.Interval(minutes=1), "tests:gone")
        crons.register("new", crons.Hourly(), tick)

    with pytest.raises(CommandError, match="not in force"):
        deploy(broken)
    assert ctx.crons.get("expire").every == timedelta(minutes=10)
    assert ctx.crons.get("expire").state is CronState.ACTIVE
    assert ctx.crons.get("new").state is CronState.ACTIVE
    assert ctx.crons.get("report").state is CronState.REMOVED


def test_an_executor_that_starts_brings_the_crons_of_its_code(transactional_db):
    crons.register("expire", crons.Interval(hours=1), tick)
    with executing():
        assert ctx.crons.get("expire").state is CronState.ACTIVE
        wait_until(lambda: ctx.crons.get("expire").last_run, "its first slot was fired")
        assert CronRelease.objects.get().fingerprint == fingerprint()


def test_new_code_takes_over_at_once_while_executors_of_the_old_one_are_there(clock, version):
    version(first)
    assert executor_adopts()
    executors_are_alive()
    version(second)
    assert executor_adopts().changed == ["expire", "report"]


def test_old_code_that_starts_again_in_the_midst_of_a_deploy_changes_nothing(clock, version):
    version(first)
    executor_adopts()
    executors_are_alive()
    version(second)
    executor_adopts()
    executors_are_alive()
    for _ in range(5):
        clock.tick(SETTLING * 0.9)  # the newer ones are all started again meanwhile
        version(first)
        assert executor_adopts() is None
        version(second)
        assert not executor_adopts()
        executors_are_alive()
    assert ctx.crons.get("expire").every == timedelta(minutes=5)
    assert ctx.crons.get("new").state is CronState.ACTIVE


def test_code_that_is_rolled_back_takes_over_once_nobody_has_the_newer_one(clock, version):
    version(first)
    executor_adopts()
    version(second)
    executor_adopts()
    executors_are_alive()
    version(first)
    clock.tick(SETTLING)
    assert executor_adopts() is None

    clock.tick(timedelta(minutes=1))
    assert executor_adopts().removed == ["new"]
    assert ctx.crons.get("expire").every == timedelta(minutes=10)

    clock.tick(SETTLING)
    executors_are_alive()  # and now the other one is old
    clock.tick(SETTLING / 2)
    version(second)
    assert executor_adopts() is None


def test_what_synccrons_has_put_into_force_stays_until_its_executors_start(clock, deploy, version):
    deploy(first)
    deploy(second)
    version(first)
    clock.tick(SETTLING / 2)
    assert executor_adopts() is None


def test_synccrons_puts_also_old_code_into_force_at_once(clock, deploy, version):
    deploy(first)
    deploy(second)
    executors_are_alive()
    assert deploy(first) == ["changed: expire", "changed: report", "no longer in the code: new"]
    version(second)
    assert executor_adopts() is None


def test_versions_with_the_same_crons_are_one_release(clock, deploy):
    def in_another_order():
        crons.register("report", crons.Daily(hour=9, minute=0, timezone="UTC"), "tests:tick", label="report")
        crons.register("expire", crons.Interval(seconds=600), tick)

    deploy(first)
    assert deploy(in_another_order) == ["The crons are as the code defines them."]
    assert CronRelease.objects.count() == 1


def test_the_order_of_a_set_makes_no_other_release(clock, deploy):
    names = set(map(str, range(20)))
    deploy(lambda: crons.register("a", crons.Interval(minutes=1), tick_for_all, names=names))
    before = fingerprint()
    stored = Cron.objects.get().args
    Cron.objects.update(args={"names": {"$set": stored["names"]["$set"][::-1]}})
    assert synccrons() == ["The crons are as the code defines them."]
    assert fingerprint() == before


def test_the_order_of_a_dict_whose_keys_are_no_texts_makes_no_other_release(clock, deploy):
    def with_labels(*, numbers):
        labels = {number: {f"label {number}", "x", "y"} for number in numbers}
        return lambda: crons.register("a", crons.Interval(minutes=1), "tests:tick_for_all", names=labels)

    deploy(with_labels(numbers=[1, 2, 3]))
    before = fingerprint()
    assert deploy(with_labels(numbers=[3, 2, 1])) == ["The crons are as the code defines them."]
    assert fingerprint() == before
    assert CronRelease.objects.count() == 1


def test_a_process_that_died_before_its_release_was_in_force_is_replaced_by_the_next_one(clock, deploy, version):
    deploy(first)
    version(second)
    CronRelease.objects.create(fingerprint=fingerprint(), first_seen_time=NOON)
    assert executor_adopts().added == ["new"]


def test_the_release_in_force_is_told_also_after_the_clock_was_set_back(clock, version):
    version(first)
    executor_adopts()
    clock.move_to(NOON - timedelta(hours=1))
    version(second)
    executor_adopts()
    executors_are_alive()
    assert not executor_adopts()
    version(first)
    assert executor_adopts() is None


def test_what_was_in_force_more_than_a_year_ago_is_forgotten(clock, deploy):
    deploy(first)
    clock.tick(timedelta(days=400))
    deploy(second)
    assert CronRelease.objects.count() == 1


def test_switched_off_nothing_is_reconciled(clock, deploy, settings):
    settings.DJANGO_SCHEDULER = {"CRONS": False}
    assert "switched off" in deploy(first)[0]
    assert not Cron.objects.exists()


def test_a_database_that_does_not_exist_is_refused():
    with pytest.raises(CommandError, match="no database 'elsewhere'"):
        call_command("synccrons", "--database=elsewhere")


def test_a_failing_cron_of_the_code_that_has_paused_itself_stays_paused(clock, deploy, fire_due, execute_due):
    def define():
        crons.register("fails", crons.Interval(minutes=1, pause_after_failures=1), tick_and_fail)

    deploy(define)
    fire_due()
    execute_due()
    clock.tick(timedelta(minutes=1))
    fire_due()
    deploy(lambda: None)
    deploy(define)
    assert ctx.crons.get("fails").state is CronState.PAUSED


def test_names_that_differ_only_in_the_case_of_letters_are_the_same_on_every_database(clock, deploy):
    ctx.crons.register("Mine", crons.Interval(hours=1), tick)
    with pytest.raises(CommandError, match="not in force"):
        deploy(lambda: crons.register("mine", crons.Hourly(), tick))
    assert deploy(lambda: crons.register("Report", crons.Hourly(), tick)) == ["added: Report"]
    assert deploy(lambda: crons.register("report", crons.Hourly(), tick, label="x")) == ["changed: report"]
    assert [cron.name for cron in ctx.crons.list()] == ["Mine", "report"]
    with pytest.raises(CronExists):
        ctx.crons.register("MINE", crons.Interval(hours=1), tick)


def test_of_two_definitions_of_one_name_none_is_put_into_force_and_no_other_is_held_up(clock, version):
    def define():
        crons.register("double", crons.Hourly(), tick)
        crons.register("Double", crons.Hourly(), tick)
        crons.register("single", crons.Hourly(), tick)

    version(define)
    changes = executor_adopts()
    assert (changes.added, changes.invalid) == (["single"], ["Double", "double"])


def test_many_executors_that_start_at_once_bring_the_new_crons_once(transactional_db, version):
    version(second)
    many = 6
    together = threading.Barrier(many)

    def start():
        try:
            with executor_session(database_for("default")):
                together.wait(timeout=20)
                for _ in range(4):
                    try:
                        return executor_adopts()
                    except DatabaseError as error:  # its side task repeats it, too
                        if not database_for("default").is_conflict(error):
                            raise
        finally:
            connections.close_all()

    with ThreadPoolExecutor(many) as pool:
        changes = [future.result(timeout=30) for future in [pool.submit(start) for _ in range(many)]]

    assert sorted(name for each in changes if each for name in each.added) == ["expire", "new", "report"]
    assert Cron.objects.count() == 3


def test_a_release_that_was_in_force_for_years_is_old_once_it_is_replaced(clock, version):
    version(first)
    executor_adopts()
    clock.tick(timedelta(days=800))
    executors_are_alive()
    version(second)
    executor_adopts()
    version(first)
    assert executor_adopts() is None


@pytest.mark.only_on("postgresql", "mysql")
def test_an_executor_that_brings_nothing_new_waits_for_nobody_who_has_locked_a_cron(transactional_db, version):
    version(first)
    executor_adopts()
    with transaction.atomic():
        ctx.crons.pause("expire")
        assert elsewhere(executor_adopts) is not None
