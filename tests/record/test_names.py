"""Names and queues are compared byte by byte on every database: case, accents and blanks tell them apart."""

import json

import pytest
from django.db import connection

from django_scheduler import crons, ctx, pausing
from django_scheduler.crons.models import Cron
from django_scheduler.errors import UnknownCron
from django_scheduler.models import Executor, Pause, ScheduledFunction, State
from tests.functions import write
from tests.models import Entry
from tests.support.in_process import executing
from tests.support.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

#: Each of them is another one, although most collations take several of them for one.
LOOKALIKES = [
    "email",
    "Email",
    "EMAIL",
    "émail",
    "e\u0301mail",
    "email ",
    "email\t",
    "\uff45mail",
    "ema\u0131l",
    "email\u00ad",
]


def schedule_in(*queues, **values):
    """One function in each of the queues."""
    ids = ctx.scheduler.run_after_many(0, write, [{"label": queue} for queue in queues])
    for function_id, queue in zip(ids, queues, strict=True):
        ScheduledFunction.objects.filter(pk=function_id).update(queue=queue, **values)
    return ids


def labels():
    return sorted(Entry.objects.values_list("label", flat=True))


@pytest.mark.parametrize("name", ["tests:report", "tests:Report", "tests:répört", "tests:report "])
def test_cancel_all_of_a_name_cancels_no_other_one(name):
    names = ["tests:report", "tests:Report", "tests:REPORT", "tests:répört", "tests:report ", "tests:report  "]
    for function_id, each in zip(schedule_in(*names), names, strict=True):
        ScheduledFunction.objects.filter(pk=function_id).update(name=each)
    assert ctx.scheduler.cancel_all(name) == 1
    assert ScheduledFunction.objects.get(state=State.CANCELED).args == {"label": name}


@pytest.mark.parametrize("queue", ["email", "Email", "émail", "email "])
def test_an_executor_serves_the_queues_that_it_was_told_and_no_others(queue):
    schedule_in(*LOOKALIKES)
    with executing(queues=[queue]):
        wait_until(labels, "what is in its queue was executed")
        wait_until(lambda: Executor.objects.filter(running=[]).exists(), "it was idle")
    assert labels() == [queue]


def test_every_queue_is_a_lane_of_its_own(execute_due):
    schedule_in(*LOOKALIKES)
    execute_due()
    assert labels() == sorted(LOOKALIKES)


@pytest.mark.parametrize("queue", ["email", "Email", "email "])
def test_a_pause_keeps_only_its_own_queue_waiting(execute_due, queue):
    schedule_in(*LOOKALIKES)
    assert pausing.pause("default", queue)
    execute_due()
    assert labels() == sorted({*LOOKALIKES} - {queue})

    assert not any(pausing.resume("default", other) for other in LOOKALIKES if other != queue)
    assert pausing.resume("default", queue)
    execute_due()
    assert labels() == sorted(LOOKALIKES)


def test_each_of_them_can_be_paused():
    assert all(pausing.pause("default", queue) for queue in LOOKALIKES)
    assert set(Pause.objects.values_list("queue", flat=True)) == {*LOOKALIKES}


def test_a_cron_is_found_by_its_own_name_alone():
    ctx.crons.register("nightly", crons.Daily(hour=3), write, label="nightly")
    for name in ("Nightly", "nightly ", "nìghtly"):
        with pytest.raises(UnknownCron):
            ctx.crons.pause(name)
    assert not Cron.objects.exclude(paused_time=None).exists()


def test_executors_of_similar_names_are_two():
    for name in ("host-1", "Host-1", "host-1 "):
        Executor.objects.create(
            name=name, process_id=1, started_time="2030-01-01T00:00Z", heartbeat_time="2030-01-01T00:00Z",
            queues=[], concurrency=1,
        )  # fmt: skip
    assert Executor.objects.filter(name="host-1").count() == 1


@pytest.mark.parametrize("text", ["REPORT", "Sends_Report", "tests:sends"])
def test_who_searches_need_not_know_the_case(text, admin_client):
    schedule_in("default", name="tests:sends_report")
    assert "tests:sends_report" in admin_client.get(f"/admin/django_scheduler/scheduledfunction/?q={text}").text
    assert ScheduledFunction.objects.filter(name__icontains=text).exists()


@pytest.mark.only_on("mysql")
@pytest.mark.parametrize(
    "collation", ["utf8mb4_general_ci", "utf8mb4_unicode_ci", "utf8mb3_general_ci", "latin1_swedish_ci"]
)
def test_whatever_the_sessions_collation_names_differ_and_are_found_by_index(collation):
    schedule_in(*(f"queue {number}" for number in range(200)), "email", "Email")
    with connection.cursor() as cursor:
        cursor.execute(f"SET NAMES {collation.split('_')[0]} COLLATE {collation}")
        try:
            assert ScheduledFunction.objects.filter(queue="email").count() == 1
            assert pausing.pause("default", "Email")
            assert not pausing.resume("default", "email")
            cursor.execute(
                "EXPLAIN FORMAT=JSON SELECT id FROM django_scheduler_scheduledfunction WHERE state = 'pending'"
                " AND queue = 'email' AND priority = 0 AND tenant = '' ORDER BY due_time, id LIMIT 1 FOR UPDATE"
            )
            plan = json.loads(cursor.fetchone()[0])
        finally:
            connection.close()
    assert "django_scheduler_pending" in json.dumps(plan)
    assert "filesort" not in json.dumps(plan)
