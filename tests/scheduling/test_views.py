"""Views schedule as part of the request's transaction, or at once where a request has none."""

import pytest
from asgiref.sync import async_to_sync
from django.core.exceptions import SynchronousOnlyOperation
from django.db import connection
from django.test import AsyncClient, Client

from django_scheduler.models import ScheduledFunction
from tests.models import Entry

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.urls("tests.scheduling.views"), pytest.mark.once]


@pytest.fixture
def atomic_requests(monkeypatch):
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)


def scheduled():
    return [row.pk for row in ScheduledFunction.objects.all()]


@pytest.mark.usefixtures("atomic_requests")
def test_with_atomic_requests_it_is_scheduled_when_the_request_succeeds(client, execute_due):
    answer = client.get("/schedule/").json()
    assert scheduled() == [answer["id"]]
    assert answer["function_id"] is None
    execute_due()
    assert [entry.label for entry in Entry.objects.order_by("pk")] == ["a by the service", "a"]


@pytest.mark.usefixtures("atomic_requests")
def test_with_atomic_requests_a_request_that_fails_schedules_nothing(client):
    with pytest.raises(ZeroDivisionError):
        client.get("/schedule/?fail")
    assert scheduled() == []
    assert not Entry.objects.exists()


def test_without_atomic_requests_it_is_scheduled_although_the_request_fails_later(client):
    with pytest.raises(ZeroDivisionError):
        client.get("/schedule/?fail")
    assert len(scheduled()) == 1


def test_a_block_within_a_view_decides_alone(client):
    assert scheduled() == []
    with pytest.raises(ZeroDivisionError):
        client.get("/schedule-in-a-block/?fail")
    assert scheduled() == []
    answer = client.get("/schedule-in-a-block/").json()
    assert scheduled() == [answer["id"]]


@pytest.mark.usefixtures("atomic_requests")
def test_with_atomic_requests_a_mutation_is_part_of_the_request(client):
    with pytest.raises(ZeroDivisionError):
        client.get("/run-mutation/?fail")
    assert not Entry.objects.exists()


def test_without_atomic_requests_a_mutation_has_its_own_transaction(client):
    with pytest.raises(ZeroDivisionError):
        client.get("/run-mutation/?fail")
    assert Entry.objects.get().label == "a"


@pytest.mark.parametrize("get", [Client().get, async_to_sync(AsyncClient().get)], ids=["WSGI", "ASGI"])
def test_an_async_view_schedules_and_runs_functions_through_the_twins(get, execute_due):
    answer = get("/schedule-async/").json()
    assert scheduled() == [answer["id"]]
    assert answer["result"] == "now"
    assert [entry.label for entry in Entry.objects.order_by("pk")] == ["now", "also now"]
    execute_due()
    assert Entry.objects.get(function_id=answer["id"]).label == "a"


def test_an_async_view_that_forgets_the_twin_is_told_so_and_nothing_is_written(client):
    with pytest.raises(SynchronousOnlyOperation):
        client.get("/schedule-in-the-wrong-way/")
    assert scheduled() == []
