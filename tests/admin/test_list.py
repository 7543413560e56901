"""The list: what it shows, in which order, filtered and searched, at whatever number of functions."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from django_scheduler import ctx
from django_scheduler.admin import ScheduledFunctionAdmin, listing
from django_scheduler.admin.time_limit import Answer, Questions
from django_scheduler.models import Failure, Kind, Pause, State
from django_scheduler.pausing import pause
from tests.admin.conftest import DETAIL, LIST, client_with, ids_on, page, record
from tests.functions import write

pytestmark = pytest.mark.django_db


@pytest.mark.once
def test_a_scheduled_function_is_listed_with_its_arguments(admin_client):
    function_id = ctx.scheduler.run_after(timedelta(minutes=3, seconds=30), write, label="tea")
    text = page(admin_client, LIST)
    assert ids_on(text) == [function_id]
    for piece in ("tests:write", "tea", "pending", "in 3 min", "mutation", "default"):
        assert piece in text


@pytest.mark.once
def test_every_state_has_an_icon_and_a_word(admin_client, functions):
    text = page(admin_client, LIST)
    for state in State:
        assert f"ds-badge-{state.value}" in text
        assert f"</svg>{state.label}</span>" in text


def test_the_number_of_functions_in_each_state_stands_beside_it(admin_client, functions):
    record(State.FAILED)
    tabs = admin_client.get(reverse(LIST)).context["state_tabs"]
    assert {tab["value"]: tab["count"] for tab in tabs} == {
        "": None, "overdue": None, "limited": 0, "pending": 1, "in_progress": 1, "success": 1, "failed": 2,
        "canceled": 1,
    }  # fmt: skip


def test_filtered_by_state(admin_client, functions):
    for state in State.values:
        assert ids_on(page(admin_client, LIST, state=state, live="1")) == [functions[state].pk], state


def test_overdue_is_what_is_pending_and_due(admin_client, functions):
    record(State.PENDING, due_time=timezone.now() + timedelta(hours=1))
    assert ids_on(page(admin_client, LIST, state="overdue")) == [functions["pending"].pk]


def test_what_is_pending_is_listed_as_it_falls_due_across_queues_and_priorities(admin_client):
    now = timezone.now()
    due = [3, 1, 4, 0, 5, 2]
    ids = [
        record(
            State.PENDING,
            due_time=now + timedelta(minutes=minutes),
            queue=("email", "default")[minutes % 2],
            priority=minutes % 3,
        ).pk
        for minutes in due
    ]
    expected = [pk for _, pk in sorted(zip(due, ids, strict=True))]
    assert ids_on(page(admin_client, LIST, state="pending")) == expected
    assert ids_on(page(admin_client, LIST, state="pending", kind="mutation")) == expected


def test_what_has_finished_is_listed_from_the_latest_on(admin_client):
    now = timezone.now()
    ids = [record(State.FAILED, completed_time=now - timedelta(minutes=minutes)).pk for minutes in (2, 0, 1)]
    assert ids_on(page(admin_client, LIST, state="failed")) == [ids[1], ids[2], ids[0]]


@pytest.mark.parametrize(
    ("parameters", "values"),
    [
        ({"function": "tests:note"}, {"name": "tests:note"}),
        ({"kind": "action"}, {"kind": Kind.ACTION}),
        ({"queue": "email"}, {"queue": "email"}),
        ({"failure": "lost"}, {"state": State.FAILED, "failure": Failure.LOST}),
        ({"error": "ValueError"}, {"state": State.FAILED, "error": "ValueError: no"}),
        ({"by": "function"}, {"parent_id": 1}),
        ({"parent": "1"}, {"parent_id": 1}),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else None,
)
def test_filtered(admin_client, functions, parameters, values):
    function = record(**values)
    assert ids_on(page(admin_client, LIST, live="1", **parameters)) == [function.pk]


@pytest.mark.parametrize(("parameter", "column"), [("created", "creation_time"), ("finished", "completed_time")])
def test_filtered_by_time(admin_client, parameter, column):
    record(State.SUCCESS, **{column: timezone.now() - timedelta(hours=2)})
    recent = record()
    assert ids_on(page(admin_client, LIST, **{parameter: "1h"})) == [recent.pk]
    assert len(ids_on(page(admin_client, LIST, **{parameter: "24h"}))) == 2


@pytest.mark.once
@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("error", "ValueError", "Error: <bdi>ValueError</bdi>"),
        ("parent", "7", "Scheduled by: <bdi>#7</bdi>"),
        ("request", "7f3a", "Request: <bdi>7f3a</bdi>"),
    ],
)
def test_a_filter_that_has_no_field_is_named_and_kept_when_others_are_applied(admin_client, name, value, shown):
    text = page(admin_client, LIST, **{name: value})
    assert f'<span class="ds-chip">{shown}</span>' in text
    assert f'<input type="hidden" name="{name}" value="{value}">' in text


@pytest.mark.once
@pytest.mark.parametrize(
    "parameters",
    [{"state": "done"}, {"kind": "x"}, {"parent": "-1"}, {"created": "2h"}, {"error__contains": "a"}, {"id": "1"}],
)
def test_a_filter_that_is_not_understood_shows_nothing_and_says_so(admin_client, functions, parameters):
    text = page(admin_client, LIST, **parameters)
    assert ids_on(text) == []
    assert "This filter is not understood" in text


def test_searched_by_id(admin_client, functions):
    function = functions["failed"]
    assert ids_on(page(admin_client, LIST, q=str(function.pk))) == [function.pk]
    assert ids_on(page(admin_client, LIST, q=f"#{function.pk}")) == [function.pk]
    assert ids_on(page(admin_client, LIST, q=str(function.pk), state="success")) == []


def test_searched_by_argument_name_and_text(admin_client):
    record(args={"order_id": 421, "customer": "bob"})
    function = record(name="tests:note", args={"order_id": 42, "customer": "ann", "text": "viele Grüße ΣΊΣ"})
    of_arguments = ["order_id=42", "order_id = 42", 'customer="ann"', "customer=ann"]
    for query in [*of_arguments, "tests:not", "NOTE", "ann", "Grüße", "ΣΊΣ"]:
        assert ids_on(page(admin_client, LIST, q=query, live="1")) == [function.pk], query


def test_no_search_is_an_error(admin_client, functions):
    for query in ("%", "_", "\\", "'", '"; DROP TABLE', "a=", "=", "9" * 30, "0", "x" * 200, "$"):
        assert ids_on(page(admin_client, LIST, q=query, live="1")) == [], query


def test_pages_follow_each_other_without_gap_or_repetition(admin_client, monkeypatch):
    monkeypatch.setattr(ScheduledFunctionAdmin, "list_per_page", 3)
    ids = [record(completed_time=timezone.now()).pk for _ in range(7)]
    for parameters in ({}, {"state": "success"}, {"kind": "mutation"}):
        seen, query = [], parameters
        while True:
            response = _page_of_three(admin_client, query)
            seen.append([row.function.pk for row in response.context["rows"]])
            if not response.context["older"]:
                break
            query = response.context["older"]
        assert [pk for each in seen for pk in each] == ids[::-1]
        back = _page_of_three(admin_client, response.context["newer"])
        assert [row.function.pk for row in back.context["rows"]] == seen[-2]


def _page_of_three(client, query):
    return client.get(f"{reverse(LIST)}?{query}") if isinstance(query, str) else client.get(reverse(LIST), query)


def test_a_page_begins_behind_a_row_even_if_others_come_in_between(admin_client):
    first, second, third = (record() for _ in range(3))
    assert ids_on(page(admin_client, LIST, after=str(third.pk))) == [second.pk, first.pk]
    record()
    assert ids_on(page(admin_client, LIST, after=str(third.pk))) == [second.pk, first.pk]


def test_a_position_that_is_none_is_the_first_page(admin_client, functions):
    for parameters in ({}, {"state": "failed"}):
        first_page = ids_on(page(admin_client, LIST, **parameters))
        for position in ("x", "-1", "1.x", "9" * 25, f"{'9' * 19}.1", "1.1"):
            found = ids_on(page(admin_client, LIST, before=position, live="1", **parameters))
            assert found == first_page, position


def test_what_no_index_finds_is_looked_for_bit_by_bit(admin_client, monkeypatch):
    monkeypatch.setattr(listing, "LOOKED_AT", 5)
    wanted = record(queue="rare")
    for _ in range(7):
        record()
    response = admin_client.get(reverse(LIST), {"queue": "rare"})
    assert response.context["rows"] == []
    assert "Nothing found among the 5 functions" in response.content.decode()
    assert ids_on(admin_client.get(f"{reverse(LIST)}?{response.context['older']}").content.decode()) == [wanted.pk]


@pytest.mark.once
def test_the_list_says_among_how_many_functions_it_has_looked(admin_client, monkeypatch):
    monkeypatch.setattr(listing, "SEARCH_SECONDS", -1.0)
    for number in range(9):
        record(args={"label": f"tea {number}"}, name="tests:note" if number % 2 else "tests:write")
    # The search ends with the first that is compared: the filter passes over the other one.
    first = admin_client.get(reverse(LIST), {"q": "tea", "function": "tests:note"})
    assert first.context["page"].looked_at == 2
    assert "2 functions were looked at" in first.content.decode()
    assert len(first.context["rows"]) == 1


@pytest.mark.once
def test_an_error_is_shown_with_its_first_line_whole(admin_client):
    line = f"IntegrityError: {'x' * 200} in orders"
    record(State.FAILED, error=f"{line}\nDETAIL: more")
    text = page(admin_client, LIST)
    assert line in text
    assert "DETAIL" not in text


@pytest.mark.once
@pytest.mark.parametrize("path", [LIST, DETAIL])
def test_a_page_that_refreshes_itself_keeps_what_it_shows_while_the_database_is_late(
    admin_client, functions, monkeypatch, path
):
    monkeypatch.setattr(Questions, "__call__", lambda self, query: Answer(None))
    url = reverse(path, args=[functions["pending"].pk] if path == DETAIL else [])
    response = admin_client.get(url, {"live": "1"})
    assert (response.status_code, response.content) == (204, b"")
    assert "did not answer in time" in admin_client.get(url).content.decode()


@pytest.mark.once
def test_an_empty_list_says_what_will_appear(admin_client):
    assert "Nothing has been scheduled yet" in page(admin_client, LIST)
    assert "No function matches" in page(admin_client, LIST, state="failed")


@pytest.mark.parametrize("parameters", [{}, {"state": "pending"}, {"kind": "action"}, {"q": "a"}, {"state": "failed"}])
def test_a_list_takes_at_most_twelve_queries_however_many_functions(functions, count_queries, parameters):
    for number in range(10):
        record(State.FAILED, parent_id=number + 1)
        record(State.PENDING, queue=f"queue {number % 5}", priority=number % 3)
    client = client_with("view_scheduledfunction", "cancel_scheduledfunction")
    with count_queries() as queries:
        page(client, LIST, **parameters)
    assert len(queries.statements) <= 12, queries.statements


@pytest.mark.once
def test_the_live_part_alone_is_delivered_when_asked_for(admin_client, functions):
    text = page(admin_client, LIST, live="1")
    assert "<html" not in text
    assert len(ids_on(text)) == 5


@pytest.mark.once
def test_the_live_part_asks_nothing_for_the_menus_which_are_no_part_of_it(admin_client, functions, count_queries):
    with count_queries() as whole:
        page(admin_client, LIST)
    with count_queries() as live:
        page(admin_client, LIST, live="1")
    of_queues = Pause._meta.db_table  # where queues are looked for that nothing else names
    assert any(of_queues in statement for statement in whole.statements)
    assert not any(of_queues in statement for statement in live.statements)


def test_menu_of_queues_has_those_that_only_calls_or_settings_name(admin_client, settings):
    record(State.PENDING, queue="named by a call")
    record(State.SUCCESS, queue="once named by a call")
    pause("default", "paused")
    settings.DJANGO_SCHEDULER = {"MAX_LAG": {"of a setting": None, "": None}}

    response = admin_client.get(reverse(LIST))

    (menu,) = (menu for menu in response.context["menus"] if menu["name"] == "queue")
    offered = [choice["value"] for choice in menu["choices"]]
    assert {"named by a call", "once named by a call", "paused", "of a setting", "default", "email"} <= {*offered}
    assert "" not in offered
