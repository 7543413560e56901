"""Functions that the tests schedule, discovered as those of any app are."""

from datetime import timedelta

from django_scheduler import (
    Backoff,
    BatchOutcome,
    Context,
    Outcome,
    Retry,
    action,
    ctx,
    internal_action,
    internal_mutation,
    mutation,
)
from tests.crash import functions as crash_functions  # noqa: F401  (defines more)
from tests.crash import leftovers as crash_leftovers  # noqa: F401
from tests.crons import functions as cron_functions  # noqa: F401  (defines more)
from tests.executor.grouping import functions as group_functions  # noqa: F401  (defines more)
from tests.http import functions as http_functions  # noqa: F401  (defines more)
from tests.limits import functions as limit_functions  # noqa: F401  (defines more)
from tests.limits import rate_functions  # noqa: F401  (defines more)
from tests.management import typed_functions  # noqa: F401  (defines more)
from tests.models import Entry
from tests.processes import functions as process_functions  # noqa: F401  (defines more)
from tests.scheduling.cancellation import functions as cancel_functions  # noqa: F401  (defines more)
from tests.scheduling.cancellation import self_canceling_functions  # noqa: F401  (defines more)
from tests.scheduling.keys import functions as key_functions  # noqa: F401  (defines more)
from tests.supervisor import functions as supervisor_functions  # noqa: F401  (defines more)
from tests.testing import functions as testing_functions  # noqa: F401  (defines more)


@mutation
def write(ctx: Context, *, label: str) -> int:
    return Entry.objects.create(label=label, function_id=ctx.function_id).pk


@internal_mutation
def write_internally(ctx: Context, *, label: str) -> None:
    Entry.objects.create(label=label, function_id=ctx.function_id)


@mutation
def write_and_raise(ctx: Context, *, label: str) -> None:
    Entry.objects.create(label=label, function_id=ctx.function_id)
    raise ValueError(f"{label} is not to be")


@action
def note(ctx: Context, *, label: str) -> str:
    """An action that leaves a trace of each start of its body."""
    Entry.objects.create(label=label, function_id=ctx.function_id)
    return label


@internal_action
def note_and_raise(ctx: Context, *, label: str) -> None:
    Entry.objects.create(label=label, function_id=ctx.function_id)
    raise ValueError(f"{label} went wrong")


@mutation(retry=Retry(2, backoff=Backoff(initial=0)))
def write_in_second_attempt(ctx: Context, *, label: str) -> None:
    Entry.objects.create(label=label, function_id=ctx.function_id)
    if ctx.attempt == 1:
        raise ValueError(f"{label} is not to be yet")


@action(retry=Retry(1000, backoff=Backoff(initial=0)), idempotent=True)
def note_again(ctx: Context, *, label: str) -> None:
    """An action that may be executed several times."""
    Entry.objects.create(label=label, function_id=ctx.function_id)


@action
async def note_async(ctx: Context, *, label: str) -> str:
    await Entry.objects.acreate(label=label, function_id=ctx.function_id)
    return label


@mutation
def write_then_schedule(ctx: Context, *, label: str, delay: timedelta = timedelta(0)) -> None:
    Entry.objects.create(label=label, function_id=ctx.function_id)
    ctx.scheduler.run_after(delay, count_entries)


@mutation
def count_entries(ctx: Context) -> int:
    return Entry.objects.count()


@mutation(queue="email", priority=5)
def write_with_priority(ctx: Context, *, label: str) -> None:
    Entry.objects.create(label=label, function_id=ctx.function_id)


@mutation
def schedule_through_import(context: Context, *, label: str) -> None:
    """Uses the imported ctx, as a service would that the function calls."""
    assert ctx.function_id == context.function_id
    ctx.scheduler.run_after(0, write, label=label)


@internal_mutation
def hear(ctx: Context, *, outcome: Outcome | BatchOutcome) -> None:
    """A callback of a function, or of a batch."""
    Entry.objects.create(label="heard", function_id=ctx.function_id)
