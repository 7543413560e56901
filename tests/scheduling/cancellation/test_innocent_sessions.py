"""Who is not executing the function that is canceled, is not interrupted, whatever else it does with its row."""

from concurrent.futures import FIRST_EXCEPTION, wait

import pytest
from django.db import OperationalError

from django_scheduler import ctx
from django_scheduler.models import State
from tests.functions import write
from tests.models import Entry
from tests.scheduling.cancellation import functions
from tests.support.records import record
from tests.support.waiting import wait_until

pytestmark = pytest.mark.only_on("postgresql", "mysql")

LOCK = "SELECT 1 FROM django_scheduler_scheduledfunction WHERE id = %s FOR UPDATE"


def test_a_second_cancel_waits_for_the_first_and_finds_it_canceled(session, another_session):
    function_id = ctx.scheduler.run_after(0, write, label="never")
    session.open_transaction()
    session.do(ctx.scheduler.cancel, function_id)
    cancel = another_session.begin(ctx.scheduler.cancel, function_id)
    another_session.wait_until_it_has_looked_for_somebody_to_interrupt()
    session.do(Entry.objects.create, label="went on")
    session.commit()
    assert cancel.result(timeout=20) is None
    assert record(function_id).state == State.CANCELED
    assert Entry.objects.get().label == "went on"


def test_a_second_cancel_cancels_when_the_first_is_rolled_back(session, another_session):
    function_id = ctx.scheduler.run_after(0, write, label="never")
    session.open_transaction()
    session.do(ctx.scheduler.cancel, function_id)
    cancel = another_session.begin(ctx.scheduler.cancel, function_id)
    another_session.wait_until_it_waits()
    session.roll_back()
    assert cancel.result(timeout=20) is None
    assert record(function_id).state == State.CANCELED


def test_a_transaction_that_has_locked_the_row_otherwise_goes_on(session, another_session):
    function_id = ctx.scheduler.run_after(0, write, label="never")
    session.open_transaction()
    session.execute(LOCK, function_id)
    cancel = another_session.begin(ctx.scheduler.cancel, function_id)
    another_session.wait_until_it_has_looked_for_somebody_to_interrupt()
    session.do(Entry.objects.create, label="went on")
    session.commit()
    cancel.result(timeout=20)
    assert record(function_id).state == State.CANCELED


def test_an_action_that_has_locked_its_own_row_goes_on(gate, start_executor, session):
    start_executor()
    function_id = ctx.scheduler.run_after(0, functions.lock_own_row, gate=gate.path)
    gate.wait_for_arrivals()
    cancel = session.begin(ctx.scheduler.cancel, function_id)
    session.wait_until_it_has_looked_for_somebody_to_interrupt()
    gate.open()
    gate.wait_for_departures()
    # Whichever of them ends first: the action has done its work.
    cancel.exception(timeout=20)
    wait_until(Entry.objects.exists, "the action, which was not interrupted, wrote its entry")
    assert record(function_id).state in (State.CANCELED, State.SUCCESS)


def test_two_transactions_that_cancel_in_opposite_order_are_a_deadlock_that_is_noticed(session, another_session):
    first, second = ctx.scheduler.run_after_many(0, write, [{"label": "never"}] * 2)
    session.open_transaction()
    another_session.open_transaction()
    session.do(ctx.scheduler.cancel, first)
    another_session.do(ctx.scheduler.cancel, second)
    sessions = {
        session.begin(ctx.scheduler.cancel, second): session,
        another_session.begin(ctx.scheduler.cancel, first): another_session,
    }
    ended, _ = wait(sessions, timeout=30, return_when=FIRST_EXCEPTION)
    (victim,) = (attempt for attempt in ended if attempt.exception())
    assert isinstance(victim.exception(), OperationalError)
    assert "deadlock" in str(victim.exception()).lower()
    sessions.pop(victim).roll_back()
    ((other, its_session),) = sessions.items()
    assert other.result(timeout=30) is None
    its_session.commit()
    assert (record(first).state, record(second).state) == (State.CANCELED, State.CANCELED)


@pytest.mark.only_on("postgresql")
@pytest.mark.parametrize("setting", ["lock_timeout", "statement_timeout"])
def test_a_cancel_waits_for_others_no_longer_than_its_session_is_to_wait(setting, session, another_session):
    function_id = ctx.scheduler.run_after(0, write, label="held")
    session.open_transaction()
    session.do(ctx.scheduler.cancel, function_id)
    another_session.execute(f"SET {setting} = '300ms'")
    with pytest.raises(OperationalError, match="timeout"):
        another_session.do(ctx.scheduler.cancel, function_id)
    # and its own transaction is as it was
    another_session.open_transaction()
    another_session.do(Entry.objects.create, label="went on")
    with pytest.raises(OperationalError, match="timeout"):
        another_session.do(ctx.scheduler.cancel, function_id)
    another_session.commit()
    assert Entry.objects.get().label == "went on"


@pytest.mark.only_on("postgresql")
def test_an_executor_is_interrupted_that_claims_the_function_while_a_cancel_waits_for_somebody_else(
    gate, start_executor, session, another_session
):
    function_id = ctx.scheduler.run_after(0, functions.sleep_in_statement, gate=gate.path)
    session.open_transaction()
    session.execute(LOCK, function_id)
    cancel = another_session.begin(ctx.scheduler.cancel, function_id)
    another_session.wait_until_it_waits()
    start_executor()
    session.roll_back()
    cancel.result(timeout=10)
    assert record(function_id).state == State.CANCELED
