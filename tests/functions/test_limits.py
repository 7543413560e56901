"""How many bodies run at once: what can be declared, and by what the limit of a call is known."""

import json
import subprocess
import sys
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import pytest
from django.core.exceptions import ImproperlyConfigured
from hypothesis import given
from hypothesis import strategies as st

from django_scheduler import Concurrency, Context, action, internal_action, internal_mutation, mutation
from django_scheduler.functions import AnyFunction, name_of_limit, registry
from django_scheduler.values import dump_arguments
from tests.models import Entry

#: As code calls it that no type checker has seen.
concurrency_of: Any = Concurrency


class Currency(Enum):
    EUR = "€"


@internal_action(concurrency=Concurrency(2, key="account_id", name="bank"))
def fetch(ctx: Context, *, account_id: Any, since: Any = None) -> None: ...


@internal_mutation(concurrency=Concurrency(1, key=("account_id", "currency"), name="books"))
def settle(ctx: Context, /, account_id: Any, currency: Any = Currency.EUR, **more: Any) -> None: ...


def key_of(function: AnyFunction, **arguments: Any) -> str:
    """The key of a call, as an executor finds it in the arguments on record."""
    return function.limit_key(dump_arguments(function.name, arguments))


def test_number_comes_first():
    assert Concurrency(2) == Concurrency(limit=2, key=(), name=None)


def test_declared_limit_does_not_change():
    limit: Any = Concurrency(2)
    with pytest.raises(AttributeError):
        limit.limit = 3


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
        (lambda: concurrency_of(2, key=["account_id"]), "a tuple of names: .*, not .'account_id'.*"),
        (lambda: concurrency_of(2, key=None), "a tuple of names: .*, not None"),
        (lambda: concurrency_of(2, key=(7,)), "a tuple of names: .*, not .7,."),
        (lambda: concurrency_of(2, key=lambda account_id: account_id), "a tuple of names: .*, not <function"),
        (lambda: concurrency_of(2, key=""), "'' cannot be the name of one"),
        (lambda: concurrency_of(2, key=("account_id", "")), "'' cannot be the name of one"),
        (lambda: concurrency_of(2, key="account id"), "'account id' cannot be the name of one"),
        (lambda: concurrency_of(2, key="account_id, currency"), "'account_id, currency' cannot be the name of one"),
        (lambda: concurrency_of(2, key=("account_id", "account_id")), "names a parameter twice"),
        (lambda: concurrency_of(2, name=7), "must be the name of a limit, as text, not 7"),
        (lambda: concurrency_of(2, name=b"bank"), "must be the name of a limit, as text, not b'bank'"),
        (lambda: concurrency_of(2, name=""), "must have 1 to 255 characters .*, not ''"),
        (lambda: concurrency_of(2, name="b" * 256), "must have 1 to 255 characters"),
        (lambda: concurrency_of(2, name="the bank"), "no blanks, not 'the bank'"),
        (lambda: concurrency_of(2, name="the\u2003bank"), r"no blanks, not 'the\\u2003bank'"),
        (lambda: concurrency_of(2, name="bank\n"), r"characters that can be printed, .*, not 'bank\\n'"),
        (lambda: concurrency_of(2, name="bank\0"), r"characters that can be printed, .*, not 'bank\\x00'"),
        (lambda: concurrency_of(2, name="bank\ud800"), r"characters that can be printed, .*, not 'bank\\ud800'"),
    ],
)
def test_what_can_be_no_limit_is_refused(declare, problem):
    with pytest.raises((TypeError, ValueError), match=problem):
        declare()


@pytest.mark.parametrize("decorator", [mutation, internal_mutation, action, internal_action])
def test_every_function_may_have_a_limit(decorator):
    @decorator(concurrency=Concurrency(3))
    def run_thrice(ctx: Context) -> None: ...

    assert run_thrice.concurrency == Concurrency(3)
    assert run_thrice.limit_name == "tests:run_thrice"


@pytest.mark.parametrize("concurrency", [2, True, "bank", ("account_id",), Concurrency])
def test_what_is_no_concurrency_is_refused(concurrency):
    with pytest.raises(ImproperlyConfigured, match=r"concurrency= must be a Concurrency, as in .*Concurrency\(2\)"):

        @action(concurrency=concurrency)
        def run_somehow(ctx: Context) -> None: ...


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
def test_key_that_is_no_argument_is_refused_with_the_function(key, problem):
    with pytest.raises(ImproperlyConfigured) as refused:

        @action(concurrency=Concurrency(2, key=key))
        def fetch_something(context: Context, /, account_id: int, *, currency: str = "EUR", **more: int) -> None: ...

    assert f"fetch_something cannot be an action: concurrency=: the key {problem}" in str(refused.value)


def test_key_of_a_function_without_arguments_is_refused():
    with pytest.raises(ImproperlyConfigured, match="'account_id' is none of its arguments"):

        @action(concurrency=Concurrency(2, key="account_id"))
        def fetch_nothing(ctx: Context) -> None: ...


def test_without_a_key_all_calls_share_the_limit():
    @internal_action(concurrency=Concurrency(2))
    def fetch_all(ctx: Context, *, account_id: int) -> None: ...

    assert key_of(fetch_all, account_id=7) == key_of(fetch_all, account_id=8) == "tests:fetch_all"


def test_functions_with_the_same_name_share_the_limit():
    @internal_mutation(concurrency=Concurrency(2, key="account", name="bank"))
    def send(ctx: Context, *, account: int, amount: int) -> None: ...

    assert key_of(send, account=7, amount=100) == key_of(fetch, account_id=7) == "bank [7]"


def test_registry_knows_the_number_of_each_limit():
    limits = registry.limits()

    assert (limits["bank"].limit, limits["books"].limit) == (2, 1)
    assert all(limits[each.limit_name].limit == each.concurrency.limit for each in registry if each.concurrency)


def test_limit_of_a_renamed_function_is_called_like_the_function():
    @internal_mutation(name="new", aliases=("old",), concurrency=Concurrency(2))
    def renamed(ctx: Context) -> None: ...

    assert key_of(renamed) == "tests:new"


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        ({"account_id": 7}, "bank [7]"),
        ({"account_id": 7, "since": date(2026, 1, 1)}, "bank [7]"),
        ({"account_id": "7"}, 'bank ["7"]'),
        ({"account_id": True}, "bank [true]"),
        ({"account_id": 1.5}, "bank [1.5]"),
        ({"account_id": None}, "bank [null]"),
        ({"account_id": "Ümläut\n"}, 'bank ["Ümläut\\n"]'),
        ({"account_id": "nul \0"}, 'bank [{"$str":"nul \\\\x00"}]'),
        ({"account_id": Currency.EUR}, 'bank [{"$enum":["tests.functions.test_limits:Currency","EUR"]}]'),
        ({"account_id": date(2026, 1, 2)}, 'bank [{"$date":"2026-01-02"}]'),
        ({"account_id": datetime(2026, 1, 2, tzinfo=UTC)}, 'bank [{"$datetime":"2026-01-02T00:00:00+00:00"}]'),
        ({"account_id": Decimal("1.10")}, 'bank [{"$decimal":"1.10"}]'),
        ({"account_id": UUID(int=1)}, 'bank [{"$uuid":"00000000-0000-0000-0000-000000000001"}]'),
        ({"account_id": (7, 8)}, 'bank [{"$tuple":[7,8]}]'),
        ({"account_id": [7, {"b": 1, "a": 2}]}, 'bank [[7,{"a":2,"b":1}]]'),
    ],
)
def test_values_are_told_apart_as_they_are_stored(arguments, key):
    assert key_of(fetch, **arguments) == key


def test_a_model_instance_has_its_own_limit_however_its_fields_change(db):
    entry = Entry.objects.create(label="before")
    before = key_of(fetch, account_id=entry)
    entry.label = "after"

    assert key_of(fetch, account_id=entry) == before == f'bank [{{"$model":["tests.entry",{entry.pk},"default"]}}]'


def test_key_of_several_parameters_has_their_values_in_its_order():
    assert key_of(settle, currency="USD", account_id=7) == 'books [7,"USD"]'


def test_argument_that_a_call_leaves_out_has_its_default():
    assert key_of(settle, account_id=7) == key_of(settle, account_id=7, currency=Currency.EUR)
    assert key_of(settle, account_id=7) != key_of(settle, account_id=7, currency=None)


def test_default_that_cannot_be_stored_is_one_value_too():
    @internal_action(concurrency=Concurrency(2, key="account", name="bank"))
    def fetch_some(ctx: Context, *, account: object = object()) -> None: ...

    assert key_of(fetch_some) == "bank [null]"
    assert key_of(fetch_some, account=7) == "bank [7]"


def test_arguments_of_any_name_do_not_change_the_limit():
    assert key_of(settle, account_id=7, note="x", name="y") == key_of(settle, account_id=7)


def test_long_values_are_known_by_their_hash():
    one, other = (key_of(fetch, account_id="x" * 1000 + last) for last in "ab")

    assert one != other
    assert one == key_of(fetch, account_id="x" * 1000 + "a")
    assert len(one) == len(other) <= 100
    assert name_of_limit(one) == "bank"


#: Prints the key of a set, and of a dict whose keys are no texts: Python has another order in each process.
PRINT_KEYS = """
import django; django.setup()
from tests.functions.test_limits import fetch, key_of
print(key_of(fetch, account_id={"a", "b", "c", "d"}), key_of(fetch, account_id={("a",): {"x", "y", "z"}, ("b",): 2}))
"""


def test_sets_that_are_equal_share_the_limit_whatever_process_has_made_them(monkeypatch):
    found = set()
    for seed in ("1", "2", "3"):
        monkeypatch.setenv("PYTHONHASHSEED", seed)
        done = subprocess.run([sys.executable, "-c", PRINT_KEYS], check=True, capture_output=True, text=True)
        found.add(done.stdout)
    assert len(found) == 1


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3) | st.tuples(inner),
    max_leaves=8,
)


@given(values)
def test_key_is_the_same_however_a_database_writes_the_arguments(value):
    stored = dump_arguments("tests:fetch", {"since": 1, "account_id": value})
    rewritten = json.dumps(json.loads(stored), indent=2, sort_keys=True, ensure_ascii=False)

    key = fetch.limit_key(stored)

    assert fetch.limit_key(rewritten) == key
    assert name_of_limit(key) == "bank"
    assert len(key) <= 400
    key.encode()


@pytest.mark.parametrize(
    ("by_hand", "key"),
    [
        ("", "bank"),
        ("no JSON", "bank"),
        ("[7]", "bank"),
        ("null", "bank"),
        ('"account_id"', "bank"),
        ("9" * 5000, "bank"),
        ("[" * 100_000, "bank"),
        ('{"account_id":' + "[" * 100_000, "bank"),
        ("{}", "bank [null]"),
        ('{"account": 7}', "bank [null]"),
        ('{"account_id": NaN}', "bank [NaN]"),
        ('{"account_id": {"$set": 7}}', 'bank [{"$set":7}]'),
        ('{"account_id": {"$set": [1, "a", null, {}]}}', 'bank [{"$set":["a",1,null,{}]}]'),
    ],
)
def test_arguments_that_were_changed_by_hand_have_a_limit_too(by_hand, key):
    assert fetch.limit_key(by_hand) == key


def test_half_of_a_surrogate_pair_has_a_limit_too():
    assert fetch.limit_key(r'{"account_id": "\ud800"}').startswith("bank #")


@pytest.mark.parametrize(("limit", "keeps_order"), [(1, True), (2, False)])
def test_only_a_limit_of_one_keeps_the_order(limit, keeps_order):
    @internal_mutation(concurrency=Concurrency(limit))
    def run_in_order(ctx: Context) -> None: ...

    assert run_in_order.keeps_order is keeps_order


def test_function_without_a_limit_keeps_no_order():
    @internal_mutation
    def run_freely(ctx: Context) -> None: ...

    assert run_freely.concurrency is None
    assert run_freely.keeps_order is False
