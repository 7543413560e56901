"""An idle executor is told by its wake-up what has become due, and claims it without a look."""

import logging
import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone

from django_scheduler import Context, ctx, mutation, pausing
from django_scheduler.databases.postgresql import prepared_claims
from django_scheduler.executor import Until, claim_policy, poller
from django_scheduler.executor.worker import Worker
from django_scheduler.models import Pause, ScheduledFunction, ScheduledFunctionId, State
from tests.executor.protocol import protocol_of_worker
from tests.functions import write
from tests.support.in_process import WORKER, executing, one_worker
from tests.support.records import record
from tests.support.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

CLAIM_AND_EXECUTE = ["BEGIN", "SELECT", "UPDATE", "COMMIT"]

#: What a claim of one function is where it has been prepared.
CLAIM_ONE_AND_EXECUTE = ["BEGIN", "EXECUTE", "UPDATE", "COMMIT"]

#: By which a session becomes ready for such claims, before it is idle for the first time.
PREPARE = ["SELECT", "PREPARE"]


@mutation
def do_nothing_much(ctx: Context) -> None: ...


@mutation(queue="email", priority=5)
def send_an_email(ctx: Context) -> None: ...


@pytest.fixture
def _no_poll(settings):
    settings.DJANGO_SCHEDULER = {"POLL_INTERVAL": timedelta(hours=1)}


@contextmanager
def worker_in_a_thread() -> Iterator[Worker]:
    with one_worker(Until.STOPPED) as worker:
        thread = threading.Thread(target=worker.run, name=WORKER, daemon=True)
        thread.start()
        yield worker
    thread.join(20)


def wait_until_idle(worker: Worker) -> None:
    """Wait until its look at the start is over, and has told it that nothing is due."""
    wait_until(lambda: worker.poller._idle_until > time.monotonic(), "it knows that nothing is due")


def wait_for_success(function_id: ScheduledFunctionId) -> None:
    wait_until(lambda: record(function_id).state == State.SUCCESS, "it succeeded")


def make_due_silently(function_id: ScheduledFunctionId) -> None:
    long_ago = timezone.now() - timedelta(hours=1)
    ScheduledFunction.objects.filter(pk=function_id).update(due_time=long_ago)


@pytest.mark.only_on("postgresql")
@pytest.mark.usefixtures("_no_poll")
def test_wake_up_for_one_function_leads_to_one_claim_and_no_look(tmp_path, monkeypatch):
    monkeypatch.setattr(prepared_claims, "LONG_CLAIM", math.inf)  # as it may be on a busy machine
    with protocol_of_worker(tmp_path / "protocol") as protocol, worker_in_a_thread() as worker:
        wait_until_idle(worker)
        for function in (do_nothing_much, send_an_email, do_nothing_much):
            wait_for_success(ctx.scheduler.run_after(0, function))

    statements = protocol.statements
    assert statements[statements.index("WITH") + 1 :] == [*PREPARE, *CLAIM_ONE_AND_EXECUTE * 3]


@pytest.mark.only_on("postgresql")
@pytest.mark.usefixtures("_no_poll")
def test_wake_up_for_several_functions_leads_to_a_look(tmp_path, monkeypatch):
    monkeypatch.setattr(poller, "LONG_LOOK", math.inf)  # as it may be on a busy machine
    with protocol_of_worker(tmp_path / "protocol") as protocol, worker_in_a_thread() as worker:
        wait_until_idle(worker)
        with transaction.atomic():
            ids = [ctx.scheduler.run_after(0, function) for function in (do_nothing_much, send_an_email)]
        for function_id in ids:
            wait_for_success(function_id)

    statements = protocol.statements
    statements = statements[statements.index("PREPARE") + 1 :]
    assert statements[: 2 * 5] == ["WITH", *CLAIM_AND_EXECUTE] * 2
    assert [each.pk for each in ScheduledFunction.objects.order_by("started_time")][-2:] == [
        ids[1],
        ids[0],
    ]  # of a lower priority


@pytest.mark.usefixtures("_no_poll")
def test_function_in_a_queue_that_was_paused_meanwhile_does_not_begin(caplog):
    with worker_in_a_thread():
        wait_for_success(ctx.scheduler.run_after(0, send_an_email))
        Pause.objects.create(queue="email", paused_time=timezone.now())  # of which it hears nothing
        function_id = ctx.scheduler.run_after(0, send_an_email)
        wait_until(lambda: "The queue 'email' is paused" in caplog.text, "it said why it does not begin")
        assert record(function_id).state == State.PENDING
        pausing.resume("default", "email")
        wait_for_success(function_id)


def test_what_no_wake_up_names_is_found_by_polling_although_other_functions_are(settings):
    settings.DJANGO_SCHEDULER = {"POLL_INTERVAL": timedelta(seconds=0.3)}
    with worker_in_a_thread():
        silent = ctx.scheduler.run_after(timedelta(days=1), write, label="silent")
        wait_for_success(ctx.scheduler.run_after(0, do_nothing_much))
        make_due_silently(silent)
        while record(silent).state == State.PENDING:
            wait_for_success(ctx.scheduler.run_after(0, send_an_email))


@pytest.mark.only_on("postgresql")
@pytest.mark.usefixtures("_no_poll")
@pytest.mark.parametrize("payload", ["", "7", "7 high email", "look! 5 email", "9223372036854775807 0 default"])
def test_notification_that_names_nothing_known_leads_to_a_look(payload):
    with executing(concurrency=1):
        wait_for_success(ctx.scheduler.run_after(0, do_nothing_much))
        silent = ctx.scheduler.run_after(timedelta(days=1), write, label="silent")
        make_due_silently(silent)

        def notify_until_it_succeeded() -> bool:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_notify('django_scheduler', %s)", [payload])
            return record(silent).state == State.SUCCESS

        wait_until(notify_until_it_succeeded, "it looked and found it")


@pytest.mark.usefixtures("_no_poll")
def test_function_that_was_canceled_before_it_was_claimed_costs_a_look(caplog):
    caplog.set_level(logging.ERROR, "django_scheduler")
    with worker_in_a_thread():
        wait_for_success(ctx.scheduler.run_after(0, do_nothing_much))
        with transaction.atomic():
            canceled = ctx.scheduler.run_after(0, write, label="canceled")
            ctx.scheduler.cancel(canceled)
        wait_for_success(ctx.scheduler.run_after(0, do_nothing_much))
    assert record(canceled).state == State.CANCELED
    assert caplog.text == ""


@pytest.mark.usefixtures("_no_poll")
def test_function_that_is_named_in_a_retry_storm_is_claimed_as_one_that_is_not_healthy(monkeypatch, caplog):
    monkeypatch.setattr(claim_policy, "RETRIES_PER_SECOND", 0.001)
    caplog.set_level(logging.ERROR, "django_scheduler")
    with worker_in_a_thread() as worker:
        wait_for_success(ctx.scheduler.run_after(0, do_nothing_much))
        for _ in range(claim_policy.STORM_ERRORS):
            worker.retry_storm.note(send_an_email.name, is_transient=True)
        assert worker.retry_storm.is_retry_time()  # and not again in this test
        wait_for_success(ctx.scheduler.run_after(0, send_an_email))
    assert caplog.text == ""
