"""Running again does once more what was done: the page says how certain that is, and a function can forbid it."""

from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.urls import reverse

from django_scheduler import action, ctx, internal_action, internal_mutation, mutation
from django_scheduler.admin import outlook
from django_scheduler.models import Failure, Kind, ScheduledFunction, State
from tests.admin.conftest import ACT, DETAIL, LIST, OVERVIEW, act, client_with, messages_of, page, record

pytestmark = pytest.mark.django_db

HAD = "so it has had its effect"
UNKNOWN = "is an action whose outcome is unknown: it may have had its effect already"
GOES_ON = "it may have had its effect already, and it may be running still"
PARTLY = "what it did before the error, it does a second time"
NOTHING_KNOWN = "is not known: whatever they did, they do again"

ENDS: list[tuple[dict[str, Any], str | None]] = [
    ({"state": State.SUCCESS, "kind": Kind.MUTATION}, HAD),
    ({"state": State.SUCCESS, "kind": Kind.ACTION}, HAD),
    ({"state": State.FAILED, "kind": Kind.ACTION, "failure": Failure.LOST}, UNKNOWN),
    ({"state": State.FAILED, "kind": Kind.ACTION, "failure": Failure.TIMEOUT}, GOES_ON),
    ({"state": State.FAILED, "kind": Kind.ACTION, "failure": Failure.ERROR}, PARTLY),
    ({"state": State.FAILED, "kind": Kind.ACTION, "failure": Failure.MISSING}, None),
    ({"state": State.FAILED, "kind": Kind.MUTATION, "failure": Failure.ERROR}, None),
    ({"state": State.FAILED, "kind": Kind.MUTATION, "failure": Failure.TIMEOUT}, None),
    ({"state": State.CANCELED, "kind": Kind.ACTION}, None),
]


def asked(client, name="run_again", **data):
    return client.post(reverse(ACT), {"action": name, **data}).content.decode()


def of_each_end(values):
    return "-".join(str(value) for value in values.values()) if isinstance(values, dict) else None


@pytest.mark.once
@pytest.mark.parametrize(("values", "warning"), ENDS, ids=of_each_end)
@pytest.mark.parametrize("selected", ["one", "all that match"])
def test_what_may_have_had_its_effect_is_warned_of_as_strongly_as_it_is(admin_client, values, warning, selected):
    function = record(**values)
    text = asked(admin_client, id=[function.pk]) if selected == "one" else asked(admin_client, all="1", query="")
    told = [each for each in (HAD, UNKNOWN, GOES_ON, PARTLY) if each in text]
    assert told == ([warning] if warning else [])
    assert ("ds-button-danger-solid" in text) is bool(warning)


@pytest.mark.once
def test_an_action_that_was_canceled_while_it_ran_may_be_running_still(admin_client):
    function = record(State.IN_PROGRESS, kind=Kind.ACTION)
    ctx.scheduler.cancel(function.pk)
    assert GOES_ON in asked(admin_client, id=[function.pk])


def test_each_kind_of_end_is_counted(admin_client):
    for values, _ in ENDS:
        record(**values)
    text = asked(admin_client, all="1", query="")
    assert "2 of them have succeeded" in text
    assert UNKNOWN in text
    assert GOES_ON in text
    assert PARTLY in text


def test_more_than_can_be_counted_is_said_to_be_more(admin_client, monkeypatch):
    monkeypatch.setattr(outlook, "SELECTION_COUNTED_TO", 2)
    for _ in range(4):
        record()
    text = asked(admin_client, all="1", query="")
    assert "3+ of them have succeeded" in text
    assert NOTHING_KNOWN in text  # of those that nobody has looked at


@pytest.mark.once
def test_what_a_search_finds_is_warned_of_though_nobody_has_counted_it(admin_client):
    record(args={"label": "tea"})
    assert NOTHING_KNOWN in asked(admin_client, all="1", query="q=tea")


@pytest.mark.once
def test_other_actions_warn_of_no_second_time(admin_client):
    record(State.SUCCESS)
    text = asked(admin_client, "cancel", all="1", query="")
    assert HAD not in text
    assert NOTHING_KNOWN not in asked(admin_client, "cancel", all="1", query="q=tea")


@pytest.fixture(params=[mutation, internal_mutation, action, internal_action])
def charge(request):
    @request.param(rerun=False)
    def charge(ctx) -> None: ...

    return charge


@pytest.mark.once
def test_a_function_can_forbid_that_it_runs_again(admin_client, charge):
    function = record(name="tests:charge", kind=charge.kind)
    other = record()
    assert messages_of(act(admin_client, "run_again", function.pk)) == [
        "1 is of a function that may not run again (rerun=False)"
    ]
    assert messages_of(act(admin_client, "run_again", function.pk, other.pk)) == [
        "1 scheduled again, 1 is of a function that may not run again (rerun=False)"
    ]
    response = act(
        admin_client, "run_again", all="1", query="function=tests:charge", first=function.pk - 1, last=function.pk
    )
    assert messages_of(response) == ["1 is of a function that may not run again (rerun=False)"]
    assert list(ScheduledFunction.objects.filter(state="pending").values_list("rerun_of", flat=True)) == [other.pk]


@pytest.mark.once
def test_running_again_is_not_offered_where_the_function_forbids_it(admin_client, charge):
    function = record(name="tests:charge", kind=charge.kind)
    text = page(admin_client, DETAIL, function.pk)
    assert 'value="run_again"' not in text
    assert "rerun=False" in text
    assert 'value="run_again"' in page(admin_client, DETAIL, record().pk)
    record(State.FAILED, name="tests:charge", kind=charge.kind, error="E: x")
    assert 'value="run_again"' not in page(admin_client, OVERVIEW)
    record(State.FAILED, error="E: x")
    assert page(admin_client, OVERVIEW).count('value="run_again"') == 1
    text = asked(admin_client, id=[function.pk])
    assert "1 of them is of a function that may not run again (rerun=False or admin=False)" in text
    assert "Yes: Run again" not in text
    assert HAD not in text


@pytest.mark.once
@pytest.mark.parametrize("rerun", [None, 0, "no"])
def test_rerun_is_true_or_false(rerun):
    with pytest.raises(ImproperlyConfigured, match="rerun= must be True or False"):

        @action(rerun=rerun)
        def charge(ctx) -> None: ...


@pytest.mark.once
@pytest.mark.parametrize(
    ("name", "state"),
    [
        ("cancel", State.SUCCESS),
        ("run_now", State.IN_PROGRESS),
        ("reschedule", State.FAILED),
        ("run_again", State.PENDING),
    ],
)
@pytest.mark.parametrize("selected", ["one", "all that match"])
def test_what_can_be_done_to_none_of_them_is_not_offered(admin_client, name, state, selected):
    function = record(state)
    text = asked(admin_client, name, **({"id": [function.pk]} if selected == "one" else {"all": "1", "query": ""}))
    assert "Yes:" not in text
    assert "So there is nothing to be done." in text
    record(State.PENDING if name != "run_again" else State.SUCCESS)
    assert "Yes:" in asked(admin_client, name, all="1", query="")


@pytest.mark.once
def test_the_list_of_one_state_offers_what_can_be_done_in_it():
    client = client_with(
        "view_scheduledfunction", *(f"{name}_scheduledfunction" for name in ("cancel", "run_again", "run_now"))
    )
    for state in State:
        record(state)
    offered = {
        state: [
            name
            for text in [page(client, LIST, state=state)]
            for name in ("cancel", "run_again", "run_now", "reschedule")
            if f'name="action" value="{name}"' in text
        ]
        for state in ("pending", "overdue", "in_progress", "success", "failed", "canceled")
    }
    assert offered == {
        "pending": ["cancel", "run_now"],
        "overdue": ["cancel", "run_now"],
        "in_progress": ["cancel"],
        "success": ["run_again"],
        "failed": ["run_again"],
        "canceled": ["run_again"],
    }
