"""``using``: a scheduler on another database than the one that runs now."""

import inspect

import pytest
from asgiref.sync import async_to_sync
from django.db import connections, transaction
from django.db.utils import ConnectionHandler
from django.utils.connection import ConnectionDoesNotExist

from django_scheduler import Context, action, ctx
from django_scheduler.databases import database_for
from django_scheduler.models import ScheduledFunction
from tests.functions import write

pytestmark = pytest.mark.django_db(transaction=True)


def open_other():
    """Another alias, with a connection and thus transactions of its own, on the same tables."""
    connection = connections.create_connection("default")
    connection.alias = "other"
    connections["other"] = connection


@pytest.fixture
def other(transactional_db):
    open_other()
    yield "other"
    connections["other"].close()
    del connections["other"]
    database_for.cache_clear()


def test_it_is_part_of_the_other_databases_transaction(other):
    with transaction.atomic(using=other):
        ctx.scheduler.using(other).run_after(0, write, label="a")
        assert not ScheduledFunction.objects.exists()
    assert ScheduledFunction.objects.count() == 1


def test_it_is_undone_with_the_other_databases_transaction(other):
    with pytest.raises(ZeroDivisionError), transaction.atomic(using=other):
        ctx.scheduler.using(other).run_after_many(0, write, [{"label": "a"}])
        raise ZeroDivisionError
    assert not ScheduledFunction.objects.exists()


@pytest.mark.only_on("postgresql", "mysql")  # SQLite has one writer at a time
def test_it_has_nothing_to_do_with_the_transaction_that_is_open_here(other):
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        ctx.scheduler.run_after(0, write, label="a")
        ctx.scheduler.using(other).run_after(0, write, label="b")
        raise ZeroDivisionError
    assert ScheduledFunction.objects.get().args == {"label": "b"}


def test_an_id_of_this_database_is_no_parent_in_another_one(other, execute_due):
    @action
    def schedule(ctx: Context) -> None:
        open_other()
        ctx.scheduler.using("other").run_after(60_000, write, label="a")
        connections["other"].close()

    ctx.scheduler.run_after(0, schedule)
    execute_due()
    assert ScheduledFunction.objects.get(name="tests:write").parent_id is None


def test_it_cancels_there(other):
    function_id = ctx.scheduler.using(other).run_after(60_000, write, label="a")
    ctx.scheduler.using(other).cancel(function_id)
    assert ScheduledFunction.objects.get().state == "canceled"


def test_an_unknown_database_is_djangos_error():
    with pytest.raises(ConnectionDoesNotExist, match="nowhere"):
        ctx.scheduler.using("nowhere").run_after(0, write, label="a")


def schedule_within(alias):
    with transaction.atomic(using=alias):
        ctx.scheduler.run_after(60_000, write, label="a")


def warnings(caplog):
    return [each.getMessage() for each in caplog.records if "although a transaction is open" in each.getMessage()]


@pytest.fixture
def elsewhere(monkeypatch, transactional_db):
    """An alias of a database that has nothing to do with the scheduler; nothing was logged before."""
    monkeypatch.setattr("django_scheduler.scheduling.enqueue._warned_of", set())
    in_memory = ConnectionHandler({"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}})["default"]
    in_memory.alias = "elsewhere"
    in_memory.connect()  # tests may not connect to what is in the settings
    connections["elsewhere"] = in_memory
    monkeypatch.setitem(connections.settings, "elsewhere", in_memory.settings_dict)
    yield "elsewhere"
    in_memory.connection.close()  # Django's own close keeps what is in memory
    del connections["elsewhere"]


def test_only_in_the_transaction_of_another_database_it_is_scheduled_at_once_and_logged_once_for_each_place(
    elsewhere, caplog
):
    for _ in range(3):
        schedule_within(elsewhere)
    (message,) = warnings(caplog)
    _, line = inspect.getsourcelines(schedule_within)
    assert message.startswith(f"tests:write was scheduled at once, by {__file__}:{line + 2}, although")
    assert "a transaction is open on 'elsewhere'" in message
    assert "atomic(using='default')" in message

    with transaction.atomic(using=elsewhere):
        ctx.scheduler.run_after_many(60_000, write, [{"label": "b"}] * 2)
        async_to_sync(ctx.scheduler.arun_after)(60_000, write, label="c")
    places = [message.split(" by ")[1].split(", although")[0] for message in warnings(caplog)]
    assert len(set(places)) == 3
    assert all(place.startswith(f"{__file__}:") for place in places)


def test_nothing_is_logged_where_no_transaction_is_missed(elsewhere, caplog):
    schedule_within("default")
    with transaction.atomic(using=elsewhere):
        pass
    ctx.scheduler.run_after(60_000, write, label="outside")
    with transaction.atomic(using=elsewhere), transaction.atomic():
        ctx.scheduler.run_after(60_000, write, label="in both")
    assert not warnings(caplog)
