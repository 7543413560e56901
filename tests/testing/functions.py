"""Functions that tests execute by hand, and what they leave behind."""

from datetime import timedelta
from functools import partial

from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from django_scheduler import Backoff, Concurrency, Context, RateLimit, Retry, action, mutation
from django_scheduler.errors import TransientError
from django_scheduler.models import ScheduledFunction
from django_scheduler.scheduling import interventions
from tests.models import Entry, Line


def labels() -> list[str]:
    """What has been written, in order."""
    return list(Entry.objects.order_by("pk").values_list("label", flat=True))


def note_down(label: str) -> None:
    Entry.objects.create(label=label)


@mutation(priority=1)
def write_first(ctx: Context, *, label: str) -> None:
    Entry.objects.create(label=label)


@mutation(concurrency=Concurrency(1, name="ledger"), rate_limit=RateLimit(1, per=timedelta(hours=1), name="ledger"))
def write_in_turn(ctx: Context, *, label: str) -> None:
    Entry.objects.create(label=label)


@action(concurrency=Concurrency(1, name="ledger"))
def note_in_turn(ctx: Context, *, label: str) -> None:
    Entry.objects.create(label=label)


@mutation
def write_and_have_hooks(ctx: Context, *, label: str) -> None:
    transaction.on_commit(partial(note_down, f"{label}: hook 1"))
    transaction.on_commit(partial(note_down, f"{label}: hook 2"))
    Entry.objects.create(label=f"{label}: body")


@mutation
def raise_in_hook(ctx: Context) -> None:
    def hook() -> None:
        raise ValueError("the hook went wrong")

    transaction.on_commit(hook)


@mutation
def register_hook_and_raise(ctx: Context) -> None:
    transaction.on_commit(partial(note_down, "hook"))
    raise ValueError("no commit, no hook")


@mutation
def catch_database_error(ctx: Context) -> None:
    Entry.objects.create(label="before the error")
    try:
        Entry.objects.create(pk=Entry.objects.get().pk)
    except IntegrityError:
        Entry.objects.count()


@mutation
def write_dangling_line(ctx: Context) -> None:
    """Violates a constraint that may be checked only at COMMIT."""
    Line.objects.create(entry_id=-1)


@mutation
def end_transaction_by_sql(ctx: Context) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ROLLBACK")


@mutation
def leave_transaction_open(ctx: Context) -> None:
    Entry.objects.create(label="in a block that is not left")
    transaction.atomic().__enter__()


@action
def meet_database_error(ctx: Context) -> str:
    """Outside of a transaction, an error of the database ends one statement alone."""
    entry = Entry.objects.create(label="before")
    try:
        Entry.objects.create(pk=entry.pk, label="the same again").save(force_insert=True)
    except IntegrityError:
        Entry.objects.create(label="after")
    with transaction.atomic():
        transaction.on_commit(partial(note_down, "hook"))
        assert connection.in_atomic_block
        Entry.objects.create(label="in a transaction")
    Entry.objects.create(label="end")
    assert not connection.in_atomic_block
    return "survived"


@action
def close_connection(ctx: Context) -> None:
    connection.close()
    Entry.objects.create(label="afterwards")


@action
async def call_mutation(ctx: Context, *, label: str) -> None:
    await ctx.arun_mutation(write_and_have_hooks, label=label)
    await Entry.objects.acreate(label=f"{label}: action")


@mutation
def try_until(ctx: Context, *, attempts: int) -> str:
    """Raises transient errors until it has had so many attempts."""
    Entry.objects.create(label="an attempt")
    assert ctx.function_id is not None
    if ScheduledFunction.objects.get(pk=ctx.function_id).attempts + 1 < attempts:
        raise TransientError("not yet")
    return "at last"


@mutation
def poll(ctx: Context) -> None:
    ctx.scheduler.run_after(timedelta(minutes=1), poll)


@mutation
def ping(ctx: Context) -> None:
    ctx.scheduler.run_after(0, pong)


@mutation
def pong(ctx: Context) -> None:
    ctx.scheduler.run_after(0, ping)


@mutation
def count_down(ctx: Context, *, days: int) -> None:
    Entry.objects.create(label=f"{days} days left")
    if days:
        ctx.scheduler.run_after(timedelta(days=1), count_down, days=days - 1)


@mutation
def cancel_other(ctx: Context, *, function_id: int) -> None:
    ctx.scheduler.cancel(function_id)


@mutation
def greet(ctx: Context, /, *, name: str = "you", **details: str) -> str:
    return f"Hello {name}"


@mutation
def schedule_first(ctx: Context, *, label: str) -> None:
    Entry.objects.create(label=label)
    ctx.scheduler.run_after(0, write_first, label=f"{label}: priority")


@mutation
def move_other(ctx: Context, *, function_id: int, hours: int) -> None:
    """Does what the admin does when somebody wants a function to run at another time."""
    interventions.reschedule("default", [function_id], timezone.now() + timedelta(hours=hours))


@mutation(retry=Retry(3, backoff=Backoff(initial=60)))
def write_in_third_attempt(ctx: Context) -> None:
    Entry.objects.create(label="written")
    if ctx.attempt != 3:
        raise ValueError("not yet")


@action(retry=Retry(3, backoff=Backoff(initial=60)))
def note_in_vain(ctx: Context) -> None:
    Entry.objects.create(label=f"attempt {ctx.attempt}")
    raise ValueError("never")


@action
def wait_until_ready(ctx: Context) -> None:
    Entry.objects.create(label=f"asked {ctx.attempt}")
    if ctx.attempt != 3:
        raise TransientError("not ready", after=timedelta(hours=1))
