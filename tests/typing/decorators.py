"""The decorators keep the signature, and take only functions that begin with ``ctx``."""

from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any, assert_type

from django_scheduler import Action, Backoff, Concurrency, Context, Mutation, RateLimit, Retry, action, ctx, mutation
from tests.typing.functions import archive_order, create_order, fetch_rate, send_confirmation

assert_type(create_order(ctx, items=["a"]), int)
assert_type(create_order(ctx, items=["a"], paid=True), int)
assert_type(send_confirmation(ctx, order_id=1), str)
rate: Coroutine[Any, Any, float] = fetch_rate(ctx, "EUR")
archive_order(ctx, 1)
archive_order(ctx, order_id=1)
as_plain_function: Callable[[Context, int], None] = archive_order

as_action: Action[[str], Coroutine[Any, Any, float]] = fetch_rate
as_mutation: Mutation[[int], None] = archive_order
as_mutation = fetch_rate  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
as_action = archive_order  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
create_order(ctx)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
create_order(ctx, items="a")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
create_order(ctx, items=["a"], color="red")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
create_order(items=["a"])  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


@mutation  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
def without_ctx(order_id: int) -> None: ...


@action(queue=5)  # type: ignore[call-overload, untyped-decorator]  # pyright: ignore[reportArgumentType]
def with_wrong_option(ctx: Context) -> None: ...


@action(retries=5)  # type: ignore[call-overload, untyped-decorator]  # pyright: ignore[reportCallIssue, reportUntypedFunctionDecorator]
def with_unknown_option(ctx: Context) -> None: ...


@mutation  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
def with_ctx_of_another_type(ctx: int, order_id: int) -> None: ...


@mutation  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
def with_ctx_by_name_only(*, ctx: Context) -> None: ...


@action("email")  # type: ignore[call-overload, untyped-decorator]  # pyright: ignore[reportArgumentType, reportUntypedFunctionDecorator]
def with_option_by_position(ctx: Context) -> None: ...


@action(rerun=False)
def that_may_not_run_again(ctx: Context) -> None: ...


@action(retention=timedelta(days=30))
def that_stays_longer(ctx: Context) -> None: ...


@mutation(retention=None)
def that_stays_for_ever(ctx: Context) -> None: ...


@action(retention=30)  # type: ignore[call-overload, untyped-decorator]  # pyright: ignore[reportArgumentType]
def with_wrong_retention(ctx: Context) -> None: ...


@action(rerun="no")  # type: ignore[call-overload, untyped-decorator]  # pyright: ignore[reportArgumentType]
def with_wrong_rerun(ctx: Context) -> None: ...


@action(retry=Retry(3, on=(ValueError, OSError), backoff=Backoff(initial=2)), idempotent=True)
def that_may_run_several_times(ctx: Context) -> None: ...


@mutation(retry=3)  # type: ignore[call-overload, untyped-decorator]  # pyright: ignore[reportArgumentType]
def with_wrong_retry(ctx: Context) -> None: ...


@action(concurrency=Concurrency(2, key="account_id"))
def with_a_limit(ctx: Context, *, account_id: int) -> None: ...


@mutation(concurrency=Concurrency(1, key=("account_id", "currency"), name="bank"))
def with_a_limit_of_its_name(ctx: Context, account_id: int, currency: str) -> int:
    return account_id


@action(rate_limit=RateLimit(10, per=timedelta(seconds=1), key="account_id"))
def with_a_rate_limit(ctx: Context, *, account_id: int) -> None: ...


@mutation(
    concurrency=Concurrency(2), rate_limit=RateLimit(10, per=timedelta(hours=1), key=("account_id",), name="bank")
)
def with_both_limits(ctx: Context, account_id: int) -> int:
    return account_id


with_a_limit(ctx, account_id=7)
with_a_limit(ctx, account_id="7")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
assert_type(with_a_limit_of_its_name(ctx, 7, "EUR"), int)
with_a_rate_limit(ctx, account_id=7)
assert_type(with_both_limits(ctx, 7), int)


@mutation  # type: ignore[arg-type]
def with_others_and_a_ctx_by_name(ctx: Context, **others: str) -> None:
    """Is right, and mypy rejects it: docs/typing.md tells of that."""


@mutation
def with_others(ctx: Context, /, **others: str) -> None: ...


@action(concurrency=2)  # type: ignore[call-overload, untyped-decorator]  # pyright: ignore[reportArgumentType]
def with_wrong_limit(ctx: Context) -> None: ...


@action(rate_limit=Concurrency(2))  # type: ignore[call-overload, untyped-decorator]  # pyright: ignore[reportArgumentType]
def with_wrong_rate_limit(ctx: Context) -> None: ...


Concurrency()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
Concurrency("2")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
Concurrency(2, "account_id")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
Concurrency(2, key=["account_id"])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
Concurrency(2, name=7)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
RateLimit(10)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
RateLimit(per=timedelta(seconds=1))  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
RateLimit(10, timedelta(seconds=1))  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
RateLimit(10, per=1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
RateLimit("10/s", per=timedelta(seconds=1))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
RateLimit(10, per=timedelta(seconds=1), key=["account_id"])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
Retry(3, (ValueError,))  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
Retry(on=(SystemExit,))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
assert_type(ctx.attempt, int | None)
assert_type(ctx.idempotency_key, str | None)
