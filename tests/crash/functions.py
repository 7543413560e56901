"""A ledger: every function writes down what it has done, so that it can be counted afterwards."""

import resource
import time
from functools import partial
from typing import NoReturn

from django.db import transaction
from django.db.models import F

from django_scheduler import Context, action, mutation
from tests.crash.faults import has_begun, reach
from tests.models import Account, Entry
from tests.support.gates import Gate


@mutation
def post(ctx: Context, *, account_id: int) -> None:
    """Moves money, writes it down, and schedules that somebody is told."""
    has_begun("mutation")
    Account.objects.filter(pk=account_id).update(balance=F("balance") + 1)
    Entry.objects.create(label="posted", function_id=ctx.function_id)
    ctx.scheduler.run_after(0, tell)
    transaction.on_commit(partial(reach, "in on_commit"))
    reach("in the body")


@action
def tell(ctx: Context) -> None:
    """Is not to happen twice."""
    Entry.objects.create(label="told", function_id=ctx.function_id)
    reach("in the body of an action")
    has_begun("action")


@mutation
def post_slowly(ctx: Context, *, account_id: int) -> None:
    post.body(ctx, account_id=account_id)
    time.sleep(0.05)


@action
def tell_slowly(ctx: Context) -> None:
    Entry.objects.create(label="told", function_id=ctx.function_id)
    time.sleep(0.05)


@mutation
def exhaust_memory(ctx: Context) -> None:
    """Comes to the limit that the administrator has set."""
    Entry.objects.create(label="posted", function_id=ctx.function_id)
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (2**31, before[1]))
    try:
        bytearray(2**32)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


@mutation
def loop(ctx: Context, *, gate: str) -> NoReturn:
    Entry.objects.create(label="posted", function_id=ctx.function_id)
    Gate(gate).arrive()
    while True:
        pass


@action
def loop_in_an_action(ctx: Context, *, gate: str) -> NoReturn:
    Entry.objects.create(label="told", function_id=ctx.function_id)
    Gate(gate).arrive()
    while True:
        pass
