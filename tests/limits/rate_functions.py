"""Functions with rate limits, that write down when their bodies begin."""

import random
import time
from datetime import timedelta

from django_scheduler import Concurrency, Context, RateLimit, action, mutation
from tests.limits.body_ledger import BodyLedger
from tests.limits.functions import QUICK, RAISES, RETRY
from tests.limits.start_ledger import StartLedger
from tests.models import Entry

#: How many bodies begin within which period.
MOST, PERIOD = 3, timedelta(seconds=0.3)

#: How many of those that have no key.
MOST_IN_LINE = 10

PACED = RateLimit(MOST, per=PERIOD, key="account", name="paced")


def begin(ctx: Context, limit: str, ledger: str) -> None:
    assert ctx.function_id is not None
    StartLedger(starts_beside(ledger)).note(limit, ctx.function_id)


def starts_beside(ledger: str) -> str:
    """Return the path of the ledger of starts that belongs to a ledger of bodies."""
    return f"{ledger} (starts)"


def work_or_fail(ctx: Context, account: int, ledger: str) -> None:
    begin(ctx, f"paced {account}", ledger)
    with BodyLedger(ledger).body(f"paced {account}", ctx.function_id or 0):
        time.sleep(random.uniform(0, QUICK))
    if random.random() < RAISES:
        raise RuntimeError("this is tried again")


@mutation(rate_limit=PACED, retry=RETRY)
def write_paced(ctx: Context, *, account: int, ledger: str) -> None:
    work_or_fail(ctx, account, ledger)
    Entry.objects.create(label="paced", function_id=ctx.function_id)


@action(rate_limit=PACED, retry=RETRY)
def send_paced(ctx: Context, *, account: int, ledger: str) -> None:
    work_or_fail(ctx, account, ledger)


@action(rate_limit=PACED, retry=RETRY, idempotent=True)
def send_paced_again(ctx: Context, *, account: int, ledger: str) -> None:
    """Is repeated after a kill, too."""
    work_or_fail(ctx, account, ledger)


@action(rate_limit=PACED, retry=RETRY, concurrency=Concurrency(2, key="account", name="paced_two"))
def send_paced_by_two(ctx: Context, *, account: int, ledger: str) -> None:
    work_or_fail(ctx, account, ledger)


@mutation(rate_limit=RateLimit(MOST_IN_LINE, per=PERIOD, name="line_of_starts"))
def write_in_line(ctx: Context, *, ledger: str) -> None:
    begin(ctx, "line_of_starts", ledger)
    Entry.objects.create(label="line", function_id=ctx.function_id)


@action(rate_limit=RateLimit(MOST_IN_LINE, per=PERIOD, name="line_of_starts"))
def send_in_line(ctx: Context, *, ledger: str) -> None:
    begin(ctx, "line_of_starts", ledger)


@action(rate_limit=RateLimit(10, per=timedelta(seconds=1), name="provider"))
def call_provider(ctx: Context, *, ledger: str) -> None:
    begin(ctx, "provider", ledger)


@action(rate_limit=RateLimit(1, per=timedelta(hours=1), key="account", name="hourly"))
def send_hourly(ctx: Context, *, account: int) -> None:
    Entry.objects.create(label=f"action {account}", function_id=ctx.function_id)


@mutation(rate_limit=RateLimit(1, per=timedelta(hours=1), key="account", name="hourly"))
def write_hourly(ctx: Context, *, account: int) -> None:
    Entry.objects.create(label=f"mutation {account}", function_id=ctx.function_id)
