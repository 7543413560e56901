"""What no body, no broken worker and no database that keeps it waiting may do to the executor."""

import threading
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import transaction

from django_scheduler import ctx, models
from django_scheduler.databases import database_for
from django_scheduler.executor.claim_policy import LeftToOthers, PutOff
from django_scheduler.executor.executor import Executor
from django_scheduler.executor.poller import Poller, Until
from django_scheduler.models import Failure, State
from tests.models import Entry
from tests.processes import functions
from tests.support.executor_processes import no_executor_left_on_record
from tests.support.records import record
from tests.support.statements import failing
from tests.support.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _nothing_left(transactional_db):
    with no_executor_left_on_record():
        yield


@pytest.mark.parametrize("function", [functions.end_the_process, functions.end_the_process_from_an_action])
@pytest.mark.parametrize("how", ["SystemExit", "KeyboardInterrupt", "GeneratorExit"])
def test_body_that_asks_to_end_the_process_fails_and_the_executor_goes_on(function, how):
    failing_id = ctx.scheduler.run_after(0, function, how=how)
    next_id = ctx.scheduler.run_after(0, "tests:write", label="next")

    call_command("runscheduler", "--once", "--concurrency=1")

    row = record(failing_id)
    assert (row.state, row.failure) == (State.FAILED, Failure.ERROR)
    assert row.error == how
    assert record(next_id).state == State.SUCCESS
    assert Entry.objects.count() == 1


def test_async_body_that_asks_to_end_the_process_fails_and_later_async_actions_run(execute_due):
    failing_id = ctx.scheduler.run_after(0, functions.end_the_process_from_a_coroutine)
    next_id = ctx.scheduler.run_after(0, "tests:note_async", label="next")

    execute_due()

    assert record(failing_id).state == State.FAILED
    assert record(next_id).state == State.SUCCESS


def test_worker_that_breaks_down_works_again(execute_due):
    function_id = ctx.scheduler.run_after(0, "tests:write", label="after all")
    with failing(lambda *statement: is_worker(), SystemExit(), times=1) as failed:
        execute_due()
    assert failed
    assert record(function_id).state == State.SUCCESS


def test_command_can_be_called_in_a_thread_where_there_are_no_signals():
    function_id = ctx.scheduler.run_after(0, "tests:write", label="in a thread")
    thread = threading.Thread(target=call_command, args=["runscheduler", "--once", "--concurrency=1"])
    thread.start()
    thread.join(timeout=20)
    assert not thread.is_alive()
    assert record(function_id).state == State.SUCCESS


def test_waiting_returns_when_its_time_has_passed_and_says_whether_everything_has_ended(gate):
    function_id = ctx.scheduler.run_after(0, functions.note_and_wait, label="long", gate=gate.path)
    executor = Executor(concurrency=2)
    executor.start()
    wait_until(lambda: gate.arrivals == 1, "the action came to the gate")
    assert not executor.wait(timeout=0)
    executor.stop()
    assert not executor.wait(timeout=0.05)
    assert models.Executor.objects.filter(pk=executor.name).exists()
    gate.open()
    assert executor.wait(timeout=20)
    assert executor.wait(timeout=0)
    assert record(function_id).state == State.SUCCESS


def test_executor_that_is_asked_to_stop_while_it_begins_to_look_does_not_sleep_first(settings):
    settings.DJANGO_SCHEDULER = {"POLL_INTERVAL": timedelta(hours=1)}

    class StoppedAfterTheFirstLook(threading.Event):
        def is_set(self):
            answer = super().is_set()
            if not answer:
                self.set()
                poller.wake_up()  # which it forgets when it begins to look
            return answer

    poller = Poller(
        database_for("default"),
        queues=(),
        until=Until.STOPPED,
        stopping=StoppedAfterTheFirstLook(),
        executing_ids=lambda: (),
        put_off=PutOff(),
        left_to_others=LeftToOthers(),
    )
    assert poller.due_lanes() is None


def test_executor_ends_while_the_database_keeps_it_waiting(caplog):
    executor = Executor(concurrency=1)
    executor.start()
    wait_until(lambda: first_heartbeat(executor.name), "it wrote a heartbeat")
    with transaction.atomic():
        locked = models.Executor.objects.filter(pk=executor.name)
        locked.update(host="locked")
        executor.stop()
        assert executor.wait(timeout=10)  # SQLite's own patience ends after 20 seconds
    assert "could not remove its row" in caplog.text
    wait_until(lambda: not locked.exists(), "it left in the end")
    wait_until(lambda: background_calls() == 0, "its background call ended")


def is_worker():
    return threading.current_thread().name.startswith("django_scheduler worker")


def first_heartbeat(name):
    row = models.Executor.objects.get(pk=name)
    return row.heartbeat_time > row.started_time


def background_calls():
    return sum(thread.name == "django_scheduler background call" for thread in threading.enumerate())
