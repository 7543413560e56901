import logging

import pytest
from django.core.management import call_command
from django.db import transaction

from django_scheduler import ctx
from django_scheduler.databases import database_for
from django_scheduler.executor.recovery import record_lost
from django_scheduler.models import ScheduledFunction, State
from tests.functions import write_then_schedule
from tests.models import Entry
from tests.scheduling.cancellation import functions
from tests.support.records import record
from tests.support.waiting import wait_until


@pytest.fixture
def start_action(gate, start_executor):
    """Starts an action that waits at the gate; its id."""

    def start(function, **arguments):
        start_executor()
        arguments = arguments if "gates" in arguments else {"gate": gate.path, **arguments}
        function_id = ctx.scheduler.run_after(0, function, **arguments)
        gate.wait_for_arrivals()
        assert record(function_id).state == State.IN_PROGRESS
        return function_id

    return start


def states_of_children(parent_id: int) -> dict[str, set[str]]:
    states: dict[str, set[str]] = {}
    for child in ScheduledFunction.objects.filter(parent=parent_id):
        states.setdefault(str(child.decoded_args()["label"]), set()).add(child.state)
    return states


def test_a_running_action_is_canceled_at_once_and_its_end_is_dropped_and_logged(
    start_action, gate, start_executor, caplog
):
    function_id = start_action(functions.schedule_around_gate)
    ctx.scheduler.cancel(function_id)
    canceled = record(function_id)
    assert canceled.state == State.CANCELED
    with caplog.at_level(logging.INFO, "django_scheduler"):
        gate.open()
        wait_until(lambda: "is dropped" in caplog.text, "the end was dropped")
    assert f"schedule_around_gate {function_id}" in caplog.text
    ended = record(function_id)
    assert (ended.state, ended.result, ended.completed_time) == (State.CANCELED, None, canceled.completed_time)


def test_the_failure_of_an_action_that_was_canceled_is_dropped_too(start_action, gate, caplog):
    function_id = start_action(functions.wait_at_gate_and_fail)
    ctx.scheduler.cancel(function_id)
    with caplog.at_level(logging.INFO, "django_scheduler"):
        gate.open()
        wait_until(lambda: "is dropped" in caplog.text, "the end was dropped")
    ended = record(function_id)
    assert (ended.state, ended.failure, ended.error) == (State.CANCELED, "", "")


@pytest.mark.parametrize(
    "way", ["run_after", "imported run_at", "run_after_many", "run_mutation", "run_action", "atomic"]
)
def test_what_a_canceled_action_schedules_from_then_on_is_born_canceled(way, start_action, gate, caplog):
    function_id = start_action(functions.schedule_around_gate, way=way)
    wait_until(lambda: states_of_children(function_id) == {"before": {State.SUCCESS}}, "the earlier child ran")
    ctx.scheduler.cancel(function_id)
    with caplog.at_level(logging.INFO, "django_scheduler"):
        gate.open()
        wait_until(lambda: "is dropped" in caplog.text, "the action ended")
    assert states_of_children(function_id) == {"before": {State.SUCCESS}, "after": {State.CANCELED}}
    for child in ScheduledFunction.objects.filter(parent=function_id, state=State.CANCELED):
        assert child.completed_time is not None
        assert child.started_time is None
    assert set(Entry.objects.values_list("label", flat=True)) == {"before"}


def test_what_a_canceled_async_action_schedules_from_then_on_is_born_canceled(start_action, gate, caplog):
    function_id = start_action(functions.schedule_around_gate_async)
    wait_until(lambda: states_of_children(function_id) == {"before": {State.SUCCESS}}, "the earlier child ran")
    ctx.scheduler.cancel(function_id)
    with caplog.at_level(logging.INFO, "django_scheduler"):
        gate.open()
        wait_until(lambda: "is dropped" in caplog.text, "the action ended")
    assert states_of_children(function_id) == {
        "before": {State.SUCCESS},
        "after": {State.CANCELED},
        "after, in a mutation": {State.CANCELED},
    }


@pytest.mark.parametrize("way", ["run_after", "run_after_many", "run_mutation", "atomic"])
def test_what_a_canceled_action_schedules_after_its_record_is_gone_is_born_canceled(way, start_action, gate, caplog):
    function_id = start_action(functions.schedule_around_gate, way=way)
    wait_until(lambda: states_of_children(function_id) == {"before": {State.SUCCESS}}, "the earlier child ran")
    ctx.scheduler.cancel(function_id)
    call_command("prunescheduled", "--older-than=0s", verbosity=0)
    assert not ScheduledFunction.objects.exists()
    with caplog.at_level(logging.INFO, "django_scheduler"):
        gate.open()
        wait_until(lambda: "it is now deleted" in caplog.text, "the action ended")
    assert states_of_children(function_id) == {"after": {State.CANCELED}}


def test_what_a_lost_action_schedules_runs_until_its_record_is_gone(start_action, gate, new_gate):
    """Lost is said of an executor that is gone. When it was not, its action goes on and has not been called off."""
    second = new_gate()
    function_id = start_action(functions.schedule_at_gates, gates=[gate.path, second.path])
    ScheduledFunction.objects.filter(pk=function_id).update(executor="one that is gone")
    record_lost(database_for("default"), "one that is gone", "it was silent")
    gate.open()
    second.wait_for_arrivals()
    wait_until(lambda: states_of_children(function_id) == {"after 1": {State.SUCCESS}}, "its child ran")
    call_command("prunescheduled", "--older-than=0s", verbosity=0)
    second.open()
    wait_until(lambda: states_of_children(function_id) == {"after 2": {State.CANCELED}}, "it scheduled once more")


def test_what_it_had_scheduled_for_later_stays(start_executor, gate):
    start_executor()
    function_id = ctx.scheduler.run_after(0, functions.schedule_around_gate, gate=gate.path, way="later")
    gate.wait_for_arrivals()
    (child,) = ScheduledFunction.objects.filter(parent=function_id)
    ctx.scheduler.cancel(function_id)
    assert record(child.pk).state == State.PENDING


def test_a_rolled_back_cancel_of_a_running_action_leaves_it_and_its_children_alone(start_action, gate):
    function_id = start_action(functions.schedule_around_gate)
    with transaction.atomic():
        ctx.scheduler.cancel(function_id)
        transaction.set_rollback(True)
    gate.open()
    wait_until(lambda: record(function_id).state == State.SUCCESS, "the action succeeded")
    assert record(function_id).decoded_result() == "ended"
    expected = {"before": {State.SUCCESS}, "after": {State.SUCCESS}}
    wait_until(lambda: states_of_children(function_id) == expected, "both children ran")


def test_canceling_a_running_action_again_changes_nothing(start_action):
    function_id = start_action(functions.schedule_around_gate)
    ctx.scheduler.cancel(function_id)
    before = record(function_id)
    ctx.scheduler.cancel(function_id)
    assert record(function_id).completed_time == before.completed_time


def test_the_children_of_a_finished_parent_run(execute_due):
    ctx.scheduler.run_after(0, write_then_schedule, label="parent")
    execute_due()
    assert set(ScheduledFunction.objects.values_list("state", flat=True)) == {State.SUCCESS}


def test_the_children_of_a_child_that_is_canceled_as_pending_do_not_come_to_be(execute_due):
    function_id = ctx.scheduler.run_after(0, write_then_schedule, label="parent")
    ctx.scheduler.cancel(function_id)
    execute_due()
    assert list(ScheduledFunction.objects.values_list("pk", flat=True)) == [function_id]
