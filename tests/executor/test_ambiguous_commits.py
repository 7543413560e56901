"""The answer to COMMIT is lost on the way, and nobody knows whether it has taken effect: the row is asked."""

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection, connections, transaction
from django.db.backends.signals import connection_created

from django_scheduler import Context, action, ctx, mutation
from django_scheduler.databases import database_for, django_internals
from django_scheduler.models import State
from tests.functions import write
from tests.models import Entry
from tests.support.in_process import WORKER
from tests.support.records import record
from tests.support.waiting import wait_until

pytestmark = pytest.mark.only_on("postgresql", "mysql")

starts: list[str] = []
hooks: list[str] = []


def lost() -> Any:
    if connection.vendor == "postgresql":
        import psycopg

        return psycopg.OperationalError("server closed the connection unexpectedly")
    import MySQLdb

    return MySQLdb.OperationalError(2013, "Lost connection to server during query")


#: Whether somebody waits for the locks of the session of that number. (MySQL does not say for whose.)
WAITS = {
    "postgresql": "SELECT 1 FROM pg_stat_activity WHERE %s = ANY(pg_blocking_pids(pid))",
    "mysql": (
        "SELECT 1 FROM information_schema.processlist WHERE db = DATABASE() AND id NOT IN (CONNECTION_ID(), %s)"
        " AND state IN ('Updating', 'Statistics', 'Sending data')"
    ),
}


def is_waited_for(number: int) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(WAITS[connection.vendor], [number])
        return cursor.fetchone() is not None


def lose_after_commit(driver: Any) -> None:
    driver.commit()
    driver.close()


def lose_before_commit(driver: Any) -> None:
    driver.close()


def commit_after_losing(driver: Any) -> None:
    """The server is still committing when the connection is already gone for its client."""
    commit, close = driver.commit, driver.close
    number = driver.info.backend_pid if connection.vendor == "postgresql" else driver.thread_id()

    def finish() -> None:
        try:
            wait_until(lambda: is_waited_for(number), "somebody waited for this session's locks")
        finally:
            connections.close_all()
            commit()
            close()

    def fail() -> None:
        raise lost()

    threading.Thread(target=finish).start()
    driver.rollback = fail
    driver.close = lambda: None


def lose_answer(driver: Any, how: Callable[[Any], None]) -> None:
    """The next COMMIT of this connection is the last that it does."""
    original = driver.commit

    def commit() -> None:
        driver.commit = original
        how(driver)
        raise lost()

    driver.commit = commit


@pytest.fixture(autouse=True)
def _no_starts():
    starts.clear()
    hooks.clear()


@mutation
def write_and_lose_answer(ctx: Context, *, how: str) -> str:
    starts.append(how)
    Entry.objects.create(label=how)
    ctx.scheduler.run_after(0, write, label="child")
    transaction.on_commit(lambda: hooks.append(how))
    if len(starts) == 1:
        lose_answer(connection.connection, globals()[how])
    return "done"


@pytest.mark.parametrize("how", ["lose_after_commit", "commit_after_losing"])
def test_mutation_whose_commit_took_effect_has_succeeded_and_does_not_run_again(execute_due, how):
    function_id = ctx.scheduler.run_after(0, write_and_lose_answer, how=how)

    execute_due()

    row = record(function_id)
    assert (row.state, row.attempts, row.decoded_result(), row.error) == (State.SUCCESS, 1, "done", "")
    assert starts == [how]
    assert hooks == [how]
    assert sorted(Entry.objects.values_list("label", flat=True)) == ["child", how]


def test_mutation_whose_commit_did_not_take_effect_runs_again(execute_due, settings):
    settings.DJANGO_SCHEDULER = {"BACKOFF_INITIAL": timedelta(microseconds=1)}
    function_id = ctx.scheduler.run_after(0, write_and_lose_answer, how="lose_before_commit")

    execute_due()
    execute_due()

    row = record(function_id)
    assert (row.state, row.attempts) == (State.SUCCESS, 2)
    assert len(starts) == 2
    assert hooks == ["lose_before_commit"]
    assert sorted(Entry.objects.values_list("label", flat=True)) == ["child", "lose_before_commit"]


@action
def count_start(ctx: Context) -> int:
    starts.append("started")
    return len(starts)


@pytest.fixture
def losing_first_commit_of_workers() -> Iterator[Callable[[Callable[[Any], None]], None]]:
    """Loses the answer to the first COMMIT of an executor, which is that of a claim."""
    receivers: list[Any] = []

    def lose(how: Callable[[Any], None]) -> None:
        done = threading.Event()

        def receive(connection: Any, **kwargs: object) -> None:
            if threading.current_thread().name == WORKER and not done.is_set():
                done.set()
                lose_answer(connection.connection, how)

        receivers.append(receive)
        connection_created.connect(receive)

    yield lose
    for receiver in receivers:
        connection_created.disconnect(receiver)


@pytest.mark.parametrize("how", [lose_after_commit, commit_after_losing, lose_before_commit])
def test_action_whose_claim_may_have_been_committed_starts_once(execute_due, losing_first_commit_of_workers, how):
    function_id = ctx.scheduler.run_after(0, count_start)
    losing_first_commit_of_workers(how)

    execute_due()

    row = record(function_id)
    assert (row.state, row.attempts, row.decoded_result()) == (State.SUCCESS, 1, 1)
    assert starts == ["started"]


@action
def return_done(ctx: Context) -> str:
    starts.append("started")
    return "done"


def test_action_whose_end_may_have_been_recorded_is_recorded_once(execute_due, caplog, monkeypatch):
    database: Any = database_for("default")
    change = database.change
    losses = iter([True])

    def lose_answer_to_the_end(function_id: int, changes: dict[str, Any], **options: Any) -> bool:
        is_changed: bool = change(function_id, changes, **options)
        if "completed_time" in changes and next(losses, False):
            django_internals.driver_of(connection).close()
            raise OperationalError("the connection was lost") from lost()
        return is_changed

    monkeypatch.setattr(database, "change", lose_answer_to_the_end)
    function_id = ctx.scheduler.run_after(0, return_done)

    execute_due()

    row = record(function_id)
    assert (row.state, row.decoded_result()) == (State.SUCCESS, "done")
    assert starts == ["started"]
    messages = [each.getMessage() for each in caplog.records]
    assert any("its end could not be recorded" in message for message in messages)
    assert not any("dropped" in message for message in messages)
