"""Stored values are compared as Python compares the values, and by their types."""

import json
from collections.abc import Hashable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_scheduler.values import comparable, dump_arguments, findable, in_one_order

BERLIN = ZoneInfo("Europe/Berlin")


class Number(IntEnum):
    ONE = 1


class Letter(Enum):
    A = "a"


@dataclass
class Money:
    amount: Decimal


def stored(value: object) -> Any:
    return json.loads(dump_arguments("tests:any", {"value": value}))["value"]


def compared(value: object) -> Hashable:
    return comparable(stored(value))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Decimal("1.10"), Decimal("1.1")),
        (0.0, -0.0),
        (float("nan"), float("nan")),
        (1e300, 1e300),
        (10**30, 10**30),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ({1: "a", 2: "b"}, {2: "b", 1: "a"}),
        ({"a", "b", "c"}, {"c", "b", "a"}),
        (datetime(2026, 7, 1, 12, tzinfo=BERLIN), datetime(2026, 7, 1, 10, tzinfo=UTC)),
        (datetime(2026, 7, 1, 12, tzinfo=timezone(timedelta(hours=2))), datetime(2026, 7, 1, 10, tzinfo=UTC)),
        (datetime.min.replace(tzinfo=timezone(timedelta(hours=14))),) * 2,
        (Money(Decimal(1)), Money(Decimal("1.0"))),
        ("nul \0", "nul \0"),
    ],
)
def test_equal(one, other):
    assert compared(one) == compared(other)
    assert compared([one]) == compared([other])
    assert compared({"key": (one,)}) == compared({"key": (other,)})


DIFFERENT = [
    *(None, True, False, 1, 0, 1.0, 0.0, Decimal(1), "1", "", b"1", Number.ONE, Letter.A, "A", "a"),
    *(date(2026, 1, 1), datetime(2026, 1, 1), datetime(2026, 1, 1, tzinfo=UTC), "2026-01-01", time(1), timedelta(1)),
    *([], (), set(), frozenset(), {}, [1], (1,), {1}, frozenset({1}), {"1": 1}, {1: 1}, {True: 1}, [True], [[1]]),
    *({"$uuid": "00000000-0000-0000-0000-000000000001"}, UUID(int=1), str(UUID(int=1)), Money(Decimal(1))),
    *(float("nan"), "nan", Decimal("NaN"), Decimal("sNaN"), float("inf"), 10**30, 1e30),
    # In the hour that autumn repeats, the first time and the second
    *(datetime(2026, 10, 25, 2, 30, tzinfo=BERLIN), datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=BERLIN)),
]


def test_different():
    assert len({compared(value) for value in DIFFERENT}) == len(DIFFERENT)


@pytest.mark.parametrize("unreadable", [{"$decimal": "x"}, {"$newer": 1}, {"$set": 7}, {"$datetime": "soon"}], ids=str)
def test_what_this_version_cannot_read_equals_what_is_stored_in_the_same_words(unreadable):
    assert comparable(unreadable) == comparable(dict(unreadable))
    assert comparable(unreadable) not in {compared(value) for value in DIFFERENT}


LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([0.0, 1.0, 2.5]),
    st.sampled_from(["", "a", "1", "\0"]),
    st.decimals(allow_nan=False, allow_infinity=False, places=1, min_value=0, max_value=2),
    st.sampled_from([date(2026, 1, 1), datetime(2026, 1, 1), datetime(2026, 1, 1, tzinfo=UTC), Letter.A, Number.ONE]),
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=2),
        st.lists(inner, max_size=2).map(tuple),
        st.dictionaries(st.sampled_from(["a", "$b", 1, True]), inner, max_size=2),
    ),
    max_leaves=4,
)


def is_same(one: Any, other: Any) -> bool:
    """Whether two values are equal and of the same type, also inside: said once more, in another way."""
    if type(one) is not type(other):
        return False
    match one:
        case list() | tuple():
            return len(one) == len(other) and all(map(is_same, one, other))
        case dict():
            return len(one) == len(other) and all(
                any(is_same(key, its) and is_same(item, others) for its, others in other.items())
                for key, item in one.items()
            )
    return bool(one == other)


@given(VALUES, VALUES)
def test_any_two_values_are_the_same_stored_as_they_are_in_python(one, other):
    assert (compared(one) == compared(other)) == is_same(one, other)
    assert compared(one) == compared(one)


@given(VALUES)
def test_what_can_be_looked_for_is_where_it_is_said_to_be(value):
    if found := findable(stored(value)):
        path, plain = found
        place = stored(value)
        for key in path:
            place = place[key]
        assert place == plain
        assert type(place) is type(plain)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"$set": [2, 1, 10]}, {"$set": [10, 1, 2]}),
        ({"$frozenset": [{"$set": [2, 1]}, 3]}, {"$frozenset": [3, {"$set": [1, 2]}]}),
        ({"$dict": [[2, "b"], [1, {"y": 1, "x": 2}]]}, {"$dict": [[1, {"x": 2, "y": 1}], [2, "b"]]}),
        ({"b": [{"$set": ["y", "x"]}], "a": 1}, {"a": 1, "b": [{"$set": ["x", "y"]}]}),
    ],
)
def test_what_differs_in_its_order_alone_is_the_same_text_in_one_order(first, second):
    assert first != second or [*first] != [*second]
    assert json.dumps(in_one_order(first)) == json.dumps(in_one_order(second))
    assert comparable(in_one_order(first)) == comparable(first)


@pytest.mark.parametrize("value", [[2, 1], {"$tuple": [2, 1]}, {"$set": "ab"}, {"a": {"$int": "0x1"}}, None, "x"])
def test_what_has_an_order_keeps_it(value):
    assert in_one_order(value) == value
