"""Functions that are scheduled with keys."""

from django_scheduler import Context, Outcome, mutation
from tests.models import Entry


@mutation
def schedule_own_key(ctx: Context, *, label: str, more: int) -> None:
    Entry.objects.create(label=label, function_id=ctx.function_id)
    if more:
        options = ctx.scheduler.options(key="own", existing="replace")
        options.run_after(0, schedule_own_key, label=f"{label}+", more=more - 1)


@mutation
def tell_the_end(ctx: Context, *, outcome: Outcome, label: str) -> None:
    Entry.objects.create(label=f"{label}: {outcome.state}", function_id=ctx.function_id)


@mutation
def write_or_raise(ctx: Context, *, label: str, fails: bool) -> None:
    Entry.objects.create(label=label, function_id=ctx.function_id)
    if fails:
        raise ValueError(label)
