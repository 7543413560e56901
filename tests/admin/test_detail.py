"""The page of one function."""

from datetime import timedelta

import pytest
from django.test import override_settings
from django.urls import reverse
from django.utils import timezone

from django_scheduler import crons, ctx
from django_scheduler.models import Executor, Kind, ScheduledFunction, State
from tests.admin.conftest import DETAIL, LIST, client_with, ids_on, page, record
from tests.functions import hear, write

pytestmark = [pytest.mark.django_db, pytest.mark.once]


def test_the_course_of_a_function_that_has_ended(admin_client):
    now = timezone.now()
    function = record(
        State.FAILED,
        creation_time=now - timedelta(minutes=15, seconds=10),
        due_time=now - timedelta(seconds=10),
        started_time=now - timedelta(seconds=7),
        completed_time=now - timedelta(seconds=5),
    )
    text = page(admin_client, DETAIL, function.pk)
    for piece in ("planned wait <strong>15 min", "waited <strong>3.00 s", "ran <strong>2.00 s", "Failed"):
        assert piece in text


def test_what_is_ahead_of_a_pending_function(admin_client):
    function_id = ctx.scheduler.run_after(timedelta(hours=2, minutes=1), write, label="a")
    text = page(admin_client, DETAIL, function_id)
    assert "ds-moment-ahead" in text
    assert "in 2 h" in text


def test_the_outcome_of_an_action_that_was_canceled_while_it_ran_is_said_to_be_unknown(admin_client):
    action = record(State.IN_PROGRESS, kind=Kind.ACTION)
    assert "is not on record" not in page(admin_client, DETAIL, action.pk)
    ctx.scheduler.cancel(action.pk)
    never_begun = record(State.CANCELED, kind=Kind.ACTION, started_time=None)
    assert "may have gone on: whether it has had its effect, and what it returned" in page(
        admin_client, DETAIL, action.pk
    )
    assert "may have gone on" not in page(admin_client, DETAIL, never_begun.pk)


def test_an_action_whose_executor_is_silent_is_not_simply_running(admin_client):
    def executor_heard_of(name, ago):
        now = timezone.now()
        Executor.objects.create(
            name=name, process_id=7, queues=[], concurrency=1, started_time=now, heartbeat_time=now - ago
        )

    executor_heard_of("alive", timedelta(seconds=1))
    executor_heard_of("silent", timedelta(seconds=61))
    texts = [
        page(admin_client, DETAIL, record(State.IN_PROGRESS, kind=Kind.ACTION, executor=name).pk)
        for name in ("alive", "silent")
    ]
    assert ["Its executor was last heard of" in text for text in texts] == [False, True]


@pytest.mark.parametrize("state", State)
def test_only_what_is_legal_is_offered(admin_client, functions, state):
    offered = admin_client.get(reverse(DETAIL, args=[functions[state].pk])).context["actions"]
    expected = {
        State.PENDING: ["run_now", "reschedule", "cancel"],
        State.IN_PROGRESS: ["cancel"],
    }.get(state, ["run_again"])
    assert [action.name for action in offered] == expected


def test_arguments_and_result_are_shown_with_their_types(admin_client):
    args = {"price": {"$decimal": "1.10"}, "at": {"$datetime": ["2026-03-29T02:30:00", "Europe/Berlin", 0]}, "n": 7}
    function = record(args=args, result={"$tuple": [1, {"$enum": ["orders.models:Order.State", "PAID"]}]})
    text = page(admin_client, DETAIL, function.pk)
    for piece in ("decimal ", "1.10", "2026-03-29 02:30:00 Europe/Berlin", "tuple ", "Order.State.PAID"):
        assert piece in text
    assert "$decimal" in text.split("<template", 1)[1]  # what is copied is what is stored


def test_the_parent_the_children_and_the_reruns_are_linked(admin_client):
    parent = record(name="tests:write_then_schedule")
    function = record(State.FAILED, parent=parent)
    children = [record(parent=function) for _ in range(3)]
    rerun = record(rerun_of=function)
    text = page(admin_client, DETAIL, function.pk)
    assert reverse(DETAIL, args=[parent.pk]) in text
    assert ids_on(text) == [child.pk for child in reversed(children)]
    assert f"{reverse(DETAIL, args=[rerun.pk])}" in text
    assert reverse(DETAIL, args=[function.pk]) in page(admin_client, DETAIL, rerun.pk)


def test_a_parent_that_is_no_longer_on_record_is_named(admin_client):
    function = record(parent_id=4711)
    assert "#4711" in page(admin_client, DETAIL, function.pk)


def test_the_cron_that_a_function_comes_from_is_named_and_linked(admin_client):
    cron = ctx.crons.register("nightly", crons.Daily(hour=2), write, label="a")
    text = page(admin_client, DETAIL, ctx.crons.run_now(cron.name))
    url = reverse("admin:django_scheduler_cron_change", args=[cron.pk])
    assert f'<dt>Cron</dt><dd><a href="{url}">nightly</a>' in text


@pytest.mark.parametrize("function_id", ["4711", str(2**63 - 1)])
def test_a_function_that_is_not_on_record_is_explained(admin_client, function_id):
    response = admin_client.get(reverse(DETAIL, args=[function_id]))
    assert response.status_code == 404
    assert "no scheduled function" in response.content.decode()


@pytest.mark.parametrize("function_id", ["x", "-1", "0", str(2**63), "9" * 30, "1.5"])
def test_what_cannot_be_an_id_is_not_found(admin_client, function_id):
    assert admin_client.get(reverse(DETAIL, args=[function_id])).status_code == 404


def test_a_page_takes_at_most_twelve_queries(functions, count_queries):
    function = record(parent=functions["success"], rerun_of=functions["failed"])
    for _ in range(30):
        record(parent=function)
        record(rerun_of=function)
    client = client_with("view_scheduledfunction")
    with count_queries() as queries:
        page(client, DETAIL, function.pk)
    assert len(queries.statements) <= 12, queries.statements


def test_what_a_function_was_given_comes_back_the_same(admin_client):
    function_id = ctx.scheduler.run_after(0, write, label="ä")
    assert ScheduledFunction.objects.get(pk=function_id).decoded_args() == {"label": "ä"}
    assert "ä" in page(admin_client, DETAIL, function_id)


def test_request_that_caused_a_function_is_shown_escaped_and_leads_to_its_other_functions(admin_client):
    context = {"request_id": "7f3a", "user": "<b>ada</b>", "user_id": "7", "tenant": ["a"]}
    function = record(context=context)
    other = record(context=context)
    record(context={"request_id": "another"})
    record()

    text = page(admin_client, DETAIL, function.pk)

    assert "&lt;b&gt;ada&lt;/b&gt;" in text
    assert "[&quot;a&quot;]" in text
    assert f'{reverse(LIST)}?request=7f3a"' in text
    assert ids_on(page(admin_client, LIST, request="7f3a")) == [other.pk, function.pk]


def test_request_is_masked_as_arguments_are_and_nobody_finds_a_function_by_it(admin_client):
    function = record(context={"request_id": "7f3a", "user": "ada"})
    with override_settings(DJANGO_SCHEDULER={"MASK": lambda name, value: dict.fromkeys(value, "hidden")}):
        text = page(admin_client, DETAIL, function.pk)
        assert "7f3a" not in text
        assert ">ada<" not in text
        assert ids_on(page(admin_client, LIST, request="7f3a")) == []


def test_the_batch_the_expiry_and_what_follows_are_shown(admin_client):
    with ctx.scheduler.batch(on_complete=hear) as batch:
        members = batch.run_after_many(60_000, write, [{"label": "a"}, {"label": "b"}])
        followed = batch.options(expires=timedelta(hours=1), on_failure=hear).run_after(60_000, write, label="c")
    ctx.scheduler.cancel(members[0])

    text = page(admin_client, DETAIL, followed)

    for piece in (
        "Expires",
        "1 of 3 have ended: 0 succeeded, 0 failed, 1 canceled",
        "When it does not succeed",
        hear.name,
    ):
        assert piece in text
    listed = ids_on(page(admin_client, LIST, batch=batch.id))
    assert sorted(listed) == sorted([*members, followed])


def test_the_key_and_how_many_calls_were_taken_in(admin_client):
    for _ in range(3):
        function_id = ctx.scheduler.options(key="sync:<7>").run_after(timedelta(hours=1), write, label="a")
    text = page(admin_client, DETAIL, function_id)
    assert "sync:&lt;7&gt;" in text
    assert "calls taken in: 2" in text
    assert "<dt>Key</dt>" not in page(admin_client, DETAIL, ctx.scheduler.run_after(0, write, label="a"))


def test_the_tenant(admin_client):
    function = record(args={"tenant_id": "<acme>"}, tenant="<acme>")
    text = page(admin_client, DETAIL, function.pk)
    assert "<dt>Tenant</dt><dd><bdi>&lt;acme&gt;</bdi>" in text
    assert "<dt>Tenant</dt>" not in page(admin_client, DETAIL, ctx.scheduler.run_after(0, write, label="a"))


def test_a_secret_that_names_the_tenant_is_hidden(admin_client):
    function = record(args={"api_key": "sesame-street"}, tenant="sesame-street")
    assert "sesame" not in page(admin_client, DETAIL, function.pk)


def test_what_is_secret_of_a_key_is_hidden(admin_client):
    function = record(args={"api_key": "sesame-street", "user": "ann"}, key="ann sesame-street")
    text = page(admin_client, DETAIL, function.pk)
    assert "sesame" not in text
    assert "<bdi>ann " in text


def test_the_attempts_that_were_repeated_are_shown_with_their_errors(admin_client):
    history = [
        {"time": "2030-01-01T10:00:00+00:00", "executor": "one", "error": "ConnectionError: <b>no</b> route"},
        {
            "time": "2030-01-01T10:00:05.25+00:00",
            "executor": "two",
            "error": "ValueError: password=hush for jane@a",
        },
    ]
    function = record(attempts=3, failures=2, history=history, args={"password": "jane@a"})

    text = page(admin_client, DETAIL, function.pk)

    table = text.split("Earlier attempts", 1)[1].split("</table>", 1)[0]
    for piece in ("2030-01-01T10:00:00+00:00", "<bdi>one</bdi>", "<bdi>two</bdi>", "&lt;b&gt;no&lt;/b&gt; route"):
        assert piece in table
    assert "hush" not in table
    assert "jane@" not in table
    assert "(2 failed and were repeated)" in text


def test_a_function_of_one_attempt_has_no_earlier_ones(admin_client):
    assert "Earlier attempts" not in page(admin_client, DETAIL, record(State.FAILED).pk)
