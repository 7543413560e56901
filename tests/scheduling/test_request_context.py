"""Who or what has scheduled a function: the request and its user, as far as they are known, and never more."""

import json
from types import SimpleNamespace
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.db import connection
from django.test import AsyncClient, Client, override_settings
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from django_scheduler import ctx
from django_scheduler.middleware import serving
from django_scheduler.models import ScheduledFunction
from testproject.settings import MIDDLEWARE
from tests.functions import write, write_then_schedule
from tests.support.in_process import execute_with_one_worker

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.urls("tests.scheduling.views"),
    pytest.mark.usefixtures("middleware"),
]


@pytest.fixture
def middleware(settings):
    settings.MIDDLEWARE = [*MIDDLEWARE, "django_scheduler.middleware.RequestContextMiddleware"]


@pytest.fixture
def ada(transactional_db) -> User:
    return get_user_model().objects.create_user("ada")


def contexts() -> list[Any]:
    return list(ScheduledFunction.objects.order_by("pk").values_list("context", flat=True))


def test_request_and_user_are_on_record_with_what_they_schedule(ada):
    client = Client()
    client.force_login(ada)

    client.get("/greet-and-schedule/", headers={"X-Request-ID": "7f3a-1"})

    assert contexts() == [{"request_id": "7f3a-1", "user_id": str(ada.pk), "user": "ada"}]


def test_user_at_whom_nothing_has_looked_is_not_read_for_that(ada):
    client = Client()
    client.force_login(ada)
    with CaptureQueriesContext(connection) as statements:
        client.get("/schedule/", headers={"X-Request-ID": "7f3a-1"})

    assert contexts() == [{"request_id": "7f3a-1"}]
    assert not [each for each in statements if "auth_user" in each["sql"] or "session" in each["sql"]]


def test_async_views_know_their_request():
    async_to_sync(AsyncClient().get)("/schedule-async/", headers={"X-Request-ID": "7f3a-2"})
    ctx.scheduler.run_after(0, write, label="after it")

    assert contexts() == [{"request_id": "7f3a-2"}, None]


def test_nothing_of_a_request_is_left_for_the_next_one():
    client = Client(raise_request_exception=False)
    client.get("/schedule/?fail", headers={"X-Request-ID": "failed"})
    client.get("/schedule/")
    ctx.scheduler.run_after(0, write, label="outside of a request")

    assert contexts()[-2:] == [None, None]


@pytest.mark.parametrize(
    "value",
    ["", "a" * 201, "two words", "7f3a\r\nforged", "7f3a\0", "<script>", "7f3a\u202e", "caf\xe9", '"}', "ünïcode"],
)
def test_header_that_looks_like_no_id_is_not_recorded(rf, value):
    with serving(rf.get("/", headers={"X-Request-ID": value})):
        ctx.scheduler.run_after(0, write, label="a")

    assert contexts() == [None]


@pytest.mark.parametrize(("header", "recorded"), [("Traceparent", {"request_id": "00-4bf9-01"}), (None, None)])
def test_header_is_that_of_the_setting(rf, header, recorded):
    request = rf.get("/", headers={"X-Request-ID": "another", "Traceparent": "00-4bf9-01"})
    with override_settings(DJANGO_SCHEDULER={"REQUEST_ID_HEADER": header}), serving(request):
        ctx.scheduler.run_after(0, write, label="a")

    assert contexts() == [recorded]


def test_name_of_a_user_is_cut_off_and_of_characters_that_every_database_takes(rf):
    request = rf.get("/")
    request.user = SimpleNamespace(pk="k" * 100, get_username=lambda: "a\0\ud800\x1b[31m\N{SNOWMAN}" + "x" * 1_000)
    with serving(request):
        ctx.scheduler.run_after(0, write, label="a")

    (context,) = contexts()
    assert context["user"].startswith("a[31m\N{SNOWMAN}xxx")
    assert len(json.dumps(context)) < 500


def test_user_model_that_raises_keeps_nothing_from_being_scheduled(rf, caplog):
    request = rf.get("/", headers={"X-Request-ID": "7f3a"})
    request.user = SimpleNamespace(pk=1)
    with serving(request):
        ctx.scheduler.run_after(0, write, label="a")

    assert contexts() == [None]
    assert "get_username" in caplog.text


def test_it_travels_on_to_what_the_function_schedules(rf):
    with serving(rf.get("/", headers={"X-Request-ID": "7f3a"})):
        ctx.scheduler.run_after(0, write_then_schedule, label="a")
    execute_with_one_worker()

    assert contexts() == [{"request_id": "7f3a"}] * 2


def test_function_knows_its_own_cause_and_not_that_of_whoever_runs_it(rf):
    ctx.scheduler.run_after(0, write_then_schedule, label="a")
    with serving(rf.get("/", headers={"X-Request-ID": "of somebody else"})):
        execute_with_one_worker()

    assert contexts() == [None, None]


def test_functions_in_bulk_and_called_mutations_know_it_too(rf):
    with serving(rf.get("/", headers={"X-Request-ID": "7f3a"})):
        ctx.scheduler.run_after_many(0, write, [{"label": "a"}] * 2)
        ctx.run_mutation(write_then_schedule, label="now")

    assert contexts() == [{"request_id": "7f3a"}] * 3


def test_scheduling_takes_no_further_statement(rf):
    def number_of_statements() -> int:
        with CaptureQueriesContext(connection) as statements:
            ctx.scheduler.run_after(0, write, label="a")
        return len(statements)

    without = number_of_statements()
    with serving(rf.get("/", headers={"X-Request-ID": "7f3a"})):
        assert number_of_statements() == without


@pytest.mark.urls("testproject.urls")
def test_who_runs_a_function_again_in_the_admin_is_on_record(settings):
    settings.MIDDLEWARE = MIDDLEWARE  # that needs no middleware
    administrator = get_user_model().objects.create_superuser("root")
    client = Client()
    client.force_login(administrator)
    function_id = ctx.scheduler.run_after(0, write, label="a")
    execute_with_one_worker()

    values = {"action": "run_again", "id": [function_id], "confirmed": "1"}
    client.post(reverse("admin:django_scheduler_scheduledfunction_act"), values)

    assert contexts() == [None, {"user_id": str(administrator.pk), "user": "root"}]
