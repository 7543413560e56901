"""Cancel, run now, reschedule and run again: on a selection, on all that match, each confirmed, each on record."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from django_scheduler import ctx
from django_scheduler.admin import action_view
from django_scheduler.models import Failure, Kind, ScheduledFunction, State
from tests.admin.conftest import ACT, DETAIL, LIST, act, messages_of, record
from tests.functions import write

pytestmark = pytest.mark.django_db


def state_of(function):
    return ScheduledFunction.objects.values_list("state", flat=True).get(pk=function.pk)


@pytest.mark.once
def test_an_action_is_confirmed_first(admin_client, functions):
    response = admin_client.post(reverse(ACT), {"action": "cancel", "id": [functions["pending"].pk]})
    text = response.content.decode()
    assert "1 function is selected." in text
    assert "What is pending never runs." in text
    assert state_of(functions["pending"]) == State.PENDING


@pytest.mark.once
def test_confirming_says_what_will_stay_as_it_is(admin_client, functions):
    ids = [function.pk for function in functions.values()]
    text = admin_client.post(reverse(ACT), {"action": "cancel", "id": ids}).content.decode()
    assert "3 of them are in another state" in text


@pytest.mark.once
def test_running_again_what_is_lost_is_warned_of(admin_client):
    lost = record(State.FAILED, kind=Kind.ACTION, failure=Failure.LOST)
    text = admin_client.post(reverse(ACT), {"action": "run_again", "id": [lost.pk]}).content.decode()
    assert "may have had its effect already" in text


def test_cancel(admin_client, functions):
    ids = [function.pk for function in functions.values()]
    response = act(admin_client, "cancel", *ids, 4711)
    assert messages_of(response) == [
        "2 canceled, 2 had already finished, 1 was canceled already, 1 is no longer on record"
    ]
    assert state_of(functions["pending"]) == state_of(functions["in_progress"]) == State.CANCELED
    assert state_of(functions["success"]) == State.SUCCESS


def test_run_now(admin_client):
    function_id = ctx.scheduler.run_after(timedelta(days=1), write, label="a")
    asked = ScheduledFunction.objects.get(pk=function_id).scheduled_time
    response = act(admin_client, "run_now", function_id)
    assert messages_of(response) == ["1 is due now"]
    function = ScheduledFunction.objects.get(pk=function_id)
    assert function.due_time <= timezone.now() + timedelta(seconds=1)
    assert function.scheduled_time == asked


def test_run_now_of_what_is_not_pending(admin_client, functions):
    ids = [functions[state].pk for state in ("in_progress", "success", "canceled")]
    response = act(admin_client, "run_now", *ids)
    assert messages_of(response) == ["1 is in progress, 1 had already finished, 1 was canceled already"]


def test_reschedule_in_the_time_zone_of_the_project(admin_client, settings):
    settings.TIME_ZONE = "Europe/Berlin"
    function = record(State.PENDING)
    tomorrow = timezone.localtime() + timedelta(days=1)
    response = act(admin_client, "reschedule", function.pk, when=f"{tomorrow:%Y-%m-%dT%H:%M:%S}")
    assert messages_of(response) == ["1 rescheduled"]
    function.refresh_from_db()
    assert abs(function.due_time - tomorrow) < timedelta(seconds=1)


@pytest.mark.once
def test_the_time_that_is_offered_is_the_one_that_holds(admin_client, settings):
    settings.TIME_ZONE = "Europe/Berlin"
    due = datetime(2027, 3, 1, 11, 30, tzinfo=UTC)
    functions = [record(State.PENDING, due_time=due) for _ in range(2)]
    one, both = (
        admin_client.post(reverse(ACT), {"action": "reschedule", "id": [function.pk for function in ids]})
        for ids in (functions[:1], functions)
    )
    assert 'value="2027-03-01T12:30:00"' in one.content.decode()
    assert not re.search(r'name="when" value', both.content.decode())


@pytest.mark.once
@pytest.mark.parametrize("when", ["", "yesterday", "2999-01-01T00:00:00", "0001-01-01T00:00", "2026-13-01T00:00"])
def test_a_time_that_cannot_be_is_asked_for_again(admin_client, when):
    function = record(State.PENDING)
    response = act(admin_client, "reschedule", function.pk, when=when)
    assert "errorlist" in response.content.decode()
    before, function = function.due_time, ScheduledFunction.objects.get(pk=function.pk)
    assert function.due_time == before


def test_run_again(admin_client):
    old = record(State.FAILED, args={"label": "tea", "big": {"$int": hex(2**70)}}, queue="old", error="ValueError")
    response = act(admin_client, "run_again", old.pk)
    assert messages_of(response) == ["1 scheduled again"]
    new = ScheduledFunction.objects.get(rerun_of=old)
    assert (new.name, new.args, new.state, new.queue, new.attempts) == (old.name, old.args, "pending", "default", 0)
    assert new.decoded_args() == old.decoded_args()
    old.refresh_from_db()
    assert old.state == State.FAILED


def test_run_again_of_what_has_not_finished_or_has_no_function(admin_client, functions):
    missing = record(State.FAILED, name="tests:gone")
    response = act(admin_client, "run_again", functions["pending"].pk, missing.pk)
    assert messages_of(response) == ["1 has not finished yet, 1 has no function in the code any more"]
    assert not ScheduledFunction.objects.filter(rerun_of__isnull=False).exists()


@pytest.mark.django_db(transaction=True)
def test_what_runs_again_is_executed(admin_client, execute_due):
    old = record(State.FAILED, args={"label": "tea"})
    act(admin_client, "run_again", old.pk)
    execute_due()
    assert ScheduledFunction.objects.get(rerun_of=old).state == State.SUCCESS


@pytest.mark.once
def test_each_function_that_was_changed_has_a_log_entry(admin_client, admin_user, functions):
    ids = [functions["pending"].pk, functions["success"].pk]
    act(admin_client, "cancel", *ids)
    entry = LogEntry.objects.get()
    assert (entry.user, entry.object_id, entry.change_message) == (admin_user, str(ids[0]), "Cancel")
    assert entry.get_admin_url() == reverse(DETAIL, args=[ids[0]])
    history = admin_client.get(reverse("admin:django_scheduler_scheduledfunction_history", args=[ids[0]]))
    assert "Cancel" in history.content.decode()


def all_matching(client, action, query, **values):
    data = {"action": action, "all": "1", "query": query, **values}
    asked = client.post(reverse(ACT), data)
    bounds = asked.context["selection"]
    return asked, {**data, "confirmed": "1", "first": bounds.first, "last": bounds.last}


def test_all_that_match_a_filter(admin_client, functions):
    others = [record(State.PENDING, queue="email") for _ in range(3)]
    asked, data = all_matching(admin_client, "cancel", "state=pending&queue=email")
    assert "3 functions match the filter." in asked.content.decode()
    response = admin_client.post(reverse(ACT), data, follow=True)
    assert messages_of(response) == ["3 canceled"]
    assert response.redirect_chain[0][0] == f"{reverse(LIST)}?state=pending&queue=email"
    assert {state_of(function) for function in others} == {State.CANCELED}
    assert state_of(functions["pending"]) == State.PENDING


@pytest.mark.once
def test_all_functions_there_are(admin_client, functions):
    asked, data = all_matching(admin_client, "cancel", "")
    text = asked.content.decode()
    assert "5 functions match the filter." in text
    assert "There is no filter: these are all functions there are." in text
    assert 'name="all" value="1"' in text
    response = admin_client.post(reverse(ACT), data, follow=True)
    assert messages_of(response) == ["2 canceled, 2 had already finished, 1 was canceled already"]


def test_a_large_selection_goes_on_batch_by_batch(admin_client, monkeypatch):
    monkeypatch.setattr(action_view, "PORTION", 2)
    for _ in range(5):
        record(State.FAILED)
    _, data = all_matching(admin_client, "run_again", "state=failed")
    progress = []
    while True:
        response = admin_client.post(reverse(ACT), data)
        if response.status_code == 302:
            break
        progress.append(response.context["percent"])
        form = response.context
        data |= dict(form["so_far"])
        data |= {"first": form["selection"].first, "oldest": form["oldest"]}
    assert messages_of(admin_client.get(response.url)) == ["5 scheduled again"]
    assert progress == sorted(progress)
    assert len(progress) >= 2
    assert ScheduledFunction.objects.filter(rerun_of__isnull=False).count() == 5


def test_what_comes_to_match_meanwhile_is_not_touched(admin_client):
    _, data = all_matching(admin_client, "cancel", "state=pending")
    record(State.PENDING)
    _, data = all_matching(admin_client, "cancel", "state=pending")
    later = record(State.PENDING)
    admin_client.post(reverse(ACT), data)
    assert state_of(later) == State.PENDING
    assert ScheduledFunction.objects.filter(state="canceled").count() == 1


def test_all_that_match_a_search(admin_client):
    wanted = record(State.PENDING, args={"user": "ann"})
    secret = record(State.PENDING, args={"password": "ann"})
    _, data = all_matching(admin_client, "cancel", "q=ann")
    admin_client.post(reverse(ACT), data)
    assert (state_of(wanted), state_of(secret)) == (State.CANCELED, State.PENDING)


@pytest.mark.once
@pytest.mark.parametrize("query", ["state=nonsense", "unknown=1", "error__contains=x"])
def test_a_filter_that_is_not_understood_selects_nothing(admin_client, functions, query):
    response = act(admin_client, "cancel", all="1", query=query, first="0", last=str(2**62))
    assert messages_of(response) == ["Nothing was selected."]
    assert state_of(functions["pending"]) == State.PENDING


def test_ids_that_are_none_select_nothing(admin_client, functions):
    for ids in ([], ["x"], ["-1"], ["1e3"], [str(2**64)], ["0"]):
        response = act(admin_client, "cancel", id=ids)
        assert "canceled" not in messages_of(response)[0].replace("was canceled", ""), ids
        assert state_of(functions["pending"]) == State.PENDING, ids


@pytest.mark.once
@pytest.mark.parametrize("where", ["https://evil.example/", "//evil.example", "../../", "javascript:alert(1)"])
def test_nobody_is_led_away_from_the_admin(admin_client, functions, where):
    data = {"action": "cancel", "id": [functions["pending"].pk], "confirmed": "1", "from": where, "query": where}
    response = admin_client.post(reverse(ACT), data)
    assert response.url == reverse(LIST)


@pytest.mark.only_on("postgresql", "mysql")
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("action", "values"), [("run_now", {}), ("reschedule", {"when": "2027-01-01T00:00:00"})])
def test_what_executes_right_now_is_reported_and_not_waited_for(admin_client, session, action, values):
    function, free = record(State.PENDING), record(State.PENDING)
    session.open_transaction()
    session.execute("SELECT id FROM django_scheduler_scheduledfunction WHERE id = %s FOR UPDATE", function.pk)
    response = act(admin_client, action, function.pk, free.pk, **values)
    session.roll_back()
    assert messages_of(response)[0].endswith(", 1 is running right now")
    before, function = function.due_time, ScheduledFunction.objects.get(pk=function.pk)
    assert function.due_time == before


@pytest.mark.django_db(transaction=True)
def test_executors_are_woken_for_what_becomes_due(admin_client, rings):
    function = record(State.PENDING, due_time=timezone.now() + timedelta(days=1))
    act(admin_client, "run_now", function.pk)
    assert len(rings) == 1
    with transaction.atomic():
        act(admin_client, "run_now", function.pk)
        assert len(rings) == 1
    assert len(rings) == 2


def test_all_that_match_are_dealt_with_in_one_request_however_far_apart_their_ids_are(admin_client):
    ids = [record(State.FAILED).pk for _ in range(3)]
    ScheduledFunction.objects.filter(pk=ids[2]).update(id=ids[2] + 10**12)
    values = {"all": "1", "query": "state=failed", "first": "0", "last": ids[2] + 10**12}
    response = act(admin_client, "run_again", **values)
    assert [str(message) for message in response.context["messages"]] == ["3 scheduled again"]
