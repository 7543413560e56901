"""Calling public functions over HTTP: what they do, return and raise."""

import json

import pytest
from asgiref.sync import async_to_sync
from django.test import AsyncClient
from django.urls import NoReverseMatch, reverse

from django_scheduler import ctx
from django_scheduler.models import ScheduledFunction
from tests.models import Entry


def labels() -> list[str]:
    return [entry.label for entry in Entry.objects.order_by("pk")]


def test_mutation_is_run_and_its_value_returned(api):
    answer = api.mutation("tests:http_write", label="written", twice=True)

    assert answer == {"http": 200, "status": "success", "value": Entry.objects.latest("pk").pk}
    assert labels() == ["written", "written"]


def test_action_is_run_outside_of_a_transaction(api):
    assert api.action("tests:http_atomic") == {"http": 200, "status": "success", "value": False}


def test_requests_in_a_transaction_do_not_change_that(api, settings, monkeypatch):
    from django.db import connection

    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)

    assert api.action("tests:http_atomic")["value"] is False
    assert api.mutation("tests:http_conflict_once", label="with ATOMIC_REQUESTS")["value"] == 2


def test_mutation_that_conflicts_is_repeated(api):
    assert api.mutation("tests:http_conflict_once", label="repeated")["value"] == 2
    assert labels() == ["repeated"]


def test_arguments_may_be_left_out_where_there_are_none(api):
    assert api.post("action", {"path": "tests:http_atomic"}).json() == {"status": "success", "value": False}


def test_application_error_is_told_with_its_data_and_rolled_back(api):
    assert api.mutation("tests:http_refuse", data={"code": "taken"}) == {
        "http": 200,
        "status": "error",
        "errorMessage": '{"code": "taken"}',
        "errorData": {"code": "taken"},
    }
    assert api.mutation("tests:http_refuse", data="The seat is taken.")["errorMessage"] == "The seat is taken."
    assert labels() == []


def test_other_errors_are_told_without_their_text_and_logged_with_it(api, caplog):
    answer = api.mutation("tests:http_fail")

    assert (answer["http"], answer["status"]) == (200, "error")
    request_id = answer["errorMessage"].removeprefix("[Request ").removesuffix("] Server Error")
    assert len(request_id) == 16
    assert "errorData" not in answer
    (record,) = caplog.records
    assert request_id in record.getMessage()
    assert "the secret is 42" in str(record.exc_info[1])
    assert labels() == []


def test_other_errors_are_told_with_their_text_while_developing(api, settings):
    settings.DEBUG = True

    assert api.mutation("tests:http_fail")["errorMessage"].endswith("] ValueError: the secret is 42")


def test_error_that_cannot_be_shown_is_an_error_all_the_same(api, settings):
    settings.DEBUG = True
    assert "its message cannot be shown" in api.action("tests:http_fail_unspeakably")["errorMessage"]
    assert api.action("tests:http_refuse_unspeakably").keys() == {"http", "status", "errorMessage"}


@pytest.mark.parametrize("kind", ["http_return_unspeakable", "http_return_nan"])
def test_value_that_json_does_not_have_changes_nothing_and_is_logged(api, caplog, kind):
    if kind == "http_return_nan":
        answer = api.action(f"tests:{kind}")
    else:
        answer = api.mutation(f"tests:{kind}", label="committed")
        assert labels() == ["committed"]

    assert answer == {"http": 200, "status": "success", "value": None}
    assert "was given null" in caplog.text


def test_value_is_written_as_django_writes_json(api):
    assert api.action("tests:http_return_types")["value"] == {"decimal": "1.10", "tuple": [1, 2], "date": "2026-01-02"}


def test_hook_that_fails_after_the_commit_changes_nothing_and_is_logged(api, caplog):
    answer = api.mutation("tests:http_fail_after_commit", label="committed")

    assert answer == {"http": 200, "status": "success", "value": "committed"}
    assert labels() == ["committed"]
    assert "one of its on_commit hooks failed" in caplog.text


def test_arguments_are_json_and_nothing_else(api):
    args = {"model": {"$model": ["auth.user", 1, "default"]}, "number": 1.5, "big": 2**70, "text": "ü 🐍", "none": None}

    assert api.mutation("tests:http_echo", **args)["value"] == args


def test_user_of_the_request_is_known_to_the_function_and_to_no_scheduled_one(api, user, execute_due):
    api.client.force_login(user)

    assert api.mutation("tests:http_who")["value"] == ["anna", "anna", "anna"]
    assert api.action("tests:http_who_async")["value"] == "anna"
    execute_due()
    assert ScheduledFunction.objects.get().decoded_result() == "None"


def test_user_who_is_not_logged_in_is_anonymous(api):
    assert api.mutation("tests:http_who")["value"] == ["AnonymousUser"] * 3


def test_without_authentication_there_is_no_user(api, settings):
    settings.MIDDLEWARE = []
    assert api.mutation("tests:http_who")["value"] == ["None"] * 3


def test_outside_of_http_there_is_no_user():
    assert ctx.user is None


def test_it_works_under_asgi(user):
    async def call():
        client = AsyncClient()
        await client.aforce_login(user)
        body = json.dumps({"path": "tests:http_who_async"})
        first = await client.post("/api/action/", body, content_type="application/json")
        body = json.dumps({"path": "tests:http_write", "args": {"label": "under ASGI"}})
        second = await client.post("/api/mutation/", body, content_type="application/json")
        return first.json(), second.status_code

    assert async_to_sync(call)() == ({"status": "success", "value": "anna"}, 200)
    assert labels() == ["under ASGI"]


def test_nothing_of_it_exists_for_a_site_that_does_not_include_it(client, settings):
    settings.ROOT_URLCONF = "testproject.urls"

    with pytest.raises(NoReverseMatch):
        reverse("django_scheduler:mutation")
    assert client.post("/api/mutation/").status_code == 404
