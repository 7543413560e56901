"""One wake-up per committed transaction, however much it scheduled, and none otherwise."""

import os
import threading
from contextlib import ExitStack
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone

from django_scheduler import Context, action, ctx, mutation
from django_scheduler.databases import DueFunction, database_for
from django_scheduler.databases.postgresql import listening
from django_scheduler.models import ScheduledFunction, ScheduledFunctionId, State
from django_scheduler.record import wakeup
from tests.functions import note, write, write_with_priority
from tests.support.elsewhere import elsewhere
from tests.support.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

STRANGE_QUEUE = """o'brien's \\ "100 %s"; DROP -- été $$ \\'"""


@pytest.fixture
def subscribe():
    """Has somebody woken until the end of the test."""
    with ExitStack() as subscriptions:

        def subscribe(using, ring):
            wakeup.subscribe(using, ring)
            subscriptions.callback(wakeup.unsubscribe, using, ring)

        yield subscribe


@pytest.fixture
def notifications():
    """What the wake-ups say that have reached another process's connection since it was asked for last."""
    import psycopg

    parameters = connection.get_connection_params()
    parameters.pop("cursor_factory", None)
    parameters.pop("context", None)
    parameters["application_name"] = f"listener of {os.getpid()}"
    with psycopg.connect(
        **{name: parameters[name] for name in ("host", "port", "user", "password", "dbname") if name in parameters},
        autocommit=True,
    ) as listener:
        listener.execute("LISTEN django_scheduler")

        def payloads():
            # What was sent before this one has arrived before it: no waiting for what may not come.
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_notify('django_scheduler', 'the end')")
            seen: list[object] = []
            for notification in listener.notifies(timeout=30):
                if notification.payload == "the end":
                    return seen
                seen.append(notification.payload)
            raise AssertionError("The notification that ends the list did not arrive.")

        yield payloads


def schedule_a_lot():
    for number in range(5):
        ctx.scheduler.run_after(number, write, label="a")
        with transaction.atomic():
            ctx.scheduler.run_after(0, note, label="b")
            with transaction.atomic():
                ctx.scheduler.run_after_many(0, note, [{"label": "c"}] * 3)
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        ctx.scheduler.run_after(0, note, label="d")
        raise ZeroDivisionError
    ctx.scheduler.run_at(timezone.now(), write, label="e")


def test_one_for_a_transaction_and_only_after_the_commit(rings):
    with transaction.atomic():
        schedule_a_lot()
        assert len(rings) == 0
    assert len(rings) == 1


def test_it_comes_when_everybody_can_see_what_was_scheduled(subscribe):
    seen: list[object] = []
    subscribe("default", lambda due_function: seen.append(elsewhere(ScheduledFunction.objects.count)))
    with transaction.atomic():
        schedule_a_lot()
    assert seen == [26]


def test_none_after_a_rollback(rings):
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        schedule_a_lot()
        raise ZeroDivisionError
    with transaction.atomic(), pytest.raises(ZeroDivisionError), transaction.atomic():
        schedule_a_lot()
        raise ZeroDivisionError
    assert len(rings) == 0


@action
def schedule_once_canceled(within: Context) -> None:
    assert within.function_id
    ScheduledFunction.objects.filter(pk=within.function_id).update(state=State.CANCELED)
    ctx.scheduler.run_after(0, note, label="too late")


def test_none_for_what_is_canceled_from_the_beginning(subscribe, execute_due):
    named: list[DueFunction | None] = []
    ctx.scheduler.run_after(0, schedule_once_canceled)
    subscribe("default", named.append)
    execute_due()
    born = ScheduledFunction.objects.get(name=note.name)
    assert born.state == State.CANCELED
    assert born.pk not in [each.id for each in named if each]


def test_none_for_a_transaction_that_schedules_nothing(rings):
    with transaction.atomic():
        ScheduledFunction.objects.count()
        ctx.scheduler.run_after_many(0, write, [])
    assert len(rings) == 0


def test_one_for_each_call_outside_of_a_transaction(rings):
    ctx.scheduler.run_after(0, write, label="a")
    assert len(rings) == 1
    ctx.scheduler.run_after_many(0, write, [{"label": "a"}] * 1_500)
    assert len(rings) == 2


@pytest.mark.parametrize("delay", [timedelta(minutes=2), timedelta(days=7)])
def test_none_for_what_executors_see_in_time_by_themselves(rings, delay):
    ctx.scheduler.run_after(delay, write, label="a")
    ctx.scheduler.run_at(timezone.now() + delay, write, label="b")
    with transaction.atomic():
        ctx.scheduler.run_after_many(delay, write, [{"label": "c"}])
    assert len(rings) == 0
    with transaction.atomic():
        ctx.scheduler.run_after(0, write, label="d")
        ctx.scheduler.run_after(delay, write, label="e")
    assert len(rings) == 1


def test_one_for_what_is_due_before_a_poll_that_is_rare(rings, settings):
    settings.DJANGO_SCHEDULER = {"POLL_INTERVAL": timedelta(minutes=10)}
    ctx.scheduler.run_after(timedelta(minutes=5), write, label="a")
    assert len(rings) == 1


def test_one_when_a_savepoint_before_it_was_rolled_back(rings):
    with transaction.atomic():
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            ctx.scheduler.run_after(0, write, label="a")
            raise ZeroDivisionError
        ctx.scheduler.run_after(0, write, label="b")
    assert len(rings) == 1


def test_only_the_executors_of_that_database_are_woken(rings, subscribe):
    others: list[None] = []
    subscribe("another", lambda due_function: others.append(None))
    ctx.scheduler.run_after(0, write, label="a")
    assert (len(rings), len(others)) == (1, 0)


def test_nobody_is_woken_who_has_unsubscribed(rings):
    gone: list[None] = []
    ring = lambda due_function: gone.append(None)  # noqa: E731
    wakeup.subscribe("default", ring)
    wakeup.unsubscribe("default", ring)
    ctx.scheduler.run_after(0, write, label="a")
    assert (len(rings), len(gone)) == (1, 0)


@pytest.mark.parametrize("within_a_transaction", [True, False])
def test_a_wake_up_that_fails_is_logged_and_changes_nothing(rings, subscribe, within_a_transaction, caplog):
    def explode(due_function):
        raise RuntimeError("the bell is broken")

    subscribe("default", explode)
    if within_a_transaction:
        with transaction.atomic():
            function_id = ctx.scheduler.run_after(0, write, label="a")
    else:
        function_id = ctx.scheduler.run_after(0, write, label="a")
    assert elsewhere(ScheduledFunction.objects.get).pk == function_id
    assert "the executors of the database 'default' will find the work by polling: the bell is broken" in caplog.text


@pytest.mark.only_on("postgresql")
def test_other_processes_get_one_notification_per_transaction(notifications):
    assert notifications() == []
    with transaction.atomic():
        schedule_a_lot()
        assert elsewhere(notifications) == []
    assert notifications() == [""]
    ctx.scheduler.run_after(0, write, label="a")
    assert len(notifications()) == 1
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        schedule_a_lot()
        raise ZeroDivisionError
    assert notifications() == []


@pytest.mark.only_on("postgresql")
def test_notification_names_the_function_if_it_is_the_only_one_and_runs_at_once(notifications):
    function_id = ctx.scheduler.run_after(0, write_with_priority, label="a")
    assert notifications() == [f"{function_id} 5 email"]
    with transaction.atomic():
        function_id = ctx.scheduler.run_after(0, write, label="a")
        ctx.scheduler.run_after(timedelta(days=1), write, label="another day")
    assert notifications() == [f"{function_id} 0 default"]
    ctx.scheduler.run_after(1, write, label="not yet due")
    ctx.scheduler.run_after_many(0, write, [{"label": "a"}, {"label": "b"}])
    assert notifications() == ["", ""]


@pytest.mark.only_on("postgresql")
def test_the_notification_is_no_part_of_the_users_transaction(django_assert_num_queries):
    with django_assert_num_queries(4) as queries, transaction.atomic():
        ctx.scheduler.run_after(0, write, label="a")
    begin, insert, commit, notify = [query["sql"] for query in queries.captured_queries]
    assert (begin, insert.split()[0], commit) == ("BEGIN", "INSERT", "COMMIT")
    assert notify.startswith("NOTIFY")


@mutation(queue=STRANGE_QUEUE)
def in_a_strange_queue(ctx): ...


@pytest.mark.only_on("postgresql")
@pytest.mark.parametrize("standard_strings", ["on", "off"])
def test_the_notification_names_any_queue_as_it_is(notifications, standard_strings):
    with connection.cursor() as cursor:
        cursor.execute(f"SET standard_conforming_strings = {standard_strings}")
    function_id = ctx.scheduler.run_after(0, in_a_strange_queue)
    assert notifications() == [f"{function_id} 0 {STRANGE_QUEUE}"]
    connection.close()


@mutation(queue=STRANGE_QUEUE, fair_key="tenant")
def in_turn_in_a_strange_queue(ctx, *, tenant): ...


@pytest.mark.only_on("postgresql")
@pytest.mark.parametrize("tenant", ["7", "a b", "1 2 3", STRANGE_QUEUE, "ä" * 100, ""])
def test_a_notification_that_names_a_tenant_is_heard_as_it_was_meant(notifications, tenant):
    function_id = ctx.scheduler.run_after(0, in_turn_in_a_strange_queue, tenant=tenant)
    (payload,) = notifications()
    assert listening.due_function_of(payload) == DueFunction(function_id, 0, STRANGE_QUEUE, tenant)


@pytest.mark.only_on("postgresql")
def test_what_arrives_while_the_listener_checks_its_connection_is_heard_and_no_more_than_that(monkeypatch):
    monkeypatch.setattr(listening, "CHECK_INTERVAL", 0.0)  # after each notification
    database, heard, stopping = database_for("default"), [], threading.Event()

    def hear(due_function):
        heard.append(due_function)
        if due_function is None:  # it listens
            is_listening.set()

    is_listening = threading.Event()
    listener = threading.Thread(target=database.listen, args=(hear, stopping))
    listener.start()
    try:
        assert is_listening.wait(20)
        sent = [DueFunction(ScheduledFunctionId(number), 0, "default") for number in range(300)]
        for due_function in sent:
            wakeup.send("default", due_function)
        wait_until(lambda: len(heard) > len(sent), "all of them arrived")
    finally:
        stopping.set()
        listener.join(20)
    assert heard == [None, *sent]
