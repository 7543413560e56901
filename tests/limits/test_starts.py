"""Executors that are processes of their own begin no more bodies within a period than a rate limit says."""

import json
from datetime import timedelta

import pytest
from django.utils import timezone

from django_scheduler import ctx
from django_scheduler.models import FAR, UNFINISHED, Limit, ScheduledFunction, State
from tests.functions import write
from tests.limits import rate_functions
from tests.limits.rate_functions import MOST_IN_LINE, PERIOD, starts_beside
from tests.limits.start_ledger import StartLedger
from tests.models import Entry
from tests.support.records import record
from tests.support.soak import IS_SOAK
from tests.support.waiting import wait_until

#: Which function, how many of its bodies begin within which period, and how many are due.
VARIANTS = {
    "actions": (rate_functions.send_in_line, "line_of_starts", MOST_IN_LINE, PERIOD, 3 * MOST_IN_LINE),
    "mutations": (rate_functions.write_in_line, "line_of_starts", MOST_IN_LINE, PERIOD, 3 * MOST_IN_LINE),
}
if IS_SOAK:
    VARIANTS["10 a second"] = (rate_functions.call_provider, "provider", 10, timedelta(seconds=1), 100)

HOURLY = [rate_functions.send_hourly, rate_functions.write_hourly]


@pytest.fixture
def four_processes(child_environment, supervise):
    """Executors of one worker each. Their bodies may begin as late as on a busy machine."""
    child_environment["TEST_CONSTANTS"] = json.dumps({"django_scheduler.functions.limits.SHARE_OF_PERIOD": 3})

    def start():
        return supervise("--concurrency=1", processes=4)

    return start


def waiting(ids):
    return list(ScheduledFunction.objects.filter(pk__in=ids, due_time=FAR).order_by("pk").values_list("pk", flat=True))


def wait_until_ended(ids):
    unfinished = ScheduledFunction.objects.filter(pk__in=ids, state__in=UNFINISHED)
    wait_until(lambda: not unfinished.exists(), "all have ended", timeout=60)


@pytest.mark.parametrize(("function", "limit", "most", "period", "due"), VARIANTS.values(), ids=list(VARIANTS))
def test_so_many_start_within_any_period_and_to_wait_is_no_attempt(
    transactional_db, tmp_path, four_processes, function, limit, most, period, due
):
    path = str(tmp_path / "ledger")
    ids = ctx.scheduler.run_after_many(0, function, [{"ledger": path}] * due)

    processes = four_processes()
    wait_until_ended(ids)

    assert processes.stop() == 0
    assert set(ScheduledFunction.objects.filter(pk__in=ids).values_list("state", "attempts")) == {(State.SUCCESS, 1)}
    ledger = StartLedger(starts_beside(path))
    assert len(ledger.starts[limit]) == due
    assert ledger.most_within(period.total_seconds())[limit] <= most


def test_what_waits_holds_no_thread_and_keeps_no_other_key_from_beginning(transactional_db, four_processes):
    alike = [
        ctx.scheduler.run_after_many(0, function, [{"account": account}] * 20)
        for account, function in enumerate(HOURLY)
    ]
    processes = four_processes()
    wait_until(lambda: [len(waiting(ids)) for ids in alike] == [19] * len(HOURLY), "all but one of each wait")

    others = [ctx.scheduler.run_after(0, write, label="free")]
    others += [ctx.scheduler.run_after(0, function, account=100 + each) for each, function in enumerate(HOURLY)]
    wait_until_ended(others)

    for ids in alike:
        assert len(waiting(ids)) == 19
        assert set(ScheduledFunction.objects.filter(pk__in=waiting(ids)).values_list("state", "attempts")) == {
            (State.PENDING, 0)
        }
    assert processes.stop() == 0


def test_one_that_is_canceled_while_it_waits_leaves_its_place_to_the_next_one(transactional_db, four_processes):
    stopped = Limit.objects.create(name="hourly rate", number=0, changed_time=timezone.now())
    alike = [
        [ctx.scheduler.run_after(0, function, account=account) for _ in range(3)]
        for account, function in enumerate(HOURLY)
    ]
    processes = four_processes()
    wait_until(lambda: all(waiting(ids) == ids for ids in alike), "all of them wait")

    for first, _, _ in alike:
        ctx.scheduler.cancel(first)
    stopped.delete()

    for ids in alike:
        wait_until_ended(ids[:2])
        assert [record(each).state for each in ids] == [State.CANCELED, State.SUCCESS, State.PENDING]
    assert set(Entry.objects.values_list("function_id", flat=True)) == {second for _, second, _ in alike}
    assert Entry.objects.count() == len(HOURLY)
    assert processes.stop() == 0
