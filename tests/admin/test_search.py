"""The search: whatever is sought is compared with what may be read, and every input has an answer, in bounded time."""

from typing import Any

import pytest
from django.test import override_settings
from django.urls import reverse

from django_scheduler.admin import listing
from django_scheduler.admin.filters import TITLES, Filters
from django_scheduler.databases import database_for
from django_scheduler.masking import BULLETS
from django_scheduler.models import ScheduledFunction, State
from tests.admin.conftest import LIST, act, client_with, ids_on, page, record

pytestmark = pytest.mark.django_db

SECRET = {"user": "ann", "api_key": "sesame", "inner": [{"token": "sesame"}]}


def found(**parameters: str) -> list[int]:
    """The functions on the first page of the list, which is not rendered."""
    rows = ScheduledFunction.objects.all()
    page = listing.Listing(database_for("default"), rows, Filters.read(parameters)).page(size=50)
    return [row.pk for row in page.rows]


FOUND: list[tuple[str, dict[str, Any]]] = [
    ("amount=9.90", {"amount": {"$decimal": "9.90"}}),
    ("amount=9.9", {"amount": {"$decimal": "9.90"}}),
    ("amount=9.90", {"amount": 9.9}),
    ("amount=9.90", {"amount": "9.90"}),
    ("amount=9", {"amount": 9.0}),
    ("amount=9.0", {"amount": 9}),
    ("flag=true", {"flag": True}),
    ("flag=False", {"flag": False}),
    ("nothing=None", {"nothing": None}),
    ("status=PAID", {"status": {"$enum": ["shop.models:Status", "PAID"]}}),
    ("order=7", {"order": {"$model": ["shop.order", 7, "default"]}}),
    ("day=2026-03-29", {"day": {"$date": "2026-03-29"}}),
    ("at=2026-03-29 02:30:00", {"at": {"$datetime": "2026-03-29T02:30:00"}}),
    ("at=2026-03-29 02:30:00 Europe/Berlin", {"at": {"$datetime": ["2026-03-29T02:30:00", "Europe/Berlin", 0]}}),
    (f"large={2**70}", {"large": {"$int": hex(2**70)}}),
    ("tags=[1, 2]", {"tags": [1, 2]}),
    ("decimal 9.90", {"amount": {"$decimal": "9.90"}}),
]


def test_an_argument_is_found_as_people_write_it():
    record(args={"other": 1, "text": "9.901"})
    for query, args in FOUND:
        function = record(args=args)
        assert found(q=query) == [function.pk], query
        function.delete()


NOT_FOUND: list[tuple[str, dict[str, Any]]] = [
    ("amount=9", {"amount": {"$decimal": "9.90"}}),
    ("amount=1", {"amount": True}),
    ("flag=true", {"flag": 1}),
    ("order_id=4", {"order_id": 42, "day": {"$date": "2026-03-29"}}),
    ("amount=NaN", {"amount": {"$decimal": "sNaN"}}),
    ("amount=9", {"amount": {"$decimal": "many"}}),
]


def test_another_value_is_not():
    for query, args in NOT_FOUND:
        record(args=args)
        assert found(q=query) == [], query
        ScheduledFunction.objects.all().delete()


def test_an_error_is_found_by_its_text(admin_client):
    record(State.FAILED, error="ValueError: no")
    function = record(State.FAILED, error="TimeoutError: Gateway Timeout\nfor order_id=4711")
    for query in ("gateway timeout", "TimeoutError", "order_id=4711"):
        assert ids_on(page(admin_client, LIST, q=query)) == [function.pk], query


GUESSES = [
    "api_key__startswith=s", "api_key__regex=^s", "api_key__iregex=S", "api_key__gt=a", "api_key__in=sesame",
    "api_key__isnull=False", "api_key__contains=es", "inner__0__token=sesame", "inner__0__token__startswith=s",
    "api_key=sesame", "sesame", "SESAME", '"api_key": "s', "args__api_key=sesame", "state=failed",
]  # fmt: skip


def test_nobody_finds_what_is_masked_by_whatever_they_enter():
    record(args=SECRET)
    for query in GUESSES:
        assert found(q=query) == [], query


def mask_values(name: str, value: Any) -> Any:
    return {key: "hidden" if item == "sesame" else item for key, item in value.items()} if value else value


@pytest.mark.once
@override_settings(DJANGO_SCHEDULER={"MASK": mask_values})
def test_nor_by_what_a_project_masks_by_its_value(admin_client):
    record(args={"note": "sesame"})
    for query in ("note=sesame", "sesame"):
        assert ids_on(page(admin_client, LIST, q=query)) == []


@pytest.mark.once
@pytest.mark.parametrize("query", ["api_key=sesame", "sesame", '"api_key": "sesame"'])
def test_what_is_looked_at_does_not_tell_whether_a_masked_value_is_met(admin_client, monkeypatch, query):
    """Neither does how far a page has come, nor what is asked of the database."""
    monkeypatch.setattr(listing, "LOOKED_AT", 6)

    def answer() -> tuple[object, ...]:
        ScheduledFunction.objects.all().delete()
        for number in range(8):
            record(id=number + 1_000, args=SECRET if is_met else {**SECRET, "api_key": "other", "inner": []})
        context = admin_client.get(reverse(LIST), {"q": query}).context
        return context["older"], context["page"].looked_at, len(context["rows"])

    is_met = True
    met = answer()
    is_met = False
    assert answer() == met


def test_what_is_asked_of_the_database_does_not_name_what_is_sought(admin_client, count_queries):
    record(args=SECRET)
    with count_queries() as queries:
        page(admin_client, LIST, q="api_key=sesame")
    assert not [sql for sql in queries.statements if "sesame" in sql or "api_key" in sql]


@pytest.mark.once
def test_what_is_masked_is_named_by_its_key_alone(admin_client):
    function = record(args=SECRET)
    assert ids_on(page(admin_client, LIST, q="api_key")) == [function.pk]
    assert ids_on(page(admin_client, LIST, q=f"api_key={BULLETS}")) == [function.pk]


HOSTILE = [
    "url__regex=^(a+)+$", "^(a+)+$", "label__in=5", "label=NaN", "label=[NaN]", "label=Infinity", "label=-1e999",
    'label="\\u0000"', 'label="\\ud800"', '"\\ud800"', "\\ud800", "label=" + "9" * 190, "label=1" + "0" * 30, "9" * 19,
    "9" * 200, "#" + "9" * 19, "label=" + "[" * 190, "label=" + '{"a":' * 35, "label=1e400", "label__isnull=maybe",
    "label__0__0__0=1", "label__year=1", "args__label=a", "pk__in=1", "label={}", "label=\\", "label='", "%s", "%(a)s",
    "label=" + "-" * 190, "٣", "²", "#", "__=1", "label__=1", 'label={"$decimal": "1e999999999"}',
]  # fmt: skip


def test_every_input_has_an_answer():
    record(args={"label": "a" * 60 + "!", "url": "a" * 60 + "!", "number": {"$decimal": "1e999999999"}})
    for query in HOSTILE:
        assert found(q=query) == [], query
        assert found(q=query, state="success", kind="mutation") == [], query


@pytest.mark.once
def test_numbers_of_any_size_are_compared_at_once(admin_client):
    record(args={"amount": {"$decimal": "1e999999999"}})
    assert ids_on(page(admin_client, LIST, q="amount=9.90")) == []


VALUES = ["a\0b", "9" * 5_000, "-1", "9" * 19, "1.1", "[" * 5_000]


@pytest.mark.parametrize("value", VALUES)
def test_so_has_every_value_of_a_filter(functions, value):
    for name in TITLES:
        found(**{name: value})
        found(**{"state": "pending", name: value})


@pytest.mark.once
@pytest.mark.parametrize("value", VALUES)
def test_so_has_every_address(functions, value):
    client = client_with("view_scheduledfunction")
    for name in ("q", "function", "parent", "after", "any"):
        assert client.get(reverse(LIST), {name: value}).status_code == 200, name


@pytest.mark.once
def test_errors_are_filtered_by_the_name_of_their_exception_alone(admin_client):
    record(State.FAILED, error="ValueError: no: more")
    for error in ("ValueError: no", "ValueError: ", ".*", "a b", "^Val"):
        assert ids_on(page(admin_client, LIST, error=error)) == [], error


def test_long_arguments_are_not_searched_and_their_functions_are_found_by_name(admin_client):
    function = record(name="tests:note", args={"text": "needle" + "x" * listing.LONGEST_SEARCHED})
    assert ids_on(page(admin_client, LIST, q="needle")) == []
    assert ids_on(page(admin_client, LIST, q="tests:note")) == [function.pk]


@pytest.mark.once
def test_a_search_ends_when_its_time_is_up_and_goes_on_from_there(admin_client, monkeypatch):
    monkeypatch.setattr(listing, "SEARCH_SECONDS", -1.0)
    wanted = record(args={"label": "needle"})
    record()
    response = admin_client.get(reverse(LIST), {"q": "needle"})
    assert response.context["rows"] == []
    assert "Nothing found among the 1 functions" in response.content.decode()
    assert ids_on(admin_client.get(f"{reverse(LIST)}?{response.context['older']}").content.decode()) == [wanted.pk]


def test_rows_are_read_in_batches_without_gap_or_repetition(admin_client, monkeypatch):
    monkeypatch.setattr(listing, "COMPARED", 3)
    wanted = [record(args={"label": "needle"}).pk for _ in range(10)]
    record()
    for state in ({}, {"state": "success"}):
        assert ids_on(page(admin_client, LIST, q="needle", **state)) == wanted[::-1]


@pytest.mark.once
def test_no_more_functions_are_said_to_have_been_looked_at_than_there_are(admin_client):
    for _ in range(60):
        record(args={"label": "needle"})
    response = admin_client.get(reverse(LIST), {"q": "needle"})
    assert len(response.context["rows"]) == 50
    assert "were looked at" not in response.content.decode()


def test_all_that_match_a_search_are_acted_upon_and_no_others(admin_client):
    found = [record(State.PENDING, args={"label": "needle", **SECRET}) for _ in range(3)]
    other = record(State.PENDING, args=SECRET)
    for query in ("q=sesame", "q=api_key%3Dsesame", "q=needle"):
        act(admin_client, "cancel", query=query, all="1", first=str(found[0].pk - 1), last=str(other.pk))
        canceled = ScheduledFunction.objects.filter(state=State.CANCELED).count()
        assert canceled == (len(found) if query == "q=needle" else 0)
    assert ScheduledFunction.objects.get(pk=other.pk).state == State.PENDING


@pytest.mark.once
def test_half_a_character_in_an_address_is_shown_written_out(admin_client):
    half = {"CONTENT_TYPE": "text/plain; charset=raw_unicode_escape"}
    response = admin_client.get(f"{reverse(LIST)}?q=\\ud800&\\ud800=1", **half)
    assert "\\ud800" in response.content.decode()
    address = reverse("admin:django_scheduler_cron_changelist")
    assert admin_client.get(f"{address}?q=\\ud800", **half).status_code == 400


def test_nobody_finds_a_secret_of_the_arguments_in_an_error(admin_client):
    error = "AuthError: sesame was refused"
    short = record(State.FAILED, args=SECRET, error=error)
    long = record(State.FAILED, args={**SECRET, "text": "x" * listing.LONGEST_SEARCHED}, error=error)
    assert ids_on(page(admin_client, LIST, q="sesame")) == []
    assert ids_on(page(admin_client, LIST, q="AuthError")) == [long.pk, short.pk]
    assert "sesame" not in page(admin_client, LIST)


def test_a_key_is_found_as_far_as_it_may_be_read():
    function = record(args={"api_key": "sesame-street"}, key="sync:7 sesame-street")
    record(key="sync:8")
    assert found(q="SYNC:7") == [function.pk]
    assert found(q="sesame") == []
