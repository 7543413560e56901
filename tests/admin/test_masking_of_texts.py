"""Secrets in errors, tracebacks, results that could not be stored, and in the arguments of tasks are not shown."""

import json
import re
from typing import Any

import django
import pytest
from django.test import override_settings
from django.urls import reverse
from django.utils import timezone

from django_scheduler import crons, ctx
from django_scheduler.crons.models import Cron, CronRun
from django_scheduler.masking import BULLETS, mask_by_key, masked, masked_text
from django_scheduler.models import State
from tests.admin.conftest import DETAIL, LIST, OVERVIEW, page, record
from tests.crons.functions import tick_with_secrets

pytestmark = [pytest.mark.django_db, pytest.mark.once]


@pytest.mark.parametrize(
    "key",
    ["pass", "db_pass", "userPass", "pw", "DB_PW", "auth", "basicAuth", "bearer", "sentry_dsn", "jwt", "id-jwt", "otp",
     "pin", "card_number", "cardNumber", "creditCard", "cc-num", "cvv2", "pass_word", "passCode", "X-Api-Key", "APIKey",
     "PGPASSWORD", "csrf", "session_id", "PHPSESSID", "backup_codes", "Passwort", "oauth2", "creds", "api_key2",
     "\uff50\uff41\uff53\uff53\uff57\uff4f\uff52\uff44", "pass\u200bword", "pa\u017f\u017fword"],
)  # fmt: skip
def test_more_names_of_secrets(key):
    assert mask_by_key("tests:write", {key: "hunter2"}) == {key: BULLETS}


@pytest.mark.parametrize(
    "key",
    ["passed", "passenger", "pass_count", "bypass", "authority", "author_id", "auth_user_id", "shipping", "opinion",
     "company", "monkey", "foreign_key", "status_code", "inside", "account", "design", "discard"],
)  # fmt: skip
def test_names_that_only_look_like_it(key):
    assert mask_by_key("tests:write", {key: "shown"}) == {key: "shown"}


B64 = {"$bytes": "YXV0aG9yaXphdGlvbg=="}  # authorization


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ([["Authorization", "hunter2"], ["Accept", "all"]], [["Authorization", BULLETS], ["Accept", "all"]]),
        ([{"$tuple": ["X-Api-Key", "hunter2"]}], [{"$tuple": ["X-Api-Key", BULLETS]}]),
        ([{"$tuple": [B64, {"$bytes": "aHVudGVyMg=="}]}], [{"$tuple": [B64, BULLETS]}]),
        ({"$dict": [[B64, "hunter2"]]}, {"$dict": [[B64, BULLETS]]}),
        ({"$dict": [[{"$enum": ["a:Field", "PASSWORD"]}, "hunter2"]]},
         {"$dict": [[{"$enum": ["a:Field", "PASSWORD"]}, BULLETS]]}),
        ([{"name": "Cookie", "value": "hunter2"}], [{"name": "Cookie", "value": BULLETS}]),
        ({"name": "Secret Garden", "value": 5}, {"name": "Secret Garden", "value": 5}),
        ({"$enum": ["orders.auth:Token", "RED"]}, {"$enum": ["orders.auth:Token", "RED"]}),
        ({"$dataclass": ["a:Login", {"user": "ann", "password": "hunter2"}]},
         {"$dataclass": ["a:Login", {"user": "ann", "password": BULLETS}]}),
        ({"$dataclass": ["a:Outer.Password", {"value": "hunter2"}]},
         {"$dataclass": ["a:Outer.Password", {"value": BULLETS}]}),
        ({"$model": ["authtoken.token", "hunter2", "default"]}, {"$model": ["authtoken.token", BULLETS, "default"]}),
        (["psql", "--password", "hunter2", "-U", "ann"], ["psql", "--password", BULLETS, "-U", "ann"]),
        ("postgres://ann:hunter2@db/shop", f"postgres://{BULLETS}@db/shop"),
        ("https://x.example/?token=hunter2&page=2", f"https://x.example/?token={BULLETS}&page=2"),
        ("https://x.example/?p%61ssword=hunter2", f"https://x.example/?p%61ssword={BULLETS}"),
        ("next=https%3A%2F%2Fann%3Ahunter2%40x.example", f"next=https%3A%2F%2F{BULLETS}%40x.example"),
        ('{"a": [{"password": "hunter2"}]}', f'{{"a": [{{"password": "{BULLETS}"}}]}}'),
        (json.dumps('{"password": "hunter2"}'), json.dumps(f'{{"password": "{BULLETS}"}}', ensure_ascii=False)),
        (r'{"p\u0061ssword": "hunter2"}', f'{{"password": "{BULLETS}"}}'),
        ({"$bytes": "cGFzc3dvcmQ9aHVudGVyMg=="}, {"$bytes": BULLETS}),
        ({"$str": "password=hunter2\\x00"}, {"$str": f"password={BULLETS}\\x00"}),
        ({"$repr": "<Login(user='ann', password='hunter2')>"}, {"$repr": f"<Login(user='ann', password='{BULLETS}')>"}),
        ("ordinary text: a=1, b = 'two' at 12:30 http://localhost:80/x?y=a@b.example",) * 2,
        ('{"order": 7}',) * 2,
    ],
)  # fmt: skip
def test_what_is_hidden_and_what_stays(value, shown):
    assert mask_by_key("tests:write", value) == shown


@pytest.mark.parametrize("depth", [20, 5_000, 100_000])
def test_json_in_a_text_that_is_nested_deeply(depth):
    text = "[" * depth + '{"password": "hunter2"}' + "]" * depth
    assert "hunter2" not in str(mask_by_key("tests:write", text))


TRACEBACK = """Traceback (most recent call last):
  File "/shop/login.py", line 3, in login
    token = get_token(request, password="hunter2")
            ^^^^^^^^^^^^^^^^^^
ConnectionError: https://ann:hunter2@x.example

The above exception was the direct cause of the following exception:

  File "/shop/login.py", line 4, in login
    raise Refused(f"not with {password!r}")
shop.errors.Refused: not with 'hunter2'
the header was: Authorization: Bearer hunter2hunter2
"""


def test_page_list_and_overview_show_no_secret_of_an_error(admin_client):
    error = "Refused: not with 'hunter2'"
    function = record(
        State.FAILED,
        args={"user": "ann", "password": "hunter2"},
        error=error,
        traceback=TRACEBACK,
        completed_time=timezone.now(),
    )
    for text in (page(admin_client, LIST), page(admin_client, DETAIL, function.pk), page(admin_client, OVERVIEW)):
        assert "Refused: not with" in text
        assert "hunter2" not in text
    text = page(admin_client, DETAIL, function.pk)
    assert "token = get_token(request, password=" in text
    assert "raise Refused(" in text
    function.refresh_from_db()
    assert function.error == error  # only those who look do not see it


@pytest.mark.parametrize("secret", ["hunter2 & more", 'a"quoted\\secret', "kätzchen-42", "two\nlines", 48_291_377])
def test_what_is_hidden_of_the_arguments_is_hidden_in_everything_else(admin_client, secret):
    words = f"Refused: {secret} and {secret!r} and {json.dumps(secret)}."
    function = record(
        State.FAILED,
        args={"user": "ann", "password": {"deep": [secret]}},
        error=words,
        traceback=words,
        result={"$repr": f"<Answer {secret}>"},
    )
    text = page(admin_client, DETAIL, function.pk)
    assert text.count(f"Refused: {BULLETS} and ") == 2
    assert masked("tests:write", function.result, args=function.args) == {"$repr": f"<Answer {BULLETS}>"}
    assert masked_text("tests:write", words, args=function.args).count(BULLETS) == 3
    assert not [word for word in re.findall(r"\w{5,}", str(secret)) if word in text]


def test_a_secret_that_was_cut_off_is_hidden_too():
    assert "hunt" not in masked_text("tests:write", "Refused: not with hunte", args={"password": "hunter2"})


def test_many_secrets_are_looked_for_in_many_texts_in_linear_time():
    secrets: Any = {"password": [f"{number} hunter2" * 50 for number in range(1_000)]}
    texts: Any = ["x" * 1_000, *["x" * 20] * 60_000, "4 hunter2" * 50]
    shown: Any = masked("tests:write", texts, args=secrets)  # a quadratic time would be longer than a test may take
    assert shown == [*texts[:-1], BULLETS]


@pytest.mark.parametrize("end", ["", "b"])
def test_a_long_secret_that_was_cut_off_is_looked_for_in_linear_time(end):
    shown = masked_text("tests:write", "Refused: " + "a" * 500_000 + end, args={"password": "a" * 900_000 + "c"})
    assert len(shown) < 500_000


def test_a_short_secret_is_only_hidden_where_it_is_a_word():
    text = masked_text("tests:write", "pin 4711 of order 47110", args={"pin": 4711})
    assert text == f"pin {BULLETS} of order 47110"


def mask_payments(name, value):
    return {"$repr": "not shown"} if name.startswith("payments:") else mask_by_key(name, value)


def test_the_setting_is_asked_about_errors_too(admin_client):
    function = record(State.FAILED, name="payments:pay", error="Refused: 4711", traceback="Refused: 4711")
    with override_settings(DJANGO_SCHEDULER={"MASK": mask_payments}):
        for text in (page(admin_client, LIST), page(admin_client, DETAIL, function.pk), page(admin_client, OVERVIEW)):
            assert "4711" not in text
            assert "not shown" in text


def test_a_cron_shows_no_secret_of_its_errors(admin_client):
    cron = ctx.crons.register("a cron", crons.Daily(hour=9), tick_with_secrets, label="x", token="hunter2", more=[])
    CronRun.objects.create(cron=cron, state="failed", time=timezone.now(), error="Refused: not with hunter2")
    Cron.objects.update(paused_time=timezone.now(), paused_reason="It has failed 3 times: Refused: not with hunter2")
    text = admin_client.get(reverse("admin:django_scheduler_cron_change", args=[cron.pk])).content.decode()
    assert text.count("Refused: not with") == 2
    assert "hunter2" not in text


def test_a_cron_that_has_other_arguments_since_shows_no_secret_of_the_ones_it_had(admin_client):
    cron = ctx.crons.register("a cron", crons.Daily(hour=9), tick_with_secrets, label="x", token="new", more=[])
    function = record(State.FAILED, args={"token": "hunter2"}, error="Refused: not with hunter2")
    for state in ("failed", "scheduled"):
        CronRun.objects.create(cron=cron, function=function, state=state, time=timezone.now(), error=function.error)
    text = admin_client.get(reverse("admin:django_scheduler_cron_change", args=[cron.pk])).content.decode()
    assert text.count("Refused: not with") == 2
    assert "hunter2" not in text


def test_where_the_arguments_are_too_large_to_be_looked_at_nothing_shows_what_may_be_a_secret_of_them(admin_client):
    words = "Refused: not with hunter2"
    function = record(
        State.FAILED, args={"token": "hunter2", "more": "x" * 2_000_001}, error=words, traceback=words, result=words
    )
    text = page(admin_client, DETAIL, function.pk)
    assert "Refused" in text
    assert "hunter2" not in text


TASK: dict[str, Any] = {"args": ["ann", "hunter2"], "kwargs": {"token": "hunter2"}, "backend": "default"}


@pytest.mark.skipif(django.VERSION < (6, 0), reason="Django's tasks came with Django 6.0")
def test_arguments_of_a_task_by_position_are_masked_by_the_names_of_its_parameters(settings):
    from django_scheduler.tasks import register
    from tests.tasks import jobs

    settings.TASKS = {"default": {"BACKEND": "django_scheduler.tasks.SchedulerBackend"}}
    register()
    shown: Any = masked(f"{jobs.__name__}.log_in", TASK)
    assert shown["args"] == ["ann", BULLETS]
    assert shown["kwargs"] == {"token": BULLETS}


def test_all_of_them_are_if_nobody_knows_these_names():
    shown: Any = masked("shop.tasks.that_are_not_loaded", TASK)
    assert shown["args"] == [BULLETS, BULLETS]
