"""The health view: 200 or 503, for everybody, in bounded time, and nothing else of the system."""

import os
import threading

import pytest
from django.db import DatabaseError
from django.test import Client
from django.urls import path

from django_scheduler import health as module
from django_scheduler.health import health
from django_scheduler.status import status
from tests.status.records import put_living_executor_on_record
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.urls(__name__), pytest.mark.once]

urlpatterns = [path("health/", health)]


@pytest.fixture(autouse=True)
def nothing_is_known_yet(monkeypatch):
    monkeypatch.setattr(module, "_latest", None)


@pytest.fixture
def always_anew(monkeypatch):
    monkeypatch.setattr(module, "FRESH_FOR", 0.0)


@pytest.mark.usefixtures("always_anew")
def test_it_answers_whether_all_is_well_and_nothing_else(client):
    answer = client.get("/health/")
    assert (answer.status_code, answer.json()) == (503, {"healthy": False})

    put_living_executor_on_record()

    answer = client.get("/health/")
    assert (answer.status_code, answer.json()) == (200, {"healthy": True})
    assert "no-store" in answer.headers["Cache-Control"]
    assert client.head("/health/").status_code == 200
    assert client.post("/health/").status_code == 405


def test_who_is_not_signed_in_may_ask_although_all_else_needs_a_login(client, settings):
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.contrib.auth.middleware.LoginRequiredMiddleware"]
    put_living_executor_on_record()

    assert client.get("/health/").status_code == 200


def test_status_is_read_once_however_many_ask(client, monkeypatch):
    looks: list[str] = []
    monkeypatch.setattr(module, "status", looks.append)
    for _ in range(5):
        client.get("/health/")

    assert looks == ["default"]


def test_request_waits_no_longer_than_it_may_and_starts_no_second_look(client, monkeypatch):
    put_living_executor_on_record()
    looks: list[str] = []
    answers = threading.Event()

    def hang(using):
        looks.append(using)
        answers.wait(20)
        return status(using)

    monkeypatch.setattr(module, "status", hang)
    monkeypatch.setattr(module, "ANSWER_WITHIN", 0.0)
    monkeypatch.setattr(module, "FRESH_FOR", 0.0)

    try:
        assert client.get("/health/").status_code == 503
        wait_until(lambda: looks, "the look has begun")
        assert [client.get("/health/").status_code for _ in range(2)] == [503] * 2
        assert len(looks) == 1
    finally:
        answers.set()
    monkeypatch.setattr(module, "ANSWER_WITHIN", 20.0)
    wait_until(lambda: client.get("/health/").status_code == 200, "the database has answered")


def test_database_that_cannot_be_asked_is_no_error_of_the_page(monkeypatch, caplog):
    def fail(using):
        raise DatabaseError("no such table")

    monkeypatch.setattr(module, "status", fail)

    assert Client().get("/health/").status_code == 503
    assert "could not be read: no such table" in caplog.text


def test_process_that_was_forked_looks_by_itself(client, monkeypatch):
    put_living_executor_on_record()
    client.get("/health/")
    latest = module._latest
    monkeypatch.setattr(os, "getpid", lambda: 0)

    client.get("/health/")

    assert module._latest is not latest
