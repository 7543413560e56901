"""Arguments and results come back equal and of the same type; what cannot is refused, in words that help."""

import io
import json
import math
import re
import uuid
from collections import Counter, OrderedDict, defaultdict, deque
from dataclasses import InitVar, dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from enum import Enum, Flag, IntEnum, IntFlag, StrEnum, auto
from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar, NamedTuple
from zoneinfo import ZoneInfo

import pytest
from django.db import DatabaseError, connection, models
from django.utils import timezone as django_timezone
from django.utils.functional import SimpleLazyObject
from django.utils.safestring import mark_safe
from django.utils.translation import gettext_lazy
from freezegun import freeze_time
from hypothesis import given
from hypothesis import strategies as st

from django_scheduler.errors import InvalidArguments
from django_scheduler.models import Kind, ScheduledFunction, State
from django_scheduler.values import (
    MAXIMUM_DEPTH,
    JSONValue,
    decode,
    dump_arguments,
    dump_result,
    encode,
    load_arguments,
    load_result,
    short_repr,
)

BERLIN = ZoneInfo("Europe/Berlin")


class Priority(IntEnum):
    LOW = 1
    URGENT = LOW_TOO = 2


class Color(StrEnum):
    RED = auto()


class Shape(Enum):
    ROUND = [1]


class Permission(Flag):
    READ = auto()
    WRITE = auto()
    RUN = auto()
    ALL = READ | WRITE | RUN


class Mode(IntFlag):
    READ = 4
    WRITE = 2


@dataclass
class Money:
    amount: Decimal
    currency: str = "EUR"


@dataclass(frozen=True, slots=True)
class Point:
    x: int
    y: int = field(kw_only=True)
    distance: float = field(init=False)

    def __post_init__(self):
        object.__setattr__(self, "distance", math.hypot(self.x, self.y))


@dataclass
class Doubled:
    value: int

    def __post_init__(self):
        self.value *= 2


@dataclass
class Positive:
    value: int

    def __post_init__(self):
        if self.value <= 0:
            raise ValueError(f"{self.value} is not positive")


@dataclass
class Account:
    balance: int
    opening: InitVar[int] = 0


class Savings(Money):
    pass


@dataclass
class Basket(dict):
    owner: str


class Parcel(models.Model):
    class Status(models.TextChoices):
        SENT = "sent", "Sent"

    class Size(models.IntegerChoices):
        SMALL = 1

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    weight = models.IntegerField(default=1)
    objects: ClassVar[models.Manager["Parcel"]] = models.Manager()

    class Meta:
        app_label = "tests"

    def __str__(self):
        raise AssertionError("nobody should ask for this")


class FragileParcel(Parcel):
    class Meta:
        app_label = "tests"
        proxy = True


class WithoutOffset(tzinfo):
    def utcoffset(self, moment, /):
        return None

    dst = tzname = utcoffset


class SummerTime(tzinfo):
    def utcoffset(self, moment, /):
        return timedelta(hours=2)

    dst = tzname = utcoffset


class Pair(NamedTuple):
    left: int
    right: int


VALUES = [
    None,
    True,
    False,
    0,
    -1,
    2**63 - 1,
    -(2**63),
    2**63,
    -(2**63) - 1,
    2**64,
    7**20_000,
    0.0,
    -0.0,
    1.0,
    0.1,
    0.1 + 0.2,
    9088544342.689998,
    1e15,
    1e16,
    1e300,
    5e-324,
    -1e-5,
    math.inf,
    -math.inf,
    math.nan,
    "",
    "ünï😀",
    "\0",
    "a\\x00\0",
    "\ud800",
    "\ud83d\ude00",
    "\uffff\x7f\u2028",
    "$datetime",
    "7",
    "null",
    '"x"',
    " ",
    [],
    [1, [2, [3]]],
    (),
    (1,),
    ((1, 2), [3]),
    set(),
    {1, 2.5, (2, 3)},
    frozenset({frozenset({1})}),
    {},
    {"a": {"b": None}},
    {"": 1},
    {"$datetime": "x"},
    {"$repr": "x"},
    {"a": 1, "$b": 2},
    {"a\0": 1},
    {"\ud800": 1},
    {"k" * 70_000: 1},
    {"é" * 40_000: 1},
    {1: "int", "1": "str", None: 0, (1, 2): 3, Decimal("1.5"): 4, date(2026, 1, 1): 5},
    {True: 1.5, 2.5: False},
    b"",
    bytes(range(256)),
    datetime(2026, 1, 2, 3, 4, 5, 6),
    datetime.min,
    datetime.max,
    datetime(2026, 1, 2, fold=1),
    datetime(2026, 1, 2, tzinfo=UTC),
    datetime(2026, 1, 2, tzinfo=timezone(timedelta(hours=-3, minutes=-30, seconds=-7, microseconds=-1))),
    datetime(2026, 1, 2, tzinfo=timezone(timedelta(microseconds=1))),
    datetime(2026, 1, 2, tzinfo=timezone(timedelta(hours=1, microseconds=1)), fold=1),
    datetime(2026, 7, 2, tzinfo=BERLIN),
    datetime(2026, 3, 29, 2, 30, tzinfo=BERLIN),  # the clocks skip this one
    datetime(2026, 3, 29, 2, 30, fold=1, tzinfo=BERLIN),
    datetime(2026, 10, 25, 2, 30, tzinfo=BERLIN),  # and strike this one twice
    datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=BERLIN),
    datetime(2026, 1, 2, tzinfo=ZoneInfo("UTC")),
    date.min,
    date(2026, 1, 2),
    time(),
    time(23, 59, 59, 999_999),
    time(2, 30, fold=1),
    time(2, 30, tzinfo=BERLIN, fold=1),
    time(2, 30, tzinfo=timezone(timedelta(hours=5, minutes=45))),
    timedelta(),
    timedelta.min,
    timedelta.max,
    timedelta(microseconds=-1),
    Decimal("1.10"),
    Decimal("-0"),
    Decimal("1E+1000000"),
    Decimal("sNaN12"),
    Decimal("-Infinity"),
    uuid.UUID(int=1),
    Priority.URGENT,
    Priority.LOW_TOO,
    Color.RED,
    Shape.ROUND,
    Parcel.Status.SENT,
    Parcel.Size.SMALL,
    Permission.READ,
    Permission.READ | Permission.RUN,
    Permission.ALL,
    Permission(0),
    Mode.READ | Mode.WRITE,
    Mode(4 | 1),
    Mode(1),
    re.IGNORECASE | re.DOTALL,
    {Priority.LOW: [Color.RED], Permission.ALL: Point(3, y=4)},
    Money(Decimal("1.10")),
    Point(3, y=4),
    [Doubled(21)],
    Money(Decimal(0), currency={"nested": (Money(Decimal(1)),)}),  # type: ignore[arg-type]
]


def deepest(wrap, value):
    """As deep as can be stored: every database must take it."""
    while True:
        try:
            dump_arguments("orders:ship", {"value": wrap(value)})
        except InvalidArguments:
            return value
        value = wrap(value)


VALUES += [
    deepest(wrap, innermost)
    for wrap in (lambda v: [v], lambda v: (v,), lambda v: frozenset({v}), lambda v: {"": v}, lambda v: {1: v}, Money)
    for innermost in (datetime(2026, 1, 2, tzinfo=BERLIN), (), Permission.READ, Point(3, y=4))
]


def assert_same(before, after):
    assert type(after) is type(before)
    match before:
        case float() | Decimal() | Flag():
            assert repr(after) == repr(before)
        case list() | tuple():
            assert len(after) == len(before)
            for one, other in zip(before, after, strict=True):
                assert_same(one, other)
        case dict():
            assert after.keys() == before.keys()
            assert Counter(map(type, after)) == Counter(map(type, before))
            for key in before:
                assert_same(before[key], after[key])
        case set() | frozenset():
            assert after == before
            assert Counter(map(type, after)) == Counter(map(type, before))
        case datetime() | time():
            assert after == before
            assert (after.tzinfo, after.fold) == (before.tzinfo, before.fold)
        case Money():
            assert_same(vars(before), vars(after))
        case _:
            assert after == before


def written(value):
    return hex(value)[:20] if type(value) is int else ascii(value)[:60]


def restored(value) -> Any:
    return load_arguments("orders:ship", dump_arguments("orders:ship", {"value": value}))["value"]


hashable_leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(st.characters()),
    st.sampled_from(["$", "$int", "$dict", "1", "null"]),
    st.binary(),
    st.decimals(allow_nan=False),
    st.uuids(),
    st.datetimes(timezones=st.none() | st.timezones()),
    st.datetimes(timezones=st.timedeltas(-timedelta(hours=23), timedelta(hours=23)).map(timezone)),
    st.dates(),
    st.times(timezones=st.none() | st.timezones()),
    st.timedeltas(),
    st.sampled_from([*Priority, *Color, *Parcel.Status]),
    st.integers(0, 7).map(Permission),
    st.integers(0, 31).map(Mode),
)
hashables = st.recursive(
    hashable_leaves,
    lambda inner: (
        st.tuples(inner, inner) | st.frozensets(inner, max_size=3) | st.builds(Point, st.just(3), y=st.just(4))
    ),
    max_leaves=5,
)
storable = st.recursive(
    hashables | st.floats() | st.decimals(),
    lambda inner: st.one_of(
        st.lists(inner),
        st.tuples(inner),
        st.sets(hashables, max_size=5),
        st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
        st.dictionaries(hashables, inner, max_size=5),
        st.builds(Money, inner, currency=inner),
    ),
    max_leaves=20,
)


@pytest.mark.parametrize("value", VALUES, ids=written)
def test_comes_back_equal_and_of_the_same_type(value):
    assert_same(value, restored(value))
    assert_same(value, load_result(dump_result(value)))
    assert_same(value, load_result(json.loads(dump_result(value))))
    assert_same(value, decode(encode(value)))


@given(storable)
def test_anything_made_of_them_comes_back_too(value):
    assert_same(value, restored(value))
    assert_same(value, load_result(dump_result(value)))


@pytest.mark.django_db
def test_each_comes_back_out_of_a_json_column():
    now = django_timezone.now()
    scheduled = ScheduledFunction.objects.create(
        name="orders:ship",
        kind=Kind.MUTATION,
        args={},
        state=State.SUCCESS,
        queue="default",
        priority=0,
        scheduled_time=now,
        due_time=now,
        creation_time=now,
        attempts=0,
    )
    for value in VALUES:
        with connection.cursor() as cursor:
            cursor.execute(
                f"UPDATE {ScheduledFunction._meta.db_table} SET args = %s, result = %s WHERE id = %s",
                [dump_arguments("orders:ship", {"value": value, "order_id": 7}), dump_result(value), scheduled.pk],
            )
        found = ScheduledFunction.objects.get(args__order_id=7)
        assert_same(value, load_arguments("orders:ship", found.args)["value"])
        assert_same(value, load_result(found.result))


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        (7, 7),
        (1.5, 1.5),
        ("late", "late"),
        ([None, True], [None, True]),
        ({"a": {"b": 1}}, {"a": {"b": 1}}),
        (datetime(2026, 1, 2, tzinfo=UTC), {"$datetime": "2026-01-02T00:00:00+00:00"}),
        (Decimal("1.10"), {"$decimal": "1.10"}),
        (Parcel.Status.SENT, {"$enum": [f"{__name__}:Parcel.Status", "SENT"]}),
        (Money(Decimal(1)), {"$dataclass": [f"{__name__}:Money", {"amount": {"$decimal": "1"}, "currency": "EUR"}]}),
    ],
)
def test_is_stored_in_a_readable_form(value, stored):
    assert encode(value) == stored


def test_is_ascii_and_compact():
    assert dump_arguments("orders:ship", {"a": "é", "b": [1, 2]}) == r'{"a":"\u00e9","b":[1,2]}'


def test_fields_that_the_constructor_changes_come_back_as_they_were():
    doubled = Doubled(21)
    assert doubled.value == 42
    assert restored(doubled).value == 42


def test_a_dataclass_may_gain_a_field_with_a_default():
    stored: JSONValue = {"$dataclass": [f"{__name__}:Money", {"amount": {"$decimal": "1"}}]}
    assert decode(stored) == Money(Decimal(1), "EUR")


def test_another_tzinfo_becomes_its_offset():
    moment = datetime(2026, 1, 2, tzinfo=SummerTime())
    assert restored(moment) == moment
    assert restored(moment).tzinfo == timezone(timedelta(hours=2))


def test_time_stands_still():
    real = datetime(2026, 1, 2, 3, tzinfo=UTC)
    with freeze_time(real):
        now, today = django_timezone.now(), date.today()
        text = dump_arguments("orders:ship", {"now": now, "today": today, "real": real})
        assert load_arguments("orders:ship", text) == {"now": now, "today": today, "real": real}
    assert load_arguments("orders:ship", text) == {"now": real, "today": date(2026, 1, 2), "real": real}


@pytest.mark.django_db
class TestModelInstance:
    @pytest.mark.parametrize("model", [Parcel, FragileParcel])
    def test_comes_back_as_the_row_is_then(self, model):
        parcel = model.objects.create()
        text = dump_arguments("orders:ship", {"parcel": parcel})
        model.objects.update(weight=5)
        after = load_arguments("orders:ship", text)["parcel"]
        assert isinstance(after, Parcel)
        assert (type(after), after, after.weight) == (model, parcel, 5)

    def test_may_be_lazy_as_request_user_is(self):
        parcel = Parcel.objects.create()
        assert restored(SimpleLazyObject(lambda: parcel)) == parcel

    def test_is_gone(self):
        parcel = Parcel.objects.create()
        text = dump_arguments("orders:ship", {"parcels": [1, parcel]})
        Parcel.objects.all().delete()
        with pytest.raises(
            InvalidArguments, match=rf"^orders:ship: argument parcels\[1\]: tests.parcel {parcel.pk} no longer exists$"
        ):
            load_arguments("orders:ship", text)

    def test_was_never_saved(self):
        with pytest.raises(
            InvalidArguments, match=r"argument parcel: an unsaved tests\.parcel cannot be stored; save it first"
        ):
            dump_arguments("orders:ship", {"parcel": Parcel()})

    def test_was_deleted(self):
        parcel = Parcel.objects.create()
        parcel.delete()
        with pytest.raises(InvalidArguments, match="unsaved"):
            encode(parcel)

    def test_an_error_of_the_database_is_not_an_error_of_the_arguments(self):
        stored: JSONValue = {"$model": ["tests.parcel", {"$uuid": str(uuid.uuid4())}, "default"]}
        with connection.execute_wrapper(connection_is_lost), pytest.raises(DatabaseError):
            decode(stored)

    def test_a_result_is_shown_without_asking_the_database(self, django_assert_num_queries):
        parcel = Parcel.objects.create()
        with django_assert_num_queries(0):
            assert load_result(dump_result(Parcel.objects.all())) == "<QuerySet of tests.Parcel>"
            assert load_result(dump_result([parcel, object])) == f"[<tests.Parcel {parcel.pk}>, <class 'object'>]"

    def test_a_lazy_result_is_shown_without_asking_the_database(self, django_assert_num_queries):
        parcel = Parcel.objects.create()
        unknown = SimpleLazyObject(Parcel.objects.get)  # as request.user is
        known = SimpleLazyObject(lambda: parcel)
        assert known.pk == parcel.pk  # so it is looked at
        queryset = SimpleLazyObject(Parcel.objects.all)
        assert queryset.model is Parcel
        with django_assert_num_queries(0):
            shown = short_repr([unknown, known, queryset])
        assert shown == f"[<SimpleLazyObject>, <tests.Parcel {parcel.pk}>, <QuerySet of tests.Parcel>]"


def connection_is_lost(execute, sql, params, many, context):
    raise DatabaseError("server closed the connection unexpectedly")


def local_class():
    @dataclass
    class Local:
        x: int = 1

    return Local()


def local_enum():
    class Local(Enum):
        A = 1

    return Local.A


def generator():
    yield 1


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (Parcel.objects.all(), "a QuerySet cannot be stored; pass a list of primary keys"),
        (Parcel.objects, "a Manager cannot be stored; pass a list of primary keys"),
        (Parcel, "a class cannot be stored; pass its name"),
        (int, "a class cannot be stored"),
        (generator, "a function cannot be stored; pass its name"),
        (len, "a function cannot be stored"),
        ([].append, "a function cannot be stored"),
        (generator(), r"a generator cannot be stored; pass list\(value\)"),
        (iter([]), r"a list_iterator cannot be stored; pass list\(value\)"),
        (range(3), r"a range cannot be stored; pass list\(value\)"),
        ({}.keys(), r"a dict_keys cannot be stored; pass list\(value\)"),
        (deque(), r"a deque cannot be stored; pass list\(value\)"),
        (io.BytesIO(), "a BytesIO cannot be stored; pass its path, or its content as bytes"),
        (Path("x"), r"a PosixPath cannot be stored; pass str\(value\)"),
        (bytearray(), r"a bytearray cannot be stored; pass bytes\(value\)"),
        (mark_safe("x"), 'a SafeString cannot be stored; pass "" \\+ value'),
        (gettext_lazy("x"), r"a lazy translation cannot be stored; pass str\(value\)"),
        (Pair(1, 2), r"a Pair cannot be stored; pass tuple\(value\)"),
        (OrderedDict(), r"an OrderedDict cannot be stored; pass dict\(value\)"),
        (defaultdict(list), r"a defaultdict cannot be stored; pass dict\(value\)"),
        (Basket("me"), r"a Basket cannot be stored; pass dict\(value\)"),
        (type("Number", (int,), {})(), r"a Number cannot be stored; pass int\(value\)"),
        (type("Span", (timedelta,), {})(), "a Span cannot be stored; pass a plain time or timedelta"),
        (Fraction(1, 3), "a Fraction cannot be stored; pass what it can be found or made from"),
        (1j, "a complex cannot be stored"),
        (object(), "an object cannot be stored"),
        (time(tzinfo=WithoutOffset()), "a time whose tzinfo has no offset cannot be stored; pass one with a ZoneInfo"),
        (local_class(), "Local cannot be stored: no other process can find the class under this name"),
        (local_enum(), "Local cannot be stored: no other process can find the class"),
        (Account(1), "Account cannot be stored: its constructor takes other arguments than its fields"),
        (Savings(Decimal(1)), "Savings cannot be stored: only its base is a dataclass; decorate it"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_what_cannot_be_stored_is_refused(value, message):
    with pytest.raises(InvalidArguments, match=message):
        dump_arguments("orders:ship", {"value": value})


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (1j, "value"),
        ([1, {"price": 1j}], "value[1].price"),
        ({"a b": (1, [1j])}, "value['a b'][1][0]"),
        ({1: 1j}, "value[1]"),
        ({(1, 1j): 1}, "value[(1, 1j)][1]"),
        ({1j}, "value[0]"),
        (Money(amount=1j), "value.amount"),  # type: ignore[arg-type]
    ],
)
def test_the_message_names_function_argument_and_path(value, path):
    with pytest.raises(
        InvalidArguments, match=rf"^orders:ship: argument {re.escape(path)}: a complex cannot be stored"
    ):
        dump_arguments("orders:ship", {"other": 1, "value": value})


def test_a_name_that_no_database_takes_is_refused():
    with pytest.raises(InvalidArguments, match=r"^orders:ship: 'a\\x00' cannot be stored as the name of an argument"):
        dump_arguments("orders:ship", {"a\0": 1})


def nested(levels):
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


def endless():
    value: list[Any] = []
    value.append(value)
    return value


@pytest.mark.parametrize("value", [nested(MAXIMUM_DEPTH), nested(1_000), nested(100_000), endless()])
def test_too_deep_is_refused(value):
    with pytest.raises(InvalidArguments, match=r"^orders:ship: argument value(\[0\])+: nested too deeply"):
        dump_arguments("orders:ship", {"value": value})


class CalledByTheDatabase(Exception):
    pass


class Trap:
    """What nothing in the database may set off."""

    def __init__(self, *args, **kwargs):
        raise CalledByTheDatabase

    @property
    def Inner(self):  # noqa: N802
        raise CalledByTheDatabase


trap = Trap.__new__(Trap)
HERE = __name__


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        ({"$enum": [f"{HERE}:Priority", "GONE"]}, f"{HERE}:Priority has no member 'GONE'"),
        ({"$enum": [f"{HERE}:Permission", "READ|GONE"]}, f"{HERE}:Permission has no member 'READ|GONE'"),
        ({"$enum": [f"{HERE}:Permission", "READ|64"]}, f"{HERE}:Permission has no member 'READ|64'"),
        ({"$enum": [f"{HERE}:Gone", "LOW"]}, f"{HERE}:Gone cannot be found any more"),
        ({"$enum": ["gone.away:Priority", "LOW"]}, "gone.away:Priority cannot be found any more"),
        ({"$dataclass": [f"{HERE}:Gone", {}]}, f"{HERE}:Gone cannot be found any more"),
        ({"$dataclass": [f"{HERE}:Money", {"amount": 1, "tax": 2}]}, f"{HERE}:Money has no field tax any more"),
        ({"$dataclass": [f"{HERE}:Money", {"currency": "EUR"}]}, "missing 1 required positional argument: 'amount'"),
        ({"$dataclass": [f"{HERE}:Positive", {"value": -1}]}, "ValueError: -1 is not positive"),
        ({"$dataclass": [f"{HERE}:Money", {"amount": {"$gone": 1}}]}, "value.amount: $gone is not known here"),
        ({"$model": ["gone.order", 7, "default"]}, "model gone.order no longer exists"),
        ({"$model": ["tests.parcel", "x", "default"]}, "$model cannot be restored: ValidationError"),
        ({"$model": ["tests.parcel", 7, "gone"]}, "$model cannot be restored: ConnectionDoesNotExist"),
        ({"$datetime": ["2026-01-02T00:00:00", "Gone/Zone", 0]}, "No time zone found with key Gone/Zone"),
        ({"$datetime": ["2026-01-02T00:00:00", "../../etc/passwd", 0]}, "$datetime cannot be restored: ValueError"),
        ({"$gone": 1}, "$gone is not known here; was it stored by a newer version?"),
        ([0, {"a": {"$gone": 1}}], "value[1].a: $gone is not known here"),
        ({"$tuple": [{"$gone": 1}]}, "value[0]: $gone is not known here"),
    ],
    ids=str,
)
def test_the_message_says_what_cannot_be_restored(stored, message):
    with pytest.raises(InvalidArguments, match=rf"^orders:ship: argument .*{re.escape(message)}"):
        load_arguments("orders:ship", {"value": stored})


@pytest.mark.parametrize(
    "stored",
    [
        {"$enum": ["builtins:eval", "1"]},
        {"$enum": ["os:system", "true"]},
        {"$enum": ["django.__main__:Any", "x"]},
        {"$enum": [f"{HERE}:Trap", "x"]},
        {"$enum": [f"{HERE}:trap.Inner", "x"]},
        {"$enum": [f"{HERE}:Money", "x"]},
        {"$enum": [f"{HERE}", "x"]},
        {"$enum": ["", ""]},
        {"$enum": "x"},
        {"$dataclass": [f"{HERE}:Trap", {}]},
        {"$dataclass": [f"{HERE}:trap.Inner", {}]},
        {"$dataclass": [f"{HERE}:Savings", {"amount": 1}]},
        {"$dataclass": [f"{HERE}:Priority", {}]},
        {"$dataclass": ["subprocess:Popen", {"args": ["true"]}]},
        {"$dataclass": [f"{HERE}:Money", [1]]},
        {"$model": ["tests.parcel", 7]},
        {"$model": ["parcel", 7, "default"]},
        {"$tuple": {}},
        {"$set": [[]]},
        {"$dict": [[[], 1]]},
        {"$dict": [[1]]},
        {"$int": "x"},
        {"$int": 7},
        {"$float": "x"},
        {"$decimal": "x"},
        {"$decimal": None},
        {"$uuid": "x"},
        {"$bytes": "?"},
        {"$bytes": "é"},
        {"$str": "\\x"},
        {"$datetime": "yesterday"},
        {"$datetime": ["2026-01-02T00:00:00", 86_400, 0]},
        {"$datetime": ["2026-01-02T00:00:00", [], 0]},
        {"$datetime": ["2026-01-02T00:00:00", None, 2]},
        {"$date": None},
        {"$timedelta": [10**10, 0, 0]},
        {"$timedelta": [1]},
    ],
    ids=str,
)
def test_the_database_is_not_trusted(stored):
    with pytest.raises(InvalidArguments, match=r"^orders:ship: argument value: "):
        load_arguments("orders:ship", {"value": stored})


@pytest.mark.parametrize("stored", ["", "{", "[]", "7", "null", "[" * 100_000, "9" * 5_000])
def test_stored_arguments_are_an_object(stored):
    with pytest.raises(InvalidArguments, match=r"^orders:ship: the stored arguments are not"):
        load_arguments("orders:ship", stored)


def test_stored_values_that_are_nested_without_end():
    with pytest.raises(InvalidArguments, match="nested too deeply"):
        load_arguments("orders:ship", {"value": nested(100_000)})


class Unspeakable:
    def __repr__(self):
        raise RuntimeError("no")


class Garbled:
    def __repr__(self):
        return "\0\ud800é" * 1_000


@pytest.mark.parametrize(
    ("result", "shown"),
    [
        (Fraction(1, 3), r"Fraction\(1, 3\)"),
        ([1, {2: 1j}], r"\[1, \{2: 1j\}\]"),
        (Parcel(), "<tests.Parcel .*>"),
        (mark_safe("<b>"), "'<b>'"),
        (local_class(), r"local_class.<locals>.Local\(x=1\)"),
        (Unspeakable(), "<Unspeakable instance at 0x.*>"),
        ([Unspeakable()], r"\[<Unspeakable instance at 0x.*>\]"),
        (Garbled(), r"\\x00\\ud800é.*"),
        (endless(), r"\[\[\[.*"),
        (nested(100_000), r"\[\[\[.*"),
        ([7**20_000, object], ".*"),
        ("x" * 2**20, "'x+\\.\\.\\.x+'"),
        (["x"] * 2**20, r"\['x', .*"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_result_that_cannot_be_stored_is_shown(result, shown):
    text = dump_result(result)
    assert json.loads(text).keys() == {"$repr"}
    after = load_result(text)
    assert isinstance(after, str)
    assert re.fullmatch(shown, after, re.DOTALL)
    assert len(after) <= 1_000
    assert encode(after) == after


def test_the_largest_result():
    assert dump_result("xyz", max_bytes=5) == '"xyz"'
    assert dump_result("wxyz", max_bytes=5) == """{"$repr":"'wxyz'"}"""
