"""Whatever happens to functions and executors: no rate limit is exceeded, as a ledger outside the database says."""

import json
import random
from collections import Counter
from datetime import timedelta

import pytest
from django.db.models import Count
from django.utils import timezone

from django_scheduler import ctx
from django_scheduler.models import UNFINISHED, Failure, Limit, ScheduledFunction, State
from tests.limits import functions, rate_functions
from tests.limits.body_ledger import BodyLedger
from tests.limits.operations import Operations
from tests.limits.rate_functions import MOST, MOST_IN_LINE, PERIOD, starts_beside
from tests.limits.start_ledger import StartLedger
from tests.models import Entry
from tests.support.soak import IS_SOAK, SOAK, examples
from tests.support.waiting import wait_until

#: How many functions there are of each account, how many operations there are, and how many of them kill.
FUNCTIONS, OPERATIONS, KILLS = examples(10, 100), examples(20, 100), examples(2, 10)

ACCOUNTS = range(3)

#: Bodies may begin as late as a third of the period after they have taken a slot, or a busy machine would be measured.
SHARE_OF_PERIOD = 3

PACED = [
    rate_functions.write_paced,
    rate_functions.send_paced,
    rate_functions.send_paced_again,
    rate_functions.send_paced_by_two,
]

#: Which functions there are.
VARIANTS = {"all": PACED}
if IS_SOAK:
    VARIANTS |= {each.last_name: [each] for each in PACED}


@pytest.fixture
def body_ledger(transactional_db, tmp_path, child_environment):
    child_environment["TEST_CONSTANTS"] = json.dumps(
        {"django_scheduler.functions.limits.SHARE_OF_PERIOD": SHARE_OF_PERIOD}
    )
    path = tmp_path / "bodies"
    path.touch()
    return BodyLedger(str(path))


def schedule(chosen, number, ledger):
    """Schedule functions of every account, due one after the other."""
    now = timezone.now()
    return [
        ctx.scheduler.options(priority=random.choice([0, 0, 5])).run_at(
            now + timedelta(milliseconds=each), random.choice(chosen), account=account, ledger=ledger.path
        )
        for account in ACCOUNTS
        for each in range(number)
    ]


def wait_until_ended(ids):
    unfinished = ScheduledFunction.objects.filter(pk__in=ids, state__in=UNFINISHED)
    wait_until(lambda: not unfinished.exists(), "all have ended", timeout=60.0 * SOAK)


@pytest.mark.timeout(300 * SOAK)
@pytest.mark.parametrize("chosen", VARIANTS.values(), ids=list(VARIANTS))
def test_no_period_has_more_starts_than_the_limit_says_whatever_happens(supervise, body_ledger, chosen):
    stopped = Limit.objects.create(name="line_of_starts rate", number=0, changed_time=timezone.now())
    arguments = [{"ledger": body_ledger.path}] * 5
    stuck = [
        *ctx.scheduler.run_after_many(0, rate_functions.send_in_line, arguments),
        *ctx.scheduler.run_after_many(0, rate_functions.write_in_line, arguments),
    ]
    ids = schedule(chosen, FUNCTIONS, body_ledger)
    free = schedule([functions.write_freely], 5, body_ledger)
    supervised = supervise("--concurrency=4", processes=3, HEARTBEAT_INTERVAL=0.2)

    Operations(body_ledger, ids, number=OPERATIONS, kills=KILLS).all()
    wait_until_ended([*ids, *free])
    assert not ScheduledFunction.objects.filter(pk__in=stuck).exclude(state=State.PENDING).exists()
    stopped.delete()
    wait_until_ended(stuck)

    assert supervised.stop() == 0
    ledger = StartLedger(starts_beside(body_ledger.path))
    most = ledger.most_within(PERIOD.total_seconds())
    assert max(most[f"paced {account}"] for account in ACCOUNTS) <= MOST, most
    assert most["line_of_starts"] <= MOST_IN_LINE
    check_record(ids, ledger)
    check_record([*stuck, *free], ledger)
    others = ScheduledFunction.objects.filter(pk__in=[*stuck, *free])
    assert set(others.values_list("state", flat=True)) <= {State.SUCCESS, State.FAILED}


def check_record(ids, ledger):
    starts = Counter(each.function_id for those in ledger.starts.values() for each in those)
    rows = ScheduledFunction.objects.filter(pk__in=ids)
    written = dict(Entry.objects.order_by().values_list("function_id").annotate(Count("pk")))
    for row in rows:
        if row.kind == "mutation":
            assert written.get(row.pk, 0) == (row.state == State.SUCCESS)
        else:
            assert starts[row.pk] <= row.attempts, "an attempt is on record before its body begins"
    failures = set(rows.filter(state=State.FAILED).values_list("failure", flat=True))
    assert failures <= {Failure.LOST, Failure.ERROR, Failure.CRASHED}
