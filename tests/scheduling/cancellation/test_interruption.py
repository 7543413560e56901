import pytest
from django.db import connection, transaction

from django_scheduler import ctx
from django_scheduler.errors import AlreadyFinished
from django_scheduler.models import State
from tests.functions import write
from tests.models import Entry
from tests.scheduling.cancellation import functions
from tests.support.records import record
from tests.support.waiting import wait_until

pytestmark = pytest.mark.only_on("postgresql")

IN_A_STATEMENT_OR_BETWEEN_TWO = pytest.mark.parametrize(
    "function",
    [functions.sleep_in_statement, functions.write_at_gate, functions.compute],
    ids=lambda function: function.last_name,
)


# The bodies go on until the gate opens, or for longer than any test may take. Nobody opens it before the cancel has
# returned, so it has interrupted them.


@IN_A_STATEMENT_OR_BETWEEN_TWO
def test_cancel_stops_a_mutation_that_would_not_end(function, gate, start_executor):
    start_executor()
    function_id = ctx.scheduler.run_after(0, function, gate=gate.path)
    gate.wait_for_arrivals()
    ctx.scheduler.cancel(function_id)
    gate.open()
    canceled = record(function_id)
    assert (canceled.state, canceled.started_time, canceled.executor) == (State.CANCELED, None, "")
    assert canceled.completed_time is not None
    assert canceled.attempts <= 1  # the executor may have recorded the interruption before the cancel came
    assert not Entry.objects.exists()


@IN_A_STATEMENT_OR_BETWEEN_TWO
def test_cancel_stops_it_as_part_of_the_callers_transaction(function, gate, start_executor, session):
    start_executor()
    function_id = ctx.scheduler.run_after(0, function, gate=gate.path)
    gate.wait_for_arrivals()
    with transaction.atomic():
        Entry.objects.create(label="the caller's")
        ctx.scheduler.cancel(function_id)
        assert session.do(record, function_id).state == State.PENDING
    gate.open()
    assert session.do(record, function_id).state == State.CANCELED
    assert Entry.objects.get().label == "the caller's"


@IN_A_STATEMENT_OR_BETWEEN_TWO
def test_a_mutation_that_was_interrupted_for_nothing_runs_again_and_succeeds(function, gate, start_executor):
    start_executor()
    arguments = {"times": 1} if function is functions.sleep_in_statement else {}
    function_id = ctx.scheduler.run_after(0, function, gate=gate.path, **arguments)
    asked = record(function_id).scheduled_time
    gate.wait_for_arrivals()
    with transaction.atomic():
        ctx.scheduler.cancel(function_id)
        transaction.set_rollback(True)
    gate.open()
    wait_until(lambda: record(function_id).state == State.SUCCESS, "the mutation succeeded")
    ended = record(function_id)
    assert ended.attempts in (1, 2)
    assert ended.scheduled_time == asked
    assert ended.error == ""
    assert Entry.objects.filter(label="written").count() == 1


def test_a_mutation_that_makes_its_own_error_of_the_interruption_runs_again_too(gate, start_executor):
    start_executor()
    function_id = ctx.scheduler.run_after(0, functions.sleep_and_translate_errors, gate=gate.path)
    gate.wait_for_arrivals()
    with transaction.atomic():
        ctx.scheduler.cancel(function_id)
        transaction.set_rollback(True)
    wait_until(lambda: record(function_id).state != State.PENDING, "the mutation ended")
    assert record(function_id).state == State.SUCCESS


@IN_A_STATEMENT_OR_BETWEEN_TWO
def test_the_executor_goes_on_while_the_canceling_transaction_is_open(function, gate, start_executor, session):
    start_executor(concurrency=1)
    function_id = ctx.scheduler.run_after(0, function, gate=gate.path)
    gate.wait_for_arrivals()
    session.open_transaction()
    session.do(ctx.scheduler.cancel, function_id)
    gate.open()
    other = ctx.scheduler.run_after(0, write, label="other")
    wait_until(lambda: record(other).state == State.SUCCESS, "the executor did other work")
    session.commit()
    assert record(function_id).state == State.CANCELED


def test_a_session_that_was_ended_is_replaced(gate, start_executor):
    start_executor(concurrency=1)
    function_id = ctx.scheduler.run_after(0, functions.write_at_gate, gate=gate.path)
    gate.wait_for_arrivals()
    ctx.scheduler.cancel(function_id)
    other = ctx.scheduler.run_after(0, write, label="other")
    gate.open()
    wait_until(lambda: record(other).state == State.SUCCESS, "the executor did other work")
    assert Entry.objects.get().label == "other"


def test_one_transaction_cancels_again_and_again(gate, new_gate, start_executor, session):
    first_executor, second_gate = start_executor(concurrency=1), new_gate()
    first = ctx.scheduler.run_after(0, functions.write_at_gate, gate=gate.path)
    gate.wait_for_arrivals()
    session.open_transaction()
    session.do(ctx.scheduler.cancel, first)
    first_executor.stop()
    start_executor(concurrency=1)  # its session did not exist yet when the first cancel looked for one
    second = ctx.scheduler.run_after(0, functions.sleep_in_statement, gate=second_gate.path)
    second_gate.wait_for_arrivals()
    session.do(ctx.scheduler.cancel, second)
    session.commit()
    assert (record(first).state, record(second).state) == (State.CANCELED, State.CANCELED)


def test_it_makes_no_difference_that_somebody_refers_to_the_function(refer, gate, start_executor, session):
    start_executor()
    function_id = ctx.scheduler.run_after(0, functions.sleep_in_statement, gate=gate.path)
    gate.wait_for_arrivals()
    session.open_transaction()
    session.do(refer, function_id)
    ctx.scheduler.cancel(function_id)
    assert record(function_id).state == State.CANCELED
    session.commit()


def test_it_makes_no_difference_that_somebody_referred_to_the_function_before(
    refer, gate, start_executor, session, another_session
):
    function_id = ctx.scheduler.run_after(0, functions.sleep_in_statement, gate=gate.path)
    session.open_transaction()
    session.do(refer, function_id)
    another_session.open_transaction()
    another_session.do(refer, function_id)
    start_executor()
    gate.wait_for_arrivals()
    ctx.scheduler.cancel(function_id)
    assert record(function_id).state == State.CANCELED
    session.commit()
    another_session.roll_back()


def test_somebody_who_refers_to_a_finished_function_keeps_nobody_waiting(refer, execute_due, session):
    function_id = ctx.scheduler.run_after(0, write, label="done")
    execute_due()
    session.open_transaction()
    session.do(refer, function_id)
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '5s'")
    with pytest.raises(AlreadyFinished):
        ctx.scheduler.cancel(function_id)


@pytest.mark.parametrize("lock_timeout", ["0", "1234ms", "1h"])
def test_the_callers_own_lock_timeout_is_as_before(lock_timeout, gate, start_executor):
    def current() -> str:
        with connection.cursor() as cursor:
            cursor.execute("SHOW lock_timeout")
            return str(cursor.fetchone()[0])

    start_executor()
    first, second = ctx.scheduler.run_after_many(0, functions.sleep_in_statement, [{"gate": gate.path}] * 2)
    gate.wait_for_arrivals(2)
    with connection.cursor() as cursor:
        cursor.execute(f"SET lock_timeout = '{lock_timeout}'")
    before = current()
    ctx.scheduler.cancel(first)
    assert current() == before
    with transaction.atomic():
        ctx.scheduler.cancel(second)
        assert current() == before
    with connection.cursor() as cursor:
        cursor.execute("RESET lock_timeout")
