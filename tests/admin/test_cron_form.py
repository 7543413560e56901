"""The form of a cron: masks in it are kept only as a whole, and whatever is entered has an answer."""

import json
from typing import Any

import pytest
from django import forms
from django.test import Client, override_settings
from django.urls import reverse
from pytest_django.asserts import assertHTMLEqual

from django_scheduler import crons, ctx
from django_scheduler.admin.cron_form import LongSelect
from django_scheduler.crons.models import Cron
from django_scheduler.masking import BULLETS
from tests.admin.conftest import client_with
from tests.crons.functions import tick, tick_with_secrets

pytestmark = pytest.mark.django_db

ADD = "admin:django_scheduler_cron_add"
STORED: dict[str, Any] = {
    "label": "https://ours.example",
    "token": "sesame",
    "more": [{"password": "sesame", "to": "us"}],
}
SHOWN: dict[str, Any] = {
    "label": "https://ours.example", "token": BULLETS, "more": [{"password": BULLETS, "to": "us"}],
}  # fmt: skip
FIELDS = {"every": "", "line": "0 6 * * *", "timezone": "UTC", "catch_up": "one", "pause_after_failures": ""}


@pytest.fixture
def with_secrets() -> Cron:
    cron = ctx.crons.register("with secrets", crons.Daily(hour=9, minute=0), tick_with_secrets, **STORED)
    cron.refresh_from_db()
    return cron


def change(client: Client, cron: Cron, args: object, **changes: object) -> Any:
    url = reverse("admin:django_scheduler_cron_change", args=[cron.pk])
    data = {**FIELDS, "function": cron.function, "args": json.dumps(args), **changes}
    return client.post(url, data)


def errors(response: Any) -> str:
    return " ".join(str(error) for each in response.context["errors"] for error in each)


def test_what_is_masked_stays_where_only_the_times_are_changed(admin_client, with_secrets):
    assert change(admin_client, with_secrets, SHOWN, line="0 7 * * *").status_code == 302
    cron = ctx.crons.get("with secrets")
    assert (cron.args, cron.line) == (STORED, "0 7 * * *")


def test_so_it_does_where_its_members_stand_in_another_order(admin_client, with_secrets):
    assert change(admin_client, with_secrets, dict(reversed(SHOWN.items()))).status_code == 302
    assert ctx.crons.get("with secrets").args == STORED


@pytest.mark.once
@pytest.mark.parametrize(
    "changes",
    [
        {"label": "https://theirs.example"},
        {"label": BULLETS},
        {"more": []},
        {"more": [{"password": BULLETS, "to": "them"}]},
        {"more": [{"password": BULLETS, "to": "us"}, {"to": "them"}]},
        {"more": [{"to": "us"}]},
        {"token": {"token": BULLETS}},
        {"token": "new"},
        {"token": f"Bearer {BULLETS}"},
    ],
)
def test_nothing_is_changed_beside_a_mask(admin_client, with_secrets, changes):
    response = change(admin_client, with_secrets, {**SHOWN, **changes})
    assert "Enter anew what is masked" in errors(response)
    assert "sesame" not in response.content.decode()
    assert ctx.crons.get("with secrets").args == STORED


@pytest.mark.once
def test_no_other_function_is_given_what_is_masked(admin_client, with_secrets):
    response = change(admin_client, with_secrets, SHOWN, function="tests:tick")
    assert "Enter anew what is masked" in errors(response)
    assert ctx.crons.get("with secrets").function == "tests:tick_with_secrets"


@pytest.mark.once
def test_a_new_cron_is_not_either(admin_client, with_secrets):
    data = {**FIELDS, "name": "mine", "function": "tests:tick_with_secrets", "args": json.dumps(SHOWN)}
    assert "Enter anew what is masked" in errors(admin_client.post(reverse(ADD), data))
    assert Cron.objects.count() == 1


@pytest.mark.once
def test_everything_can_be_entered_anew(admin_client, with_secrets):
    entered = {"label": "https://theirs.example", "token": "new", "more": [{"password": "new"}]}
    assert change(admin_client, with_secrets, entered).status_code == 302
    assert ctx.crons.get("with secrets").args == entered


def mask_in_words(name: str, value: Any) -> Any:
    return {**value, "token": "not shown"} if "token" in value else value


@pytest.mark.once
@override_settings(DJANGO_SCHEDULER={"MASK": mask_in_words})
def test_the_same_is_true_of_what_a_project_shows_instead(admin_client, with_secrets):
    shown = {**STORED, "token": "not shown"}
    assert "Enter anew what is masked" in errors(change(admin_client, with_secrets, {**shown, "label": "theirs"}))
    assert change(admin_client, with_secrets, shown).status_code == 302
    assert ctx.crons.get("with secrets").args == STORED


def test_a_number_in_the_place_of_a_truth_value_is_a_change(admin_client):
    cron = ctx.crons.register("a cron", crons.Daily(hour=9, minute=0), "tests:tick", label=True)
    assert change(admin_client, cron, {"label": 1}).status_code == 302
    assert ctx.crons.get("a cron").args["label"] is not True


@pytest.mark.once
def test_arguments_of_which_one_cannot_be_restored_do_not_keep_the_times_from_being_changed(admin_client):
    cron = ctx.crons.register("a cron", crons.Daily(hour=9, minute=0), tick, label="x")
    Cron.objects.update(args={"label": {"$enum": ["gone.models:Status", "PAID"]}})
    cron.refresh_from_db()
    assert change(admin_client, cron, cron.args).status_code == 302
    assert ctx.crons.get("a cron").line == "0 6 * * *"


def name_of_case(value: object) -> str:
    return value[:24] if isinstance(value, str) else ""


@pytest.mark.parametrize(
    "args",
    [
        '{"label": "' + "x" * 10 + "\\ud800" + '"}',
        '{"label": "\\u0000"}',
        '{"label": NaN}',
        '{"label": 1e999}',
        '{"label": {"$int": "' + "f" * 100_000 + '"}}',
    ],
    ids=name_of_case,
)
def test_every_json_that_can_be_stored_is_shown_again_as_it_was_entered(admin_client, args):
    data = {**FIELDS, "name": "mine", "function": "tests:tick", "args": args}
    assert admin_client.post(reverse(ADD), {**data, "_preview": "1"}).status_code == 200
    assert admin_client.post(reverse(ADD), data).status_code == 302
    cron = ctx.crons.get("mine")
    admin_client.get(reverse("admin:django_scheduler_cron_change", args=[cron.pk]))
    assert admin_client.get(reverse("admin:django_scheduler_cron_changelist")).status_code == 200


@pytest.mark.once
@pytest.mark.parametrize(
    ("args", "error"),
    [
        ('{"\\ud800": 1}', "unexpected keyword argument"),
        ('{"\\u0000": 1}', "unexpected keyword argument"),
        ("[" * 100_000, "valid JSON"),
        ('{"a":' * 100_000, "valid JSON"),
        ("[" * 500 + "]" * 500, "too deeply"),
        ('{"label": ' + "[" * 40 + "]" * 40 + "}", "too deeply"),
        ('{"label": ' + "9" * 5_000 + "}", "valid JSON"),
        ("\\ud800", "valid JSON"),
        ("\0", "valid JSON"),
        ('{"label": {"$set": [[]]}}', "label"),
        ('{"label": {"$timedelta": [1e999, 0, 0]}}', "label"),
        ("null", "label"),
    ],
    ids=name_of_case,
)
def test_every_other_json_has_an_answer(admin_client, args, error):
    data = {**FIELDS, "name": "mine", "function": "tests:tick_with_secrets" if args == "null" else "tests:tick"}
    for button in ({"_preview": "1"}, {}):
        assert error in errors(admin_client.post(reverse(ADD), {**data, "args": args, **button}))
    assert not Cron.objects.exists()


def assert_answered(client: Client, changes: dict[str, str]) -> None:
    data = {**FIELDS, "name": "mine", "function": "tests:tick", "args": "{}", **changes}
    for button in ({"_preview": "1"}, {}):
        assert client.post(reverse(ADD), {**data, **button}).status_code in (200, 302), changes
    Cron.objects.all().delete()  # its name is free for the next


def test_so_has_what_a_database_may_not_take(admin_client):
    for changes in (
        {"every": "999999999 00:00:00", "line": ""}, {"name": "\0"}, {"name": "x" * 200},
        {"pause_after_failures": "9" * 30}, {"pause_after_failures": "9" * 5_000},
    ):  # fmt: skip
        assert_answered(admin_client, changes)


@pytest.mark.once
def test_so_has_everything_else(admin_client):
    for changes in (
        {"every": "9" * 5_000, "line": ""}, {"every": "-1", "line": ""}, {"every": "\0", "line": ""}, {"line": "\0"},
        {"line": "*/" + "9" * 60 + " * * * *"}, {"line": ",".join(["1"] * 60) + " * * * *"},
        {"timezone": "../../etc/passwd"}, {"function": "\0"}, {"catch_up": "\0"}, {"line": "0 0 31 2 *"},
    ):  # fmt: skip
        assert_answered(admin_client, changes)


@pytest.mark.once
@pytest.mark.parametrize("field", ["name", "args", "line", "function", "unheard-of"])
def test_half_a_character_that_no_browser_sends_is_a_bad_request(admin_client, field):
    """A charset of one's own choice is a way to send it."""
    boundary = '--x\r\nContent-Disposition: form-data; name="%s"\r\n\r\n\\ud800\r\n--x--\r\n'
    body = boundary % field
    content_type = "multipart/form-data; boundary=x; charset=raw_unicode_escape"
    for name in ("cron_add", "scheduledfunction_act", "overview_pause"):
        url = reverse(f"admin:django_scheduler_{name}")
        assert admin_client.post(url, body.encode(), content_type=content_type).status_code == 400


@pytest.mark.parametrize("reason", ["\0", "a\0b", "x" * 5_000, "", "\u202e"])
def test_every_reason_pauses(with_secrets, reason):
    client = client_with("view_cron", "pause_cron")
    url = reverse("admin:django_scheduler_cron_act", args=[with_secrets.pk, "pause"])
    assert client.post(url, {"reason": reason}).status_code == 302
    assert ctx.crons.get("with secrets").paused_reason


@pytest.mark.once
@pytest.mark.parametrize("value", ["b", "<i>", "", None])
def test_a_long_select_is_djangos(value):
    choices = [("", "---------"), ("b", "B & C"), ("<i>", "'quoted'")]

    ours, djangos = (
        widget({"class": "wide"}, choices).render("zone", value, {"id": "id_zone", "disabled": True})
        for widget in (LongSelect, forms.Select)
    )

    assertHTMLEqual(ours, djangos)
