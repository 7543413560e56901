"""Functions that can be registered, but not be called with what would be stored for them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import Enum
from functools import wraps
from typing import Annotated, Any, Literal, TypedDict

import pytest
from django.db.models import QuerySet
from django.http import HttpRequest

from django_scheduler import (
    Concurrency,
    Context,
    RateLimit,
    Retry,
    action,
    internal_action,
    internal_mutation,
    mutation,
)
from tests.checks.messages import ids, messages, the_message
from tests.models import Entry


class Color(Enum):
    RED = 1


class Options(TypedDict):
    size: int


@dataclass
class Address:
    street: str


def test_all_the_functions_of_the_shop_and_of_the_tests_are_well():
    assert ids() == set()


def test_a_decorator_that_swallows_arguments_is_an_error():
    def swallowing(body):
        @wraps(body)
        def wrapper(ctx):
            return body(ctx)

        return wrapper

    @mutation
    @swallowing
    def swallowed(ctx: Context, *, order_id: int) -> None: ...

    message = the_message("E006")
    assert "tests:swallowed" in message.msg
    assert "order_id" in message.msg


def test_a_decorator_that_passes_everything_on_is_fine():
    def passing(body):
        @wraps(body)
        def wrapper(*args, **kwargs):
            return body(*args, **kwargs)

        return wrapper

    @mutation
    @passing
    def passed(ctx: Context, order_id: int, *, color: str = "red", **more: str) -> None: ...

    assert ids() == set()


def test_an_argument_that_cannot_be_stored_is_a_warning():
    @action
    def answer(ctx: Context, *, request: HttpRequest) -> None: ...

    message = the_message("W002")
    assert "tests:answer takes request: HttpRequest" in message.msg


def test_every_type_that_cannot_be_stored_is_found():
    @action
    def impossible(
        ctx: Context,
        orders: QuerySet[Entry],
        callback: Callable[[], None],
        maybe: HttpRequest | None,
        cls: type[Entry],
        error: Exception,
    ) -> None: ...

    names = [message.msg.split(" takes ")[1].split(":")[0] for message in messages()]
    assert names == ["orders", "callback", "maybe", "cls", "error"]


def test_every_type_that_can_be_stored_or_may_be_is_fine():
    @action
    def possible(
        ctx: Context,
        /,
        untyped,
        anything: Any,
        thing: object,
        number: int,
        price: Decimal | None,
        when: "datetime",
        items: list[str],
        rows: Sequence[Mapping[str, int]],
        pair: tuple[int, ...],
        color: Color,
        options: Options,
        address: Address,
        entry: Entry,
        mode: Literal["fast"],
        noted: Annotated[int, "a note"],
        either: HttpRequest | int,
        nothing: None = None,
        **more: str,
    ) -> None: ...

    assert [message.msg for message in messages()] == []


def test_an_annotation_that_exists_only_for_type_checkers_is_no_problem():
    @action
    def forward(ctx: "Context", *, order: "NoSuchName") -> None: ...  # type: ignore[name-defined]  # noqa: F821

    assert ids() == set()


def test_an_annotation_that_exists_only_for_type_checkers_hides_no_other():
    @action
    def half_known(ctx: "Context", *, order: "NoSuchName", request: HttpRequest) -> "NoSuchName": ...  # type: ignore[name-defined]  # noqa: F821

    assert "tests:half_known takes request: HttpRequest" in the_message("W002").msg


@pytest.mark.parametrize(
    ("retry", "said"), [(Retry(1), "max_attempts=1 counts the first attempt"), (Retry(on=()), "on=() names no error")]
)
def test_a_retry_that_never_happens_is_a_warning(retry, said):
    @internal_action(retry=retry)
    def tried_once(ctx: Context) -> None: ...

    message = the_message("W016")
    assert "tests:tried_once declares retry=, and is never tried again" in message.msg
    assert said in message.msg


def test_a_retry_that_may_happen_is_fine():
    @internal_mutation(retry=Retry(2))
    def tried_twice(ctx: Context) -> None: ...

    @internal_action(retry=Retry(on=()), idempotent=True)
    def tried_again_if_lost(ctx: Context) -> None: ...

    assert ids() == set()


def test_functions_that_share_a_limit_of_different_numbers_are_an_error():
    @internal_action(concurrency=Concurrency(2, name="vault"))
    def ask_the_bank(ctx: Context) -> None: ...

    @internal_mutation(concurrency=Concurrency(3, name="vault"))
    def book_at_the_bank(ctx: Context) -> None: ...

    message = the_message("E023")
    assert "share the limit 'vault', and declare it differently" in message.msg
    assert "tests:ask_the_bank: Concurrency(limit=2" in message.msg
    assert "tests:book_at_the_bank: Concurrency(limit=3" in message.msg


def test_functions_that_share_a_limit_for_different_keys_are_an_error():
    @internal_action(concurrency=Concurrency(2, name="vault", key="account_id"))
    def ask_for_one(ctx: Context, *, account_id: int) -> None: ...

    @internal_action(concurrency=Concurrency(2, name="vault"))
    def ask_for_all(ctx: Context) -> None: ...

    assert "share the limit 'vault'" in the_message("E023").msg


@pytest.mark.parametrize("concurrency", [None, Concurrency(2), Concurrency(2, name="vault")])
def test_a_limit_by_the_name_of_another_function_is_an_error(concurrency):
    @internal_action(concurrency=concurrency)
    def fetch_statements(ctx: Context) -> None: ...

    @internal_action(concurrency=Concurrency(2, name="tests:fetch_statements"))
    def send_statements(ctx: Context) -> None: ...

    message = the_message("E023")
    assert "tests:send_statements declares a limit by the name of another function" in message.msg
    assert "tests:fetch_statements" in message.msg


@pytest.mark.parametrize(
    "other",
    [
        RateLimit(3, per=timedelta(seconds=1), name="vault"),
        RateLimit(2, per=timedelta(seconds=2), name="vault"),
        RateLimit(2, per=timedelta(seconds=1), name="vault", key="account_id"),
    ],
)
def test_functions_that_share_a_rate_limit_and_declare_it_differently_are_an_error(other):
    @internal_action(rate_limit=RateLimit(2, per=timedelta(seconds=1), name="vault"))
    def ask_at_times(ctx: Context) -> None: ...

    @internal_mutation(rate_limit=other)
    def book_at_times(ctx: Context, *, account_id: int) -> None: ...

    message = the_message("E023")
    assert "share the rate limit 'vault', and declare it differently" in message.msg
    assert "tests:ask_at_times: RateLimit(limit=2" in message.msg
    assert f"tests:book_at_times: {other}" in message.msg


@pytest.mark.parametrize("concurrency", [None, Concurrency(2)])
def test_a_rate_limit_by_the_name_of_another_function_is_an_error(concurrency):
    @internal_action(concurrency=concurrency)
    def fetch_prices(ctx: Context) -> None: ...

    @internal_action(rate_limit=RateLimit(2, per=timedelta(seconds=1), name="tests:fetch_prices"))
    def send_prices(ctx: Context) -> None: ...

    message = the_message("E023")
    assert "tests:send_prices declares a rate limit by the name of another function" in message.msg


def test_both_kinds_of_limits_may_have_one_name_and_be_different():
    @internal_action(
        concurrency=Concurrency(2, name="vault", key="account_id"),
        rate_limit=RateLimit(10, per=timedelta(minutes=1), name="vault"),
    )
    def ask_with_both(ctx: Context, *, account_id: int) -> None: ...

    @internal_action(rate_limit=RateLimit(10, per=timedelta(seconds=60), name="vault"))
    def ask_with_one(ctx: Context) -> None: ...

    @internal_mutation(concurrency=Concurrency(3), rate_limit=RateLimit(1, per=timedelta(seconds=1)))
    def book_with_both(ctx: Context) -> None: ...

    assert ids() == set()


def test_limits_that_agree_are_fine():
    @internal_action(concurrency=Concurrency(2, name="vault", key="account_id"))
    def fetch_from_bank(ctx: Context, *, account_id: int) -> None: ...

    @internal_mutation(concurrency=Concurrency(2, name="vault", key="account"))
    def book(ctx: Context, *, account: int, amount: int) -> None: ...

    @internal_action(concurrency=Concurrency(5))
    def fetch_rates(ctx: Context) -> None: ...

    @internal_action(aliases=("send_mail",), concurrency=Concurrency(1, name="tests:send_mail"))
    def send_letter(ctx: Context) -> None: ...

    @internal_action(concurrency=Concurrency(1, name="tests:paint"))
    def paint(ctx: Context) -> None: ...

    assert ids() == set()


def test_a_fair_key_of_a_queue_that_no_function_has_is_a_warning(settings):
    settings.DJANGO_SCHEDULER = {"FAIR_KEYS": {"bulk": "order_ident", "email": "label"}}

    message = the_message("W018")

    assert "'order_ident'" in message.msg
    assert "'bulk'" in message.msg
