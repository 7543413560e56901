"""Callers whose transactions are isolated more strictly than usual."""

import pytest
from django.db import OperationalError, connection

from django_scheduler import ctx
from django_scheduler.errors import AlreadyFinished
from django_scheduler.models import ScheduledFunction, State
from tests.functions import write
from tests.models import Entry
from tests.scheduling.cancellation import functions
from tests.support.records import record
from tests.support.waiting import wait_until

pytestmark = pytest.mark.only_on("postgresql", "mysql")

LEVELS = pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])


@pytest.fixture
def isolated(session):
    """Opens a transaction of that level, and has it see the database as it is now."""

    def isolated(level):
        if connection.vendor == "postgresql":
            session.open_transaction()
            session.execute(f"SET TRANSACTION ISOLATION LEVEL {level}")
        else:
            session.execute(f"SET TRANSACTION ISOLATION LEVEL {level}")
            session.open_transaction()
        session.do(Entry.objects.count)
        return session

    return isolated


@LEVELS
def test_what_is_pending_is_canceled(level, isolated):
    function_id = ctx.scheduler.run_after(0, write, label="never")
    session = isolated(level)
    session.do(ctx.scheduler.cancel, function_id)
    session.commit()
    assert record(function_id).state == State.CANCELED


@LEVELS
def test_what_had_finished_before_is_refused(level, isolated, execute_due):
    function_id = ctx.scheduler.run_after(0, write, label="done")
    execute_due()
    session = isolated(level)
    with pytest.raises(AlreadyFinished):
        session.do(ctx.scheduler.cancel, function_id)
    session.commit()


@LEVELS
def test_what_finished_meanwhile_is_never_taken_for_canceled(level, isolated, execute_due):
    function_id = ctx.scheduler.run_after(0, write, label="done")
    session = isolated(level)
    session.do(ScheduledFunction.objects.count)
    if connection.vendor == "mysql" and level == "SERIALIZABLE":
        session.commit()  # whose reads lock there: nothing finishes meanwhile
    execute_due()
    # PostgreSQL says that the transaction must be repeated, as it does of every row that is newer.
    with pytest.raises((AlreadyFinished, OperationalError)):
        session.do(ctx.scheduler.cancel, function_id)
    assert record(function_id).state == State.SUCCESS


@pytest.mark.only_on("postgresql")
@LEVELS
@pytest.mark.parametrize("function", [functions.sleep_in_statement, functions.write_at_gate])
def test_what_is_executing_is_interrupted(function, level, isolated, gate, start_executor):
    start_executor()
    function_id = ctx.scheduler.run_after(0, function, gate=gate.path)
    gate.wait_for_arrivals()
    session = isolated(level)
    error = session.begin(ctx.scheduler.cancel, function_id).exception(timeout=10)
    if error is None:
        session.commit()
    else:  # the executor came first and has recorded the interruption: the row is newer than the snapshot
        assert "could not serialize" in str(error)
        session.roll_back()
        session.do(ctx.scheduler.cancel, function_id)
    assert record(function_id).state == State.CANCELED
    assert not Entry.objects.exists()


@pytest.mark.only_on("postgresql")
def test_without_a_mark_on_its_session_an_executor_is_waited_for(gate, start_executor, session, another_session):
    function_id = ctx.scheduler.run_after(0, write, label="never")
    session.open_transaction()
    session.execute("SELECT 1 FROM django_scheduler_scheduledfunction WHERE id = %s FOR NO KEY UPDATE", function_id)
    cancel = another_session.begin(ctx.scheduler.cancel, function_id)
    another_session.wait_until_it_has_looked_for_somebody_to_interrupt()
    session.do(Entry.objects.create, label="its effect")
    session.do(ScheduledFunction.objects.filter(pk=function_id).update, state=State.SUCCESS)
    session.commit()
    with pytest.raises(AlreadyFinished):
        cancel.result(timeout=20)
    wait_until(Entry.objects.exists, "its effect is there")
