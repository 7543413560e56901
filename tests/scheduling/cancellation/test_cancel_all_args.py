"""cancel_all(args=) cancels what has these arguments, equal and of the same type, on every database."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import IntEnum
from typing import Any
from uuid import UUID

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TransactionTestCase

from django_scheduler import Context, ctx, mutation
from django_scheduler.errors import InvalidArguments
from django_scheduler.models import ScheduledFunction, State
from tests.functions import note, write
from tests.models import Entry
from tests.values.test_comparison import VALUES, is_same

LATER = timedelta(hours=1)


class Number(IntEnum):
    ONE = 1


@mutation
def take_value(ctx: Context, *, value: object, other: int = 0) -> None: ...


@mutation
def take_any_value(ctx: Context, /, **values: object) -> None: ...


def canceled() -> list[int]:
    return list(ScheduledFunction.objects.filter(state=State.CANCELED).order_by("pk").values_list("pk", flat=True))


def test_of_one_order_and_of_no_other(transactional_db):
    ids = ctx.scheduler.run_after_many(LATER, take_value, [{"value": number % 3} for number in range(9)])
    assert ctx.scheduler.cancel_all(take_value, args={"value": 1}) == 3
    assert canceled() == ids[1::3]
    assert ctx.scheduler.cancel_all(take_value, args={"value": 1}) == 0
    assert ctx.scheduler.cancel_all(take_value, args={"value": 4}) == 0


def test_all_of_several_arguments_have_to_be_those(transactional_db):
    both, *_ = (ctx.scheduler.run_after(LATER, take_value, value=v, other=o) for v, o in [("a", 1), ("a", 2), ("b", 1)])
    assert ctx.scheduler.cancel_all(take_value, args={"value": "a", "other": 1}) == 1
    assert canceled() == [both]


def test_without_a_function_whatever_has_an_argument_of_that_name(transactional_db):
    ctx.scheduler.run_after(LATER, write, label="seven")
    ctx.scheduler.run_after(LATER, note, label="seven")
    ctx.scheduler.run_after(LATER, note, label="eight")
    ctx.scheduler.run_after(LATER, take_value, value="seven")
    assert ctx.scheduler.cancel_all(args={"label": "seven"}) == 2


def test_the_conditions_narrow_each_other(transactional_db):
    _, late = (ctx.scheduler.run_after(delay, write, label="a") for delay in (LATER, 3 * LATER))
    now = datetime.now(UTC)
    assert ctx.scheduler.cancel_all(write, start=now + 2 * LATER, args={"label": "b"}) == 0
    assert ctx.scheduler.cancel_all(write, start=now + 2 * LATER, args={"label": "a"}) == 1
    assert canceled() == [late]


def test_a_default_that_was_not_given_is_not_among_the_arguments(transactional_db):
    ctx.scheduler.run_after(LATER, take_value, value=1)
    assert ctx.scheduler.cancel_all(take_value, args={"other": 0}) == 0


def test_a_model_instance_is_the_one_with_its_primary_key(transactional_db):
    first, second = (Entry.objects.create(label="same") for _ in range(2))
    ids = [ctx.scheduler.run_after(LATER, take_value, value=entry) for entry in (first, second)]
    ctx.scheduler.run_after(LATER, take_value, value=first.pk)
    first.label = "renamed meanwhile"
    assert ctx.scheduler.cancel_all(take_value, args={"value": first}) == 1
    assert canceled() == ids[:1]


@pytest.mark.parametrize(
    "value",
    [
        *(True, 1, 1.0, Decimal(1), "1", Number.ONE, None, "", "$", 'say "hi"', "back\\slash", "ümlaut 😀", "nul \0"),
        *(
            2**63 - 1,
            -(2**63),
            2**63,
            date(2026, 1, 1),
            datetime(2026, 1, 1),
            UUID(int=7),
            [1],
            {"a": {"b": 1}},
            "x" * 300,
        ),
    ],
    ids=lambda value: ascii(value)[:20],
)
def test_each_value_finds_itself(value, transactional_db):
    itself = ctx.scheduler.run_after(LATER, take_value, value=value)
    others = [each for each in [True, 1, 1.0, Decimal(1), "1", None, "", [1], [True]] if not is_same(each, value)]
    ctx.scheduler.run_after_many(LATER, take_value, [{"value": each} for each in others])
    assert ctx.scheduler.cancel_all(take_value, args={"value": value}) == 1
    assert canceled() == [itself]


@pytest.mark.parametrize("name", ["order-id", "0", "a.b", "größe", 'say "hi"', "$x", "__x__", "a%b"])
def test_a_name_may_be_any_that_can_be_stored(name, transactional_db):
    ctx.scheduler.run_after(LATER, take_any_value, **{name: 7})
    ctx.scheduler.run_after(LATER, take_any_value, **{name: 8, "other": 7})
    assert ctx.scheduler.cancel_all(take_any_value, args={name: 7}) == 1


def test_of_a_function_that_is_gone_from_the_code(transactional_db):
    ctx.scheduler.run_after(LATER, take_value, value=7)
    ScheduledFunction.objects.update(name="tests:gone")
    assert ctx.scheduler.cancel_all("tests:gone", args={"value": 8}) == 0
    assert ctx.scheduler.cancel_all("tests:gone", args={"value": 7}) == 1


@pytest.mark.parametrize(
    ("call", "complaint"),
    [
        ({"function": take_value, "args": {}}, r"at least one, not {}. Nothing was canceled"),
        ({"args": {}}, r"at least one, not {}. Nothing was canceled"),
        ({"function": take_value, "args": [("value", 1)]}, "is a dict of arguments by their names"),
        (
            {"function": take_value, "args": {"valeu": 1}},
            r"tests:take_value has no parameter 'valeu'.*Did you mean 'value'\?",
        ),
        ({"function": "tests:take_value", "args": {"zzz": 1}}, r"It has: value, other\."),
        ({"function": take_value, "args": {"value": object()}}, "tests:take_value: argument value"),
        ({"args": {"value": object()}}, "argument value"),
        ({"args": {"value": 1}, "everything": True}, "takes nothing else"),
    ],
)
def test_what_cannot_be_meant_is_refused_and_nothing_is_canceled(call: dict[str, Any], complaint, transactional_db):
    ctx.scheduler.run_after(LATER, take_value, value=1)
    with pytest.raises(InvalidArguments, match=complaint):
        ctx.scheduler.cancel_all(**call)
    assert not canceled()


def test_rollback_restores_them(transactional_db):
    ctx.scheduler.run_after(LATER, take_value, value=7)
    with transaction.atomic():
        assert ctx.scheduler.cancel_all(take_value, args={"value": 7}) == 1
        transaction.set_rollback(True)
    assert not canceled()


def test_the_database_looks_for_what_it_can_so_that_few_arguments_are_read(transactional_db):
    ctx.scheduler.run_after_many(LATER, take_value, [{"value": number} for number in range(5_000)])
    with CaptureQueriesContext(connection) as captured:
        assert ctx.scheduler.cancel_all(take_value, args={"value": 4_711}) == 1
    assert len([each for each in captured.captured_queries if "SELECT" in each["sql"]]) < 10


def test_thousands_that_only_python_can_tell_apart(transactional_db):
    arguments = [{"value": Decimal(number % 2)} for number in range(2_500)]
    ids = ctx.scheduler.run_after_many(LATER, take_value, arguments)
    assert ctx.scheduler.cancel_all(take_value, args={"value": Decimal("1.0")}) == 1_250
    assert canceled() == ids[1::2]


def test_what_another_transaction_gives_other_arguments_meanwhile_is_not_canceled(session, another_session):
    ctx.scheduler.run_after(LATER, take_value, value=7)
    session.open_transaction()
    session.do(ScheduledFunction.objects.update, args={"value": 8})
    canceling = another_session.begin(ctx.scheduler.cancel_all, take_value, args={"value": 7})
    another_session.wait_until_it_waits()
    session.commit()
    assert canceling.result(timeout=30) == 0
    assert not canceled()


class OnEveryDatabase(TransactionTestCase):
    @settings(max_examples=30)
    @given(st.lists(VALUES, max_size=5), VALUES)
    def test_those_are_canceled_that_are_the_same_in_python(self, scheduled, wanted):
        ScheduledFunction.objects.all().delete()
        scheduled = [*scheduled, wanted]
        ids = ctx.scheduler.run_after_many(LATER, take_value, [{"value": value} for value in scheduled])
        ctx.scheduler.cancel_all(take_value, args={"value": wanted})
        same = [is_same(value, wanted) for value in scheduled]
        assert canceled() == [pk for pk, is_it in zip(ids, same, strict=True) if is_it]
