"""Whatever the language and its separators: what is not for people to read is written as in code."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser

import pytest
from django.urls import reverse
from django.utils import timezone, translation

from django_scheduler import crons, ctx
from django_scheduler.admin import action_view
from django_scheduler.crons.models import Cron, CronRun
from django_scheduler.models import Executor, ScheduledFunction, State
from tests.admin.conftest import (
    ACT,
    BATCHES,
    DETAIL,
    LIST,
    OVERVIEW,
    act,
    ids_on,
    make_batch,
    messages_of,
    page,
    record,
)
from tests.crons.functions import tick

pytestmark = [pytest.mark.django_db, pytest.mark.once]

LANGUAGES = ["de", "fr"]  # whose separators are an ASCII character, and none

#: Beyond a thousand, a million and a thousand millions.
IDS = (1_234, 1_234_567, 9_876_543_210)

FOR_PEOPLE = {"title", "aria-label", "placeholder", "data-none", "data-some", "data-failed", "data-late", "content"}
GEOMETRY = {"x", "y", "x1", "x2", "y1", "y2", "width", "height", "viewbox"}

#: Digits in groups.
GROUPED = re.compile(r"\d[.,'\u2019\u00a0\u202f\u066c ]\d{2,3}(?!\d)")


@pytest.fixture(params=LANGUAGES)
def language(request, settings) -> Iterator[str]:
    settings.USE_THOUSAND_SEPARATOR = True
    settings.LANGUAGE_CODE = request.param
    with translation.override(request.param):
        yield request.param


@pytest.fixture
def numbers() -> list[ScheduledFunction]:
    functions = [record(State.PENDING, pk=pk, parent_id=IDS[0], rerun_of_id=IDS[1]) for pk in IDS]
    for _ in range(2):
        record(State.FAILED, error="ValueError", queue="email")
    running = [{"id": IDS[2], "name": "tests:write"}]
    Executor.objects.create(
        name="host:12345:1", host="host", process_space="", process_id=1_234_567, process_start="", queues=[],
        started_time=timezone.now(), heartbeat_time=timezone.now(), concurrency=1_000, version="1", running=running,
    )  # fmt: skip
    for pk in IDS:
        make_batch(pk=pk, total=9_000_000, succeeded=1_234_567, failed=1_000, canceled=1_000, parent_id=IDS[0])
    cron = ctx.crons.register("a cron", crons.Interval(minutes=1), tick)
    Cron.objects.filter(pk=cron.pk).update(failures=1_000)
    CronRun.objects.create(
        pk=IDS[1], cron=cron, state="scheduled", time=timezone.now(), function_id=IDS[1], slots=1_000
    )
    return functions


class Attributes(HTMLParser):
    """Collects the attributes of a page that are not for people to read, except those of Django's own scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, str, str]] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found += [(tag, name, value) for name, value in attrs if value and name not in FOR_PEOPLE]


def assert_as_in_code(text: str) -> None:
    found = Attributes(text).found
    assert found
    for tag, name, value in found:
        if name in GEOMETRY:
            assert all(float(number.removesuffix("rem")) >= 0 for number in value.split()), (tag, name, value)
        elif name in ("value", "id", "for", "data-key", "href", "action", "max", "min", "name"):
            assert not GROUPED.search(value), (tag, name, value)
            assert not any(char.isdigit() and not char.isascii() for char in value), (tag, name, value)


def cron_page() -> str:
    return reverse("admin:django_scheduler_cron_change", args=[Cron.objects.get().pk])


def test_on_every_page(language, admin_client, numbers):
    for text in (
        page(admin_client, LIST),
        page(admin_client, LIST, live="1"),
        page(admin_client, LIST, parent=IDS[0], state="pending"),
        page(admin_client, OVERVIEW),
        page(admin_client, OVERVIEW, live="1"),
        page(admin_client, BATCHES),
        page(admin_client, LIST, batch=IDS[1]),
        page(admin_client, "admin:django_scheduler_cron_changelist"),
        page(admin_client, "admin:django_scheduler_cron_changelist", live="1"),
        admin_client.get(cron_page()).content.decode(),
        admin_client.get(cron_page(), {"live": "1"}).content.decode(),
        *(page(admin_client, DETAIL, pk) for pk in IDS),
        *(
            admin_client.post(reverse(ACT), {"action": action, **selected}).content.decode()
            for action in ("cancel", "reschedule")
            for selected in ({"id": IDS}, {"id": IDS[:1], "from": IDS[0]}, {"all": "1", "query": "state=pending"})
        ),
    ):
        assert_as_in_code(text)


def test_while_a_large_selection_goes_on(language, admin_client, numbers, monkeypatch):
    monkeypatch.setattr(action_view, "PORTION", 1)
    data = {"action": "run_now", "all": "1", "query": "state=pending", "confirmed": "1", "first": 0, "last": IDS[2]}
    response = admin_client.post(reverse(ACT), data)
    assert_as_in_code(response.content.decode())
    assert response.context["selection"].first == IDS[0]


def test_what_is_ticked_is_what_is_canceled(language, admin_client, numbers):
    text = page(admin_client, LIST, state="pending")
    ticks = re.findall(r'name="id" value="([^"]*)"', text)
    assert sorted(ids_on(text)) == sorted(IDS)
    asked = admin_client.post(reverse(ACT), {"action": "cancel", "id": ticks}).content.decode()
    confirmed = re.findall(r'name="id" value="([^"]*)"', asked)
    act(admin_client, "cancel", id=confirmed)
    assert set(ScheduledFunction.objects.filter(pk__in=IDS).values_list("state", flat=True)) == {State.CANCELED}


def test_more_functions_than_one_batch_are_taken_however_they_were_ticked(admin_client, monkeypatch):
    monkeypatch.setattr(action_view, "PORTION", 2)
    ids = [record(State.PENDING).pk for _ in range(5)]
    response = admin_client.post(reverse(ACT), {"action": "cancel", "id": ids, "confirmed": "1"})
    while response.status_code == 200:
        fields = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', response.content.decode())
        data: dict[str, list[str]] = {}
        for name, value in fields:
            data.setdefault(name, []).append(value)
        response = admin_client.post(reverse(ACT), data)
    assert messages_of(admin_client.get(response.url)) == ["5 canceled"]


def test_ids_of_which_one_is_not_understood_select_nothing(admin_client):
    function = record(State.PENDING)
    assert messages_of(act(admin_client, "cancel", id=[function.pk, "1.234"])) == ["Nothing was selected."]
    function.refresh_from_db()
    assert function.state == State.PENDING
