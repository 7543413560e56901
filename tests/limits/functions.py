"""Functions with limits, that write down when their bodies begin and end."""

import random
import time

from django_scheduler import Backoff, Concurrency, Context, Retry, action, mutation
from tests.limits.body_ledger import BodyLedger
from tests.models import Entry
from tests.support.gates import Gate

#: How long bodies take, in seconds: most of them, and some.
QUICK, SLOW, SLOW_ONES = 0.02, 0.3, 0.15

#: How often a body raises that is tried again.
RAISES = 0.15

RETRY = Retry(max_attempts=5, backoff=Backoff(initial=0.05), on=(RuntimeError,))
TWO = Concurrency(2, key="account", name="two")
ONE = Concurrency(1, key="account", name="one")


def work(ctx: Context, account: int, ledger: str, limit: str) -> None:
    assert ctx.function_id is not None
    with BodyLedger(ledger).body(f"{limit} {account}", ctx.function_id):
        time.sleep(random.uniform(0, SLOW if random.random() < SLOW_ONES else QUICK))


def work_or_fail(ctx: Context, account: int, ledger: str, limit: str) -> None:
    work(ctx, account, ledger, limit)
    if random.random() < RAISES:
        raise RuntimeError("this is tried again")


@mutation(concurrency=TWO, retry=RETRY)
def write_two(ctx: Context, *, account: int, ledger: str) -> None:
    Entry.objects.create(label="two", function_id=ctx.function_id)
    work_or_fail(ctx, account, ledger, "two")


@action(concurrency=TWO, retry=RETRY)
def send_two(ctx: Context, *, account: int, ledger: str) -> None:
    work_or_fail(ctx, account, ledger, "two")


@action(concurrency=TWO, retry=RETRY, idempotent=True)
def send_two_again(ctx: Context, *, account: int, ledger: str) -> None:
    """Is repeated after a kill, too."""
    work_or_fail(ctx, account, ledger, "two")


@mutation(concurrency=ONE, retry=RETRY)
def write_one(ctx: Context, *, account: int, ledger: str) -> None:
    Entry.objects.create(label="one", function_id=ctx.function_id)
    work_or_fail(ctx, account, ledger, "one")


@action(concurrency=ONE, retry=RETRY)
def send_one(ctx: Context, *, account: int, ledger: str) -> None:
    work_or_fail(ctx, account, ledger, "one")


@action(concurrency=TWO)
def send_two_slowly(ctx: Context, *, account: int, ledger: str, gate: str) -> None:
    with BodyLedger(ledger).body(f"two {account}", ctx.function_id or 0):
        Gate(gate).pass_through()


@mutation
def write_freely(ctx: Context, *, account: int, ledger: str) -> None:
    """Has no limit."""
    Entry.objects.create(label="free", function_id=ctx.function_id)
    work(ctx, account, ledger, "free")
