"""A subclass's ``get_queryset`` holds everywhere: what it leaves out is neither seen, counted, nor acted upon."""

import re
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from django_scheduler import crons, ctx
from django_scheduler.crons.models import Cron, CronRun
from django_scheduler.models import Executor, ScheduledFunction, State
from tests.admin.conftest import ACT, DETAIL, LIST, OVERVIEW, act, ids_on, messages_of, page, record
from tests.crons.functions import tick

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.admin.narrowed"), pytest.mark.once]

ACTIONS = {"cancel": State.PENDING, "run_now": State.PENDING, "reschedule": State.PENDING, "run_again": State.FAILED}
HIDDEN = "tests:secretive"


def hidden(state: State = State.PENDING, **values: object) -> ScheduledFunction:
    return record(state, name=HIDDEN, queue="theirs", **values)


def everything() -> list[tuple[object, ...]]:
    return list(ScheduledFunction.objects.order_by("pk").values_list("pk", "state", "due_time"))


def make_hidden_things() -> None:
    for state in State:
        hidden(state, error=f"SecretiveError: {state}" if state == State.FAILED else "")
    now = timezone.now()
    Executor.objects.create(
        name="one", host="secretive-host", process_space="", process_id=1, process_start="", started_time=now,
        heartbeat_time=now, queues=["theirs"], concurrency=4, version="", django_version="", python_version="",
        running=[{"id": 1, "name": HIDDEN}],
    )  # fmt: skip


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("selection", ["ticked", "all"])
def test_nothing_is_done_to_what_is_hidden(admin_client, action, selection):
    function = hidden(ACTIONS[action])
    seen = record(ACTIONS[action], queue="ours")
    before = everything()
    everyone: dict[str, object] = {"all": "1", "last": str(seen.pk), "query": f"function={HIDDEN}"}
    values = everyone if selection == "all" else {}
    response = act(admin_client, action, function.pk, when="2030-01-01T00:00:00", **values)
    assert everything() == before
    assert messages_of(response)[0] in ("1 is no longer on record", "Nothing was selected.")


def test_what_is_hidden_is_told_apart_from_nothing_by_no_answer(admin_client):
    function = hidden()
    gone = function.pk + 1_000
    for data in ({}, {"confirmed": "1"}):
        answers = []
        for pk in (function.pk, gone):
            response = admin_client.post(reverse(ACT), {"action": "cancel", "id": [pk], **data}, follow=True)
            text = response.content.decode().replace(f'name="id" value="{pk}"', "")
            answers.append(re.sub('name="csrfmiddlewaretoken" value="[^"]*"', "", text))
        assert answers[0] == answers[1]


def test_what_is_seen_beside_it_is_acted_upon(admin_client):
    function, other = record(State.PENDING, queue="ours"), hidden()
    response = act(admin_client, "cancel", function.pk, other.pk)
    assert messages_of(response) == ["1 canceled, 1 is no longer on record"]
    assert ScheduledFunction.objects.get(pk=function.pk).state == State.CANCELED
    assert ScheduledFunction.objects.get(pk=other.pk).state == State.PENDING


@pytest.mark.parametrize("live", [{}, {"live": "1"}])
def test_the_overview_tells_nothing_of_what_is_hidden(admin_client, live):
    make_hidden_things()
    response = admin_client.get(reverse(OVERVIEW), live)
    text = response.content.decode()
    for piece in ("secretive", "SecretiveError", "theirs", "Oldest due", "Due now"):
        assert piece not in text
    assert response.context["running"] == response.context["due"] == response.context["pending"] == 0
    assert response.context["per_minute"].value.is_empty
    assert response.context["upcoming"].value.is_empty


def test_neither_do_the_slots_of_crons(admin_client):
    ctx.crons.register("their cron", crons.Interval(minutes=10), tick)
    assert admin_client.get(reverse(OVERVIEW)).context["upcoming"].value.is_empty


@pytest.mark.parametrize(
    "parameters", [{}, {"q": "secretive"}, {"state": "pending"}, {"state": "failed"}, {"kind": "mutation"}]
)
def test_neither_does_the_list(admin_client, parameters):
    make_hidden_things()
    seen = [record(state, queue="ours", name="tests:not_secretive") for state in State]
    response = admin_client.get(reverse(LIST), parameters)
    assert set(ids_on(response.content.decode())) <= {function.pk for function in seen}
    assert ids_on(response.content.decode())
    assert {tab["count"] for tab in response.context["state_tabs"]} == {None}
    assert "theirs" not in response.content.decode()


def test_pages_of_what_is_pending_are_full_although_others_fall_due_between(admin_client):
    for _ in range(60):
        hidden()
    ids = [record(State.PENDING, queue="ours").pk for _ in range(3)]
    assert ids_on(page(admin_client, LIST, state="pending")) == ids


def test_neither_does_the_page_of_a_relative(admin_client):
    parent = hidden(State.SUCCESS)
    function = record(State.SUCCESS, queue="ours", parent_id=parent.pk)
    hidden(State.SUCCESS, parent_id=function.pk, rerun_of_id=function.pk)
    assert HIDDEN not in page(admin_client, DETAIL, function.pk)
    for url in ("change", "history"):
        address = reverse(f"admin:django_scheduler_scheduledfunction_{url}", args=[parent.pk])
        assert HIDDEN not in admin_client.get(address, follow=True).content.decode()


def test_a_hidden_cron_is_neither_linked_nor_acted_upon(admin_client):
    cron = ctx.crons.register("their cron", crons.Interval(minutes=10), tick)
    function = ScheduledFunction.objects.get(pk=ctx.crons.run_now("their cron"))
    ScheduledFunction.objects.update(queue="ours")
    assert "their cron" not in page(admin_client, DETAIL, function.pk)
    for verb in ("pause", "resume", "run_now"):
        address = reverse("admin:django_scheduler_cron_act", args=[cron.pk, verb])
        assert admin_client.post(address).status_code == 404
    listed = reverse("admin:django_scheduler_cron_changelist")
    for action in ("pause_selected", "run_selected_now", "delete_selected"):
        admin_client.post(listed, {"action": action, "_selected_action": [cron.pk], "post": "yes"})
    assert ctx.crons.get("their cron").paused_time is None
    assert CronRun.objects.count() == 1


def test_a_run_that_is_hidden_is_not_linked_on_the_page_of_its_cron(admin_client):
    cron = ctx.crons.register("our cron", crons.Interval(minutes=10), tick)
    function_id = ctx.crons.run_now("our cron")
    address = reverse("admin:django_scheduler_cron_change", args=[cron.pk])
    assert f"#{function_id}" not in admin_client.get(address).content.decode()
    ScheduledFunction.objects.update(queue="ours")
    assert f"#{function_id}" in admin_client.get(address).content.decode()


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("last_run__state__exact=failed", 200),
        ("next_time__gte=2030-01-01T00:00Z", 200),
        ("next_time__isnull=True", 200),
        ("next_time__regex=1", 400),
        ("args=%7B%7D", 400),
        ("args__exact=%7B%7D", 400),
        ("args__label=a", 400),
        ("last_run__function__args__label=a", 400),
        ("last_run__error__startswith=a", 400),
    ],
)
def test_a_filter_of_a_subclass_works_unless_it_would_tell_arguments(admin_client, query, status):
    ctx.crons.register("our cron", crons.Interval(minutes=10), tick, label="a")
    Cron.objects.update(next_time=timezone.now() + timedelta(hours=1))
    assert admin_client.get(f"{reverse('admin:django_scheduler_cron_changelist')}?{query}").status_code == status
