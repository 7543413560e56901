"""Functions that have limits, to be seen in the admin: they are never executed."""

from datetime import timedelta

from django_scheduler import Concurrency, Context, RateLimit, internal_action, internal_mutation


@internal_action(concurrency=Concurrency(2, key="account_id", name="bank"))
def ask_bank(ctx: Context, *, account_id: int) -> None: ...


@internal_mutation(concurrency=Concurrency(3))
def sort_letters(ctx: Context) -> None: ...


@internal_action(concurrency=Concurrency(1, key="token", name="portal"))
def log_in(ctx: Context, *, token: str) -> None: ...


@internal_action(rate_limit=RateLimit(10, per=timedelta(seconds=10), key="account_id", name="bank"))
def ask_rates(ctx: Context, *, account_id: int) -> None: ...


@internal_mutation(rate_limit=RateLimit(100, per=timedelta(hours=1), key="token", name="visits"))
def visit(ctx: Context, *, token: str) -> None: ...
