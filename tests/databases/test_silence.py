"""Connections on which nothing arrives any more, and nothing is an error."""

import socket
from collections import Counter
from collections.abc import Callable
from functools import partial
from itertools import count
from unittest.mock import Mock

import pytest
from django.db import OperationalError, connection, connections

from django_scheduler import ctx
from django_scheduler.databases import database_for, django_internals
from django_scheduler.databases.silence import answering_within, keep_alive
from django_scheduler.executor import answer_timeout
from django_scheduler.executor.session import executor_session, replace_session, session_of_side_task, tidy_connections
from django_scheduler.executor.threads import run_in_background
from django_scheduler.executor.unexecutable import MissingExecution
from django_scheduler.models import Executor
from tests.databases.servers import ALIAS
from tests.models import Entry
from tests.support.in_process import threads_may_connect
from tests.support.waiting import wait_until

EXECUTORS_TIMEOUT = "django_scheduler.executor.answer_timeout.ANSWER_TIMEOUT"
SHORTEST_ANSWER_TIMEOUT = "django_scheduler.executor.heartbeat.SHORTEST_ANSWER_TIMEOUT"
CHECK_INTERVAL = "django_scheduler.databases.postgresql.listening.CHECK_INTERVAL"
ANSWER_TIMEOUT = "django_scheduler.databases.postgresql.listening.ANSWER_TIMEOUT"
SETUP_TIMEOUT = "django_scheduler.databases.postgresql.listening.SETUP_TIMEOUT"
RESTART_INTERVAL = "django_scheduler.executor.executor.RESTART_INTERVAL"


@pytest.mark.only_on("postgresql")
def test_listener_on_a_silent_connection_gives_it_up_and_listens_again(own_database, proxy):
    executor = own_database.start_executor(
        url=proxy.url, constants={CHECK_INTERVAL: 0.3, ANSWER_TIMEOUT: 0.5}, POLL_INTERVAL=3600
    )
    own_database.assert_it_works()
    wait_until(lambda: proxy.silence(LISTEN), "it listened, on a connection that is silent now")
    executor.wait_until_logged("The side task 'listener' of an executor failed")
    wait_until(lambda: proxy.passing(LISTEN), "it listened again")
    own_database.assert_it_works()
    assert executor.stop() == 0


LISTEN = b"LISTEN django_scheduler"
LOOK, CLAIM, COMMIT, HEARTBEAT = b"head.queue", b"SKIP LOCKED", b"COMMIT", b"heartbeat_time"


@pytest.mark.only_on("postgresql", "mysql")
@pytest.mark.parametrize(
    ("function", "swallowed"),
    [
        pytest.param("tests:write", {"said": LOOK}, id="a look"),
        pytest.param("tests:write", {"said": CLAIM}, id="a claim"),
        pytest.param("tests:write", {"said": COMMIT, "after": b"silenced"}, id="COMMIT of a mutation"),
        pytest.param(
            "tests:write",
            {"said": COMMIT, "after": b"silenced", "answer_only": True},
            id="the answer to COMMIT of a mutation",
        ),
        pytest.param(
            "tests:note", {"said": COMMIT, "after": b"SET state = 'in_progress'"}, id="COMMIT of the claim of an action"
        ),
        pytest.param("tests:note", {"said": b"SET state", "after": b"tests_entry"}, id="the end of an action"),
    ],
)
def test_executor_gives_up_a_session_that_is_not_answered_and_goes_on(own_database, proxy, function, swallowed):
    executor = own_database.start_executor(url=proxy.url, constants={EXECUTORS_TIMEOUT: 0.7}, BACKOFF_INITIAL=0.1)
    own_database.assert_it_works()

    proxy.swallow(**swallowed)
    function_id = own_database.schedule(function, label="silenced")
    wait_until(lambda: proxy.has_swallowed, "the connection went silent")
    own_database.assert_it_works()
    executor.wait_until_logged("Its connection is cut")
    executor.wait_until_logged(f" {function_id}: success")

    assert own_database.is_done(function_id)
    assert Entry.objects.using(ALIAS).filter(function_id=function_id).count() == 1
    assert executor.stop() == 0


@pytest.mark.only_on("postgresql", "mysql")
def test_executor_gives_up_a_connection_on_which_nothing_passes_not_even_its_end(own_database, proxy):
    executor = own_database.start_executor("--concurrency=1", url=proxy.url, constants={EXECUTORS_TIMEOUT: 0.7})
    own_database.assert_it_works()

    assert proxy.silence(CLAIM) == 1
    own_database.assert_it_works()

    assert "Its connection is cut" in executor.log
    assert executor.stop() == 0


@pytest.fixture
def setup_of_a_session(own_database):
    """A statement by which Django sets up a new session, before it says that there is one."""
    if connection.vendor == "mysql":
        yield b"READ COMMITTED"
        return
    set_zone = "ALTER ROLE CURRENT_USER {} timezone"
    with connections[ALIAS].cursor() as cursor:
        cursor.execute(f"{set_zone.format('SET')} = 'Asia/Tokyo'")
        yield b"TimeZone"
        cursor.execute(set_zone.format("RESET"))


@pytest.mark.only_on("postgresql", "mysql")
def test_executor_gives_up_a_session_that_is_silent_while_it_is_set_up(own_database, proxy, setup_of_a_session):
    seldom = {"HEARTBEAT_INTERVAL": 3600, "HEARTBEAT_TIMEOUT": 7200}
    executor = own_database.start_executor(
        "--concurrency=1", url=proxy.url, constants={EXECUTORS_TIMEOUT: 0.7}, **seldom
    )
    own_database.assert_it_works()

    proxy.swallow(setup_of_a_session)
    assert proxy.silence(CLAIM) == 1  # so that its worker connects anew
    own_database.assert_it_works()

    assert proxy.has_swallowed
    assert executor.stop() == 0


@pytest.mark.only_on("postgresql")
@pytest.mark.parametrize("said", [b"pg_backend_pid", LISTEN])
def test_listener_on_a_connection_that_is_silent_from_the_beginning_listens_again(own_database, proxy, said):
    proxy.swallow(said)
    executor = own_database.start_executor(
        url=proxy.url, constants={SETUP_TIMEOUT: 0.7, RESTART_INTERVAL: 0.5}, POLL_INTERVAL=3600
    )
    wait_until(lambda: proxy.has_swallowed, "the connection went silent")
    wait_until(lambda: proxy.passing(LISTEN), "it listened")
    own_database.assert_it_works()
    assert executor.stop() == 0


@pytest.mark.only_on("postgresql", "mysql")
def test_executor_that_cannot_be_put_on_record_in_time_ends_and_says_why(own_database, proxy):
    proxy.swallow(b"INSERT INTO")
    executor = own_database.launch_executor(url=proxy.url, constants={EXECUTORS_TIMEOUT: 0.7})
    assert executor.end() == 1
    assert "The executor cannot start: " in executor.log


@pytest.mark.only_on("postgresql", "mysql")
@pytest.mark.parametrize("answer_only", [False, True])
def test_group_whose_commit_is_not_answered_takes_effect_once(own_database, proxy, answer_only):
    arguments = [{"label": f"silenced {number:02}"} for number in range(30)]
    ids = ctx.scheduler.using(ALIAS).run_after_many(0, "tests:write", arguments)
    proxy.swallow(COMMIT, after=b"silenced 13", answer_only=answer_only)  # that of a group of eight
    executor = own_database.start_executor(
        "--concurrency=1",
        url=proxy.url,
        constants={EXECUTORS_TIMEOUT: 0.7, "django_scheduler.executor.grouping.GROUP_SECONDS": 20.0},
    )
    executor.wait_until_logged("Its connection is cut")
    wait_until(lambda: all(map(own_database.is_done, ids)), "all were executed")

    assert Counter(Entry.objects.using(ALIAS).values_list("function_id", flat=True)) == Counter(ids)
    assert executor.log.count(": success") == 30
    assert executor.stop() == 0


@pytest.mark.only_on("postgresql", "mysql")
def test_heart_goes_on_beating_after_a_heartbeat_that_is_not_answered(own_database, proxy):
    executor = own_database.start_executor(
        url=proxy.url, constants={SHORTEST_ANSWER_TIMEOUT: 0.5}, HEARTBEAT_INTERVAL=0.1
    )
    proxy.swallow(HEARTBEAT)
    wait_until(lambda: proxy.has_swallowed, "the connection went silent")
    rows = Executor.objects.using(ALIAS)
    before = rows.get().heartbeat_time
    executor.wait_until_logged("The side task 'heartbeat' of an executor failed")
    wait_until(lambda: rows.get().heartbeat_time > before, "it wrote heartbeats again")
    assert executor.stop() == 0


@pytest.mark.only_on("postgresql", "mysql")
def test_body_that_waits_for_long_keeps_its_session(own_database, gate):
    executor = own_database.start_executor(constants={EXECUTORS_TIMEOUT: 0.3}, HEARTBEAT_INTERVAL=0.3)
    slow_id = own_database.schedule("tests:write_and_wait", label="slow", gate=gate.path)
    gate.wait_for_arrivals()
    executors = Executor.objects.using(ALIAS)
    for _ in range(3):
        before = executors.get().heartbeat_time
        wait_until(partial(executors.filter(heartbeat_time__gt=before).exists), "it wrote a heartbeat")
    gate.open()
    wait_until(lambda: own_database.is_done(slow_id), "the slow one was executed")
    assert gate.arrivals == 1
    assert "Its connection is cut" not in executor.log
    assert executor.stop() == 0


@pytest.fixture
def in_a_thread(transactional_db) -> Callable[[Callable[[], None]], None]:
    """Runs a call in a thread of an executor, and raises what it raises."""
    return partial(run_in_background, timeout=20)


def test_side_task_whose_session_is_tidied_or_made_anew_ends_well(in_a_thread):
    def task() -> None:
        with session_of_side_task(database_for("default")):
            for leave in (tidy_connections, replace_session):
                Entry.objects.exists()
                leave("default")
                Entry.objects.exists()

    in_a_thread(task)


@pytest.mark.only_on("postgresql", "mysql")
def test_pause_before_a_question_is_asked_again_is_no_silence(in_a_thread, caplog):
    execution = MissingExecution(Mock(id=7, attempts=0, lag=0.0), database_for("default"), "the executor of a test")
    tries = count()

    def ask() -> bool:
        Entry.objects.exists()
        if next(tries) < 4:
            raise OperationalError("not yet")
        return True

    def task() -> None:
        with session_of_side_task(database_for("default"), answer_timeout=0.3):
            assert execution.until_answered(ask, "it is not known yet")

    in_a_thread(task)

    assert "Its connection is cut" not in caplog.text


@pytest.mark.only_on("postgresql", "mysql")
def test_session_within_another_one_is_told_from_it(in_a_thread):
    """Where an action executes a function of another database by its id, and that uses the first one."""

    def task() -> None:
        own, another = database_for("default"), database_for(ALIAS)
        with executor_session(own):
            own.connection.ensure_connection()
            with executor_session(another):
                another.connection.ensure_connection()
                connections["default"].close()
                connections["default"].ensure_connection()
                assert answer_timeout._this_thread.answer_timeout is not None
                noted = answer_timeout._this_thread.answer_timeout.descriptor
                assert noted == another.descriptor_of(django_internals.driver_of(another.connection))

    connections.databases[ALIAS] = connections.databases["default"]
    try:
        with threads_may_connect():
            in_a_thread(task)
    finally:
        del connections.databases[ALIAS]


def test_question_that_is_not_answered_in_time_ends_the_connection():
    one, other = socket.socketpair()
    with one, other:
        one.settimeout(20)
        with answering_within(0.05, one.fileno):
            assert one.recv(1) == b""


def test_question_that_is_answered_in_time_leaves_the_connection_alone():
    one, other = socket.socketpair()
    with one, other:
        with answering_within(60, one.fileno):
            other.send(b"!")
            assert one.recv(1) == b"!"
        other.send(b"?")
        assert one.recv(1) == b"?"


@pytest.mark.skipif(not hasattr(socket, "TCP_KEEPIDLE"), reason="this system has no such option")
def test_kernel_is_told_to_notice_a_host_that_is_gone():
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        keep_alive(client.fileno())
        assert client.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert client.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 10


def test_connection_that_is_no_tcp_connection_is_left_as_it_is():
    one, other = socket.socketpair()
    with one, other:
        keep_alive(one.fileno())
        other.send(b"!")
        assert one.recv(1) == b"!"
