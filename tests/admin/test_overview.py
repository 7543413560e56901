"""The overview: how the scheduler is doing."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from django_scheduler import crons, ctx
from django_scheduler.admin.statistics import chart, percentile
from django_scheduler.models import Executor, Failure, State
from django_scheduler.pausing import pause
from tests.admin.conftest import DETAIL, LIST, OVERVIEW, act, make_batch, page, record
from tests.functions import write
from tests.status.records import put_living_executor_on_record

pytestmark = pytest.mark.django_db


def context(client):
    return client.get(reverse(OVERVIEW)).context


def executor(name: str, silence: float) -> Executor:
    now = timezone.now()
    return Executor.objects.create(
        name=name, host="web-1", process_id=7, started_time=now, heartbeat_time=now - timedelta(seconds=silence),
        queues=[], concurrency=8, version="0.1.0",
    )  # fmt: skip


@pytest.mark.once
@pytest.mark.parametrize(("age", "level"), [(0, "good"), (60, "warning"), (600, "bad")])
def test_the_headline_is_the_age_of_the_oldest_due_function(admin_client, age, level):
    record(State.PENDING, due_time=timezone.now() - timedelta(seconds=age))
    record(State.PENDING, due_time=timezone.now() + timedelta(hours=1))
    shown = context(admin_client)
    assert age <= shown["lag"] < age + 10
    assert (shown["lag_level"], shown["due"], shown["pending"]) == (level, 1, 2)


@pytest.mark.once
def test_nothing_has_ever_been_scheduled(admin_client):
    text = page(admin_client, OVERVIEW)
    for piece in ("nothing is due", "No executor is running", "Nothing on record has failed", "Nothing is pending"):
        assert piece in text


def test_what_has_finished_and_failed_per_minute(admin_client):
    for _ in range(3):
        record(completed_time=timezone.now() - timedelta(minutes=5))
    record(State.FAILED, completed_time=timezone.now() - timedelta(minutes=30))
    record(State.FAILED, completed_time=timezone.now() - timedelta(minutes=90))
    shown = context(admin_client)["per_minute"].value
    assert (shown.up_total, shown.down_total, shown.highest, len(shown.bars)) == (3, 1, 3, 60)


def test_what_is_upcoming_and_what_crons_add_to_it(admin_client):
    now = timezone.now()
    record(State.PENDING, due_time=now + timedelta(hours=2))
    record(State.PENDING, due_time=now + timedelta(hours=48))
    assert context(admin_client)["upcoming"].value.up_total == 1
    in_three_hours = crons.CronLine(f"*/15 {(now + timedelta(hours=3)).hour} * * *", timezone="UTC")
    ctx.crons.register("four times within an hour", in_three_hours, write, label="a")
    shown = context(admin_client)["upcoming"].value
    assert (shown.up_total, shown.highest) == (5, 4)


def test_throughput_and_lag_over_time(admin_client):
    now = timezone.now()
    minute = now - timedelta(minutes=10)
    for late in (1, 3):
        begun = minute - timedelta(seconds=1)
        record(due_time=begun - timedelta(seconds=late), started_time=begun, completed_time=minute)
    record(State.CANCELED, due_time=minute - timedelta(hours=9), started_time=None, completed_time=minute)
    record(handed_over=True, scheduled_time=minute - timedelta(seconds=2), due_time=now, started_time=minute)

    shown = context(admin_client)

    (bar,) = [bar for bar in shown["lag_course"].bars if "at most 3.00 s" in bar.title]
    assert "on average 2.00 s" in bar.title
    assert [bar.title for bar in shown["lag_course"].bars if "at most 2.00 s" in bar.title]  # what a fleet was sent
    assert shown["throughput"].up_total == 3


def test_course_of_one_function_and_over_a_longer_time(admin_client):
    record(completed_time=timezone.now() - timedelta(hours=5))
    record(name="tests:note", completed_time=timezone.now() - timedelta(hours=50))
    record(State.FAILED, completed_time=timezone.now() - timedelta(days=10))

    def course(**parameters: str) -> tuple[float, float, int]:
        shown = admin_client.get(reverse(OVERVIEW), parameters).context
        return shown["throughput"].up_total, shown["throughput"].down_total, len(shown["throughput"].bars)

    assert course() == (0, 0, 60)
    assert course(period="day") == (1, 0, 24)
    assert course(period="week") == (2, 0, 168)
    assert course(period="week", function="tests:note") == (1, 0, 168)
    assert course(period="century", function="tests:note\0") == (0, 0, 60)
    assert "tests:note" in page(admin_client, OVERVIEW, period="day", function="tests:note")


def test_lag_of_each_function(admin_client):
    now = timezone.now()
    record(due_time=now - timedelta(seconds=9), started_time=now - timedelta(seconds=4))

    (speed,) = context(admin_client)["slowest"]

    assert round(speed.lag_p95) == 5


@pytest.mark.once
def test_banner_on_top_says_why_functions_are_late(admin_client):
    put_living_executor_on_record(queues=["default"])
    record(State.PENDING, queue="<b>mail</b>")
    record(State.PENDING, name="tests:of_newer_code", unknown_since=timezone.now())
    pause("default", "reports", reason="the bank is closed", paused_by="ada")

    text = page(admin_client, OVERVIEW)

    banner, _, rest = text.partition('class="ds-hero"')
    assert "No executor serves the queue “&lt;b&gt;mail&lt;/b&gt;”" in banner
    assert "tests:of_newer_code" in banner
    assert "the bank is closed" in banner
    assert banner.count('<li class="ds-problem"') == 2
    assert banner.count("ds-problem-warning") == 1
    assert "nobody" in rest
    assert "1 executor" in rest


@pytest.mark.once
def test_no_banner_while_all_is_well(admin_client):
    put_living_executor_on_record()
    record(State.PENDING)

    assert "ds-problem" not in page(admin_client, OVERVIEW)


def test_the_slowest_functions(admin_client):
    now = timezone.now()
    for seconds in range(1, 101):
        record(started_time=now - timedelta(seconds=seconds), completed_time=now)
    record(State.FAILED, name="tests:note", started_time=now - timedelta(milliseconds=5), completed_time=now)
    slow, quick = context(admin_client)["slowest"]
    assert (slow.name, slow.count, slow.failed_percent) == ("tests:write", 100, 0)
    assert (round(slow.p50), round(slow.p95)) == (50, 95)
    assert (quick.name, quick.failed_percent) == ("tests:note", 100)


@pytest.mark.once
@pytest.mark.parametrize(("part", "expected"), [(0.5, 2), (0.95, 4), (0.25, 1), (1.0, 4)])
def test_percentiles(part, expected):
    assert percentile([4, 1, 3, 2], part) == expected
    assert percentile([7], part) == 7


@pytest.mark.once
def test_a_name_goes_on_in_the_next_line_only_between_its_words(admin_client):
    record(State.FAILED, name="orders:charge_<i>card", error="E: x")
    assert page(admin_client, OVERVIEW).count("<bdi>orders:<wbr>charge_<wbr>&lt;i&gt;card</bdi>") == 2


def test_failures_by_function_and_exception_run_again_together(admin_client):
    failures = [record(State.FAILED, failure=Failure.ERROR, error=f"ValueError: {number}") for number in range(3)]
    record(State.FAILED, failure=Failure.ERROR, error="KeyError")
    record(State.FAILED, failure=Failure.ERROR, error="ValueErrorish: no")
    groups = context(admin_client)["failures"].value
    expected = [("ValueError", 3), ("KeyError", 1), ("ValueErrorish", 1)]
    assert [(group.error, group.count) for group in groups] == expected
    query = "state=failed&function=tests%3Awrite&error=ValueError"
    text = page(admin_client, OVERVIEW)
    assert f"{reverse(LIST)}?{query}".replace("&", "&amp;") in text
    values = {"all": "1", "query": query, "first": "0", "last": failures[-1].pk, "from": "overview"}
    response = act(admin_client, "run_again", **values)
    assert [str(message) for message in response.context["messages"]] == ["3 scheduled again"]
    assert response.redirect_chain == [(reverse(OVERVIEW), 302)]


def test_executors_and_those_that_have_fallen_silent(admin_client):
    executor("alive", 1)
    executor("stale", 3600)
    record(State.IN_PROGRESS, executor="alive")
    shown = {line["executor"].name: line for line in context(admin_client)["executor_lines"]}
    assert (shown["alive"]["busy"], shown["alive"]["executor"].is_alive) == (1, True)
    assert (shown["stale"]["busy"], shown["stale"]["executor"].is_alive) == (0, False)
    text = page(admin_client, OVERVIEW)
    assert "silent" in text
    assert "0.1.0" in text


@pytest.mark.once
def test_what_executors_were_running_at_their_last_heartbeat(admin_client):
    functions = [record(State.PENDING) for _ in range(5)]
    running = [{"id": function.pk, "name": f"tests:busy_{number}"} for number, function in enumerate(functions)]
    running[0]["is_given_up"] = True
    Executor.objects.filter(pk=executor("alive", 1).pk).update(running=running)
    text = page(admin_client, OVERVIEW)
    assert reverse(DETAIL, args=[functions[0].pk]) in text
    assert text.count("it ran longer than it may") == 1
    assert [f"tests:busy_{number}" in text for number in range(5)] == [True] * 3 + [False] * 2


def test_the_clocks_are_compared(admin_client):
    record()
    assert "agree" in page(admin_client, OVERVIEW)


def test_it_takes_at_most_seventeen_queries_however_many_functions(admin_client, count_queries):
    for number in range(12):
        record(State.FAILED, error=f"Error{number}: no", name=f"tests:{number}")
        executor(str(number), number)
        record(State.PENDING, priority=number)
        record(State.PENDING, attempts=1)
        make_batch(total=3)
    with count_queries() as queries:
        page(admin_client, OVERVIEW)
    assert len(queries.statements) <= 17, queries.statements


@pytest.mark.once
def test_a_chart_shows_one_among_thousands(db):
    shown = chart([5000, 1], [0, 0], ["a", "b"])
    assert float(shown.bars[1].up_height) >= 1
    assert float(shown.bars[0].down_height) == 0
    assert chart([], [], []).is_empty


@pytest.mark.once
def test_the_app_index_leads_to_it(admin_client):
    assert reverse(OVERVIEW) in admin_client.get("/admin/django_scheduler/").content.decode()
