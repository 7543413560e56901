"""How many bodies run at once, or begin within a period: what can be declared, and how the limit of a call is known."""

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from django.core.exceptions import ImproperlyConfigured
from hypothesis import given, settings
from hypothesis import strategies as st

from django_scheduler import Concurrency, Context, RateLimit, action, internal_action, internal_mutation, mutation
from django_scheduler.functions import AnyFunction, is_rate, name_of_limit, registry
from django_scheduler.values import dump_arguments
from tests.models import Entry
from tests.support.soak import examples

#: As code calls them that no type checker has seen.
concurrency_of: Any = Concurrency
rate_of: Any = RateLimit

SECOND = timedelta(seconds=1)

of_both_kinds = pytest.mark.parametrize(
    ("option", "limit_of"),
    [("concurrency", partial(concurrency_of, 2)), ("rate_limit", partial(rate_of, 2, per=SECOND))],
)


class Currency(Enum):
    EUR = "€"


@internal_action(
    concurrency=Concurrency(2, key="account_id", name="fund"),
    rate_limit=RateLimit(10, per=SECOND, key=("since", "account_id"), name="fund"),
)
def fetch(ctx: Context, *, account_id: Any, since: Any = None) -> None: ...


@internal_mutation(concurrency=Concurrency(1, key=("account_id", "currency"), name="books"))
def settle(ctx: Context, /, account_id: Any, currency: Any = Currency.EUR, **more: Any) -> None: ...


def limit_on_record(function: AnyFunction, **arguments: Any) -> str:
    """Return the limit of a call, as an executor finds it in the arguments on record."""
    return function.limit_of(dump_arguments(function.name, arguments))


def rate_limit_on_record(function: AnyFunction, **arguments: Any) -> str:
    """Return the rate limit of a call, as an executor finds it in the arguments on record."""
    return function.rate_limit_of(dump_arguments(function.name, arguments))


def test_number_comes_first():
    assert Concurrency(2) == Concurrency(limit=2, key=(), name=None)
    assert RateLimit(2, per=SECOND) == RateLimit(limit=2, per=SECOND, key=(), name=None)


@of_both_kinds
def test_declared_limit_does_not_change(option, limit_of):
    limit = limit_of()
    with pytest.raises(AttributeError):
        limit.limit = 3


@pytest.mark.parametrize("number", [1, 1000, 10_000])
@pytest.mark.parametrize("period", [timedelta(seconds=0.1), SECOND, timedelta(days=366)])
def test_what_can_be_a_rate_limit(number, period):
    limit = RateLimit(number, per=period)

    assert (limit.limit, limit.per, limit.parameters) == (number, period, ())


@pytest.mark.parametrize(
    ("declare", "problem"),
    [
        (concurrency_of, "missing 1 required positional argument: 'limit'"),
        (lambda: concurrency_of(True), "takes the number of bodies that run at once, not True"),
        (lambda: concurrency_of("2"), "takes the number of bodies that run at once, not '2'"),
        (lambda: concurrency_of(2.0), "takes the number of bodies that run at once, not 2.0"),
        (lambda: concurrency_of(None), "takes the number of bodies that run at once, not None"),
        (lambda: concurrency_of(0), "a number from 1 to 1,000, not 0"),
        (lambda: concurrency_of(-1), "a number from 1 to 1,000, not -1"),
        (lambda: concurrency_of(1001), "a number from 1 to 1,000, not 1001"),
        (lambda: concurrency_of(2, "account_id"), "takes 2 positional arguments but 3 were given"),
        (partial(rate_of, per=SECOND), "missing 1 required positional argument: 'limit'"),
        (lambda: rate_of(2), "missing 1 required keyword-only argument: 'per'"),
        (lambda: rate_of(2, SECOND), "takes 2 positional arguments but 3 .* given"),
        (lambda: rate_of(True, per=SECOND), "takes the number of bodies that begin within a period, not True"),
        (lambda: rate_of(2.0, per=SECOND), "takes the number of bodies that begin within a period, not 2.0"),
        (lambda: rate_of("2/s", per=SECOND), "takes the number of bodies that begin within a period, not '2/s'"),
        (lambda: rate_of(0, per=SECOND), "a number from 1 to 10,000, not 0"),
        (lambda: rate_of(10_001, per=SECOND), "a number from 1 to 10,000, not 10001"),
        (lambda: rate_of(2, per=1), r"per= must be a timedelta, as in per=timedelta\(seconds=1\), not 1"),
        (lambda: rate_of(2, per="second"), "per= must be a timedelta, .*, not 'second'"),
        (lambda: rate_of(2, per=None), "per= must be a timedelta, .*, not None"),
        (lambda: rate_of(2, per=timedelta(0)), "a period from 0.1 s to 366 days, not 0:00:00"),
        (lambda: rate_of(2, per=-SECOND), "a period from 0.1 s to 366 days, not -1 day, 23:59:59"),
        (lambda: rate_of(2, per=timedelta(milliseconds=99)), "a period from 0.1 s to 366 days, not 0:00:00.099"),
        (lambda: rate_of(2, per=timedelta(days=367)), "a period from 0.1 s to 366 days, not 367 days"),
    ],
)
def test_what_can_be_no_limit_is_refused(declare, problem):
    with pytest.raises((TypeError, ValueError), match=problem):
        declare()


@of_both_kinds
@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"key": ["account_id"]}, "a tuple of names: .*, not .'account_id'.*"),
        ({"key": None}, "a tuple of names: .*, not None"),
        ({"key": (7,)}, "a tuple of names: .*, not .7,."),
        ({"key": lambda account_id: account_id}, "a tuple of names: .*, not <function"),
        ({"key": ""}, "'' cannot be the name of one"),
        ({"key": ("account_id", "")}, "'' cannot be the name of one"),
        ({"key": "account id"}, "'account id' cannot be the name of one"),
        ({"key": "account_id, currency"}, "'account_id, currency' cannot be the name of one"),
        ({"key": ("account_id", "account_id")}, "names a parameter twice"),
        ({"name": 7}, "must be the name of a limit, as text, not 7"),
        ({"name": b"fund"}, "must be the name of a limit, as text, not b'fund'"),
        ({"name": ""}, "must have 1 to 255 characters .*, not ''"),
        ({"name": "b" * 256}, "must have 1 to 255 characters"),
        ({"name": "the fund"}, "no blanks, not 'the fund'"),
        ({"name": "the\u2003bank"}, r"no blanks, not 'the\\u2003bank'"),
        ({"name": "fund\n"}, r"characters that can be printed, .*, not 'fund\\n'"),
        ({"name": "fund\0"}, r"characters that can be printed, .*, not 'fund\\x00'"),
        ({"name": "fund\ud800"}, r"characters that can be printed, .*, not 'fund\\ud800'"),
    ],
)
def test_what_can_be_no_key_or_name_is_refused(option, limit_of, given, problem):
    with pytest.raises((TypeError, ValueError), match=problem):
        limit_of(**given)


@pytest.mark.parametrize("decorator", [mutation, internal_mutation, action, internal_action])
def test_every_function_may_have_a_limit(decorator):
    @decorator(concurrency=Concurrency(3))
    def run_thrice(ctx: Context) -> None: ...

    @decorator(rate_limit=RateLimit(3, per=SECOND))
    def begin_thrice(ctx: Context) -> None: ...

    assert (run_thrice.concurrency, run_thrice.rate_limit) == (Concurrency(3), None)
    assert run_thrice.limit_name == "tests:run_thrice"
    assert (begin_thrice.concurrency, begin_thrice.rate_limit) == (None, RateLimit(3, per=SECOND))
    assert begin_thrice.rate_name == "tests:begin_thrice rate"


@pytest.mark.parametrize("value", [2, True, "fund", ("account_id",), Concurrency, RateLimit(2, per=SECOND)])
def test_what_is_no_concurrency_is_refused(value):
    with pytest.raises(ImproperlyConfigured, match=r"concurrency= must be a Concurrency, as in .*Concurrency\(2\)"):

        @action(concurrency=value)
        def run_somehow(ctx: Context) -> None: ...


@pytest.mark.parametrize("value", [2, True, "2/s", (2, SECOND), RateLimit, Concurrency(2)])
def test_what_is_no_rate_limit_is_refused(value):
    with pytest.raises(ImproperlyConfigured, match=r"rate_limit= must be a RateLimit, as in .*RateLimit\(10, per="):

        @action(rate_limit=value)
        def begin_somehow(ctx: Context) -> None: ...


@of_both_kinds
@pytest.mark.parametrize(
    ("key", "problem"),
    [
        ("acount_id", "'acount_id' is none of its arguments. Did you mean 'account_id'?"),
        ("tenant", "'tenant' is none of its arguments. It has: account_id, currency."),
        (("account_id", "tenant"), "'tenant' is none of its arguments."),
        ("context", "'context' is none of its arguments."),
        ("ctx", "'ctx' is none of its arguments."),
        ("more", "'more' is **more: int, which may be any arguments: name a single one."),
    ],
)
def test_key_that_is_no_argument_is_refused_with_the_function(option, limit_of, key, problem):
    with pytest.raises(ImproperlyConfigured) as refused:

        @action(**{option: limit_of(key=key)})
        def fetch_something(context: Context, /, account_id: int, *, currency: str = "EUR", **more: int) -> None: ...

    assert f"fetch_something cannot be an action: {option}=: the key {problem}" in str(refused.value)


@of_both_kinds
def test_key_of_a_function_without_arguments_is_refused(option, limit_of):
    with pytest.raises(ImproperlyConfigured, match="'account_id' is none of its arguments"):

        @action(**{option: limit_of(key="account_id")})
        def fetch_nothing(ctx: Context) -> None: ...


def test_without_a_key_all_calls_share_the_limit():
    @internal_action(concurrency=Concurrency(2))
    def fetch_all(ctx: Context, *, account_id: int) -> None: ...

    assert limit_on_record(fetch_all, account_id=7) == limit_on_record(fetch_all, account_id=8) == "tests:fetch_all"


def test_functions_with_the_same_name_share_the_limit():
    @internal_mutation(concurrency=Concurrency(2, key="account", name="fund"))
    def send(ctx: Context, *, account: int, amount: int) -> None: ...

    assert limit_on_record(send, account=7, amount=100) == limit_on_record(fetch, account_id=7) == "fund [7]"


def test_registry_knows_the_number_of_each_limit():
    limits = registry.limits()

    assert (limits["fund"].limit, limits["books"].limit) == (2, 1)
    assert all(limits[each.limit_name].limit == each.concurrency.limit for each in registry if each.concurrency)
    rates = registry.rate_limits()
    assert (rates["fund rate"].limit, rates["fund rate"].per) == (10, SECOND)
    assert "books rate" not in rates


def test_rate_limit_of_a_call_is_told_from_its_limit_of_the_same_name():
    assert limit_on_record(fetch, account_id=7, since=1) == "fund [7]"
    assert rate_limit_on_record(fetch, account_id=7, since=1) == "fund rate [1,7]"
    assert rate_limit_on_record(fetch, account_id="x" * 1000).startswith("fund rate #")
    for limit in ("fund rate [1,7]", "fund rate #9f86d0", "fund rate"):
        assert (name_of_limit(limit), is_rate(limit)) == ("fund", True)
    for limit in ("fund [7]", "fund #9f86d0", "fund", "rate [7]", "rate", 'fund ["rate"]'):
        assert not is_rate(limit)


def test_rate_limit_without_a_key_or_a_name_is_that_of_all_calls_of_the_function():
    @internal_mutation(name="send_all", aliases=("send",), rate_limit=RateLimit(2, per=SECOND))
    def send_them(ctx: Context, *, account_id: int) -> None: ...

    assert (
        rate_limit_on_record(send_them, account_id=7)
        == rate_limit_on_record(send_them, account_id=8)
        == "tests:send_all rate"
    )


def test_functions_with_the_same_name_share_the_rate_limit():
    @internal_mutation(rate_limit=RateLimit(10, per=SECOND, key=("day", "account"), name="fund"))
    def count_statements(ctx: Context, *, account: int, day: int) -> None: ...

    assert rate_limit_on_record(count_statements, account=7, day=1) == rate_limit_on_record(
        fetch, account_id=7, since=1
    )


@pytest.mark.parametrize(("period", "delay"), [(0.1, 0.02), (1, 0.05), (2, 0.1), (3600, 0.1)])
def test_slot_of_a_start_is_held_longer_than_the_period_by_as_much_as_a_body_may_begin_later(period, delay):
    limit = RateLimit(2, per=timedelta(seconds=period))

    assert limit.longest_delay == timedelta(seconds=delay)
    assert limit.window == timedelta(seconds=period + delay)


def test_limit_of_a_renamed_function_is_called_like_the_function():
    @internal_mutation(name="new", aliases=("old",), concurrency=Concurrency(2))
    def renamed(ctx: Context) -> None: ...

    assert limit_on_record(renamed) == "tests:new"


@pytest.mark.parametrize(
    ("arguments", "limit"),
    [
        ({"account_id": 7}, "fund [7]"),
        ({"account_id": 7, "since": date(2026, 1, 1)}, "fund [7]"),
        ({"account_id": "7"}, 'fund ["7"]'),
        ({"account_id": True}, "fund [true]"),
        ({"account_id": 1.5}, "fund [1.5]"),
        ({"account_id": None}, "fund [null]"),
        ({"account_id": "Ümläut\n"}, 'fund ["Ümläut\\n"]'),
        ({"account_id": "nul \0"}, 'fund [{"$str":"nul \\\\x00"}]'),
        ({"account_id": Currency.EUR}, 'fund [{"$enum":["tests.functions.test_limits:Currency","EUR"]}]'),
        ({"account_id": date(2026, 1, 2)}, 'fund [{"$date":"2026-01-02"}]'),
        ({"account_id": datetime(2026, 1, 2, tzinfo=UTC)}, 'fund [{"$datetime":"2026-01-02T00:00:00+00:00"}]'),
        ({"account_id": Decimal("1.10")}, 'fund [{"$decimal":"1.10"}]'),
        ({"account_id": UUID(int=1)}, 'fund [{"$uuid":"00000000-0000-0000-0000-000000000001"}]'),
        ({"account_id": (7, 8)}, 'fund [{"$tuple":[7,8]}]'),
        ({"account_id": [7, {"b": 1, "a": 2}]}, 'fund [[7,{"a":2,"b":1}]]'),
    ],
)
def test_values_are_told_apart_as_they_are_stored(arguments, limit):
    assert limit_on_record(fetch, **arguments) == limit


def test_a_model_instance_has_its_own_limit_however_its_fields_change(db):
    entry = Entry.objects.create(label="before")
    before = limit_on_record(fetch, account_id=entry)
    entry.label = "after"

    assert (
        limit_on_record(fetch, account_id=entry)
        == before
        == f'fund [{{"$model":["tests.entry",{entry.pk},"default"]}}]'
    )


def test_limit_of_several_parameters_has_their_values_in_the_order_of_its_key():
    assert limit_on_record(settle, currency="USD", account_id=7) == 'books [7,"USD"]'


def test_argument_that_a_call_leaves_out_has_its_default():
    assert limit_on_record(settle, account_id=7) == limit_on_record(settle, account_id=7, currency=Currency.EUR)
    assert limit_on_record(settle, account_id=7) != limit_on_record(settle, account_id=7, currency=None)


def test_default_that_cannot_be_stored_is_one_value_too():
    @internal_action(concurrency=Concurrency(2, key="account", name="fund"))
    def fetch_some(ctx: Context, *, account: object = object()) -> None: ...

    assert limit_on_record(fetch_some) == "fund [null]"
    assert limit_on_record(fetch_some, account=7) == "fund [7]"


def test_arguments_of_any_name_do_not_change_the_limit():
    assert limit_on_record(settle, account_id=7, note="x", name="y") == limit_on_record(settle, account_id=7)


def test_long_values_are_known_by_their_hash():
    one, other = (limit_on_record(fetch, account_id="x" * 1000 + last) for last in "ab")

    assert one != other
    assert one == limit_on_record(fetch, account_id="x" * 1000 + "a")
    assert len(one) == len(other) <= 100
    assert name_of_limit(one) == "fund"


FETCH_FOR_ACCOUNT = """
from django_scheduler import Concurrency
@action(concurrency=Concurrency(2, key="account_id"))
def fetch_for_account(ctx, *, account_id): ...
"""

#: Prints the limits of a set, and of a dict whose keys are no texts; and their orders, which each process has for
#: itself.
PRINT_LIMITS = """
import django; django.setup()
from bakery.functions import fetch_for_account
from django_scheduler.values import dump_arguments
first, second = {"a", "b", "c", "d"}, {"x", "y", "z"}
for value in first, {("a",): second, ("b",): 2}:
    print(fetch_for_account.limit_of(dump_arguments("bakery:fetch_for_account", {"account_id": value})))
print([*first], [*second])
"""


def test_sets_that_are_equal_share_the_limit_whatever_process_has_made_them(monkeypatch, start_django):
    limits, orders = set(), set()
    for seed in ("1", "2"):
        monkeypatch.setenv("PYTHONHASHSEED", seed)
        done = start_django(FETCH_FOR_ACCOUNT, PRINT_LIMITS)
        assert done.returncode == 0, done.stderr
        *lines, order = done.stdout.splitlines()
        limits.add(tuple(lines))
        orders.add(order)
    assert len(orders) == 2
    assert len(limits) == 1


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3) | st.tuples(inner),
    max_leaves=8,
)


@settings(max_examples=examples(40, 100))
@given(values)
def test_limit_is_the_same_however_a_database_writes_the_arguments(value):
    stored = dump_arguments("tests:fetch", {"since": 1, "account_id": value})
    rewritten = json.dumps(json.loads(stored), indent=2, sort_keys=True, ensure_ascii=False)

    limit = fetch.limit_of(stored)

    assert fetch.limit_of(rewritten) == limit
    assert name_of_limit(limit) == "fund"
    assert len(limit) <= 400
    limit.encode()
    assert name_of_limit(fetch.rate_limit_of(stored)) == "fund"
    assert fetch.rate_limit_of(rewritten) == fetch.rate_limit_of(stored)


@pytest.mark.parametrize(
    ("by_hand", "limit"),
    [
        ("", "fund"),
        ("no JSON", "fund"),
        ("[7]", "fund"),
        ("null", "fund"),
        ('"account_id"', "fund"),
        ("9" * 5000, "fund"),
        ("[" * 100_000, "fund"),
        ('{"account_id":' + "[" * 100_000, "fund"),
        ("{}", "fund [null]"),
        ('{"account": 7}', "fund [null]"),
        ('{"account_id": NaN}', "fund [NaN]"),
        ('{"account_id": {"$set": 7}}', 'fund [{"$set":7}]'),
        ('{"account_id": {"$set": [1, "a", null, {}]}}', 'fund [{"$set":["a",1,null,{}]}]'),
    ],
)
def test_arguments_that_were_changed_by_hand_have_a_limit_too(by_hand, limit):
    assert fetch.limit_of(by_hand) == limit
    assert is_rate(fetch.rate_limit_of(by_hand))


def test_half_of_a_surrogate_pair_has_a_limit_too():
    assert fetch.limit_of(r'{"account_id": "\ud800"}').startswith("fund #")


@pytest.mark.parametrize(("limit", "keeps_order"), [(1, True), (2, False)])
def test_only_a_limit_of_one_keeps_the_order(limit, keeps_order):
    @internal_mutation(concurrency=Concurrency(limit))
    def run_in_order(ctx: Context) -> None: ...

    assert run_in_order.keeps_order is keeps_order


def test_function_without_a_limit_keeps_no_order():
    @internal_mutation
    def run_freely(ctx: Context) -> None: ...

    assert (run_freely.concurrency, run_freely.rate_limit) == (None, None)
    assert run_freely.keeps_order is False


def test_rate_limit_keeps_no_order():
    @internal_mutation(rate_limit=RateLimit(1, per=SECOND))
    def begin_in_any_order(ctx: Context) -> None: ...

    assert begin_in_any_order.keeps_order is False
