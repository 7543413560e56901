"""What a body returns is recorded, whatever it is."""

import math

import pytest

from django_scheduler import Context, action, ctx, mutation
from django_scheduler.models import State
from tests.models import Entry
from tests.support.records import record


class Unprintable:
    def __repr__(self) -> str:
        raise RuntimeError("no")


class ExitsWhenShown:
    def __repr__(self) -> str:
        raise SystemExit("no")


class InterruptsWhenShown(dict):
    def items(self):
        raise KeyboardInterrupt

    __repr__ = __iter__ = __len__ = items


def nested(depth: int) -> list:
    value: list = []
    for _ in range(depth):
        value = [value]
    return value


def circular() -> list:
    value: list = []
    value.append(value)
    return value


RESULTS = {
    "nothing": (lambda: None, None),
    "number": (lambda: 2**70, 2**70),
    "text": (lambda: "a\0b\ud800 \N{GRINNING FACE}", "a\0b\ud800 \N{GRINNING FACE}"),
    "text that is JSON": (lambda: '{"a": 1}', '{"a": 1}'),
    "tuple": (lambda: (1, "b", None), (1, "b", None)),
    "infinite": (lambda: math.inf, math.inf),
    "object": (object, "<object object at"),
    "unprintable": (Unprintable, "<Unprintable"),
    "exits when shown": (ExitsWhenShown, "<ExitsWhenShown whose repr raises>"),
    "interrupts when shown": (InterruptsWhenShown, "<InterruptsWhenShown whose repr raises>"),
    "function": (lambda: nested, "<function nested"),
    "generator": (lambda: (each for each in "abc"), "<generator object"),
    "huge": (lambda: "x" * 2**21, "'xxx"),
    "nested": (lambda: nested(1_000), "[[[["),
    "circular": (circular, "[[[["),
    "query": (Entry.objects.all, "<QuerySet of tests.Entry>"),
}
CLOSE = {"object", "unprintable", "function", "generator", "huge", "nested", "circular", "query"}
CLOSE |= {"exits when shown", "interrupts when shown"}


@mutation
def write_and_return(ctx: Context, *, which: str) -> object:
    Entry.objects.create(label=which)
    make, _ = RESULTS[which]
    return make()


@action
def note_and_return(ctx: Context, *, which: str) -> object:
    Entry.objects.create(label=which)
    make, _ = RESULTS[which]
    return make()


@pytest.mark.parametrize("function", [write_and_return, note_and_return])
def test_any_result_is_recorded_and_if_need_be_as_text(execute_due, function):
    ids = {which: ctx.scheduler.run_after(0, function, which=which) for which in RESULTS}

    execute_due()

    for which, function_id in ids.items():
        _, expected = RESULTS[which]
        row = record(function_id)
        assert (row.state, row.error) == (State.SUCCESS, "")
        if which in CLOSE:
            assert str(row.decoded_result()).startswith(str(expected))
        else:
            assert row.decoded_result() == expected
            assert type(row.decoded_result()) is type(expected)
    assert Entry.objects.count() == len(RESULTS)


def test_model_instance_comes_back_as_the_row(execute_due):
    function_id = ctx.scheduler.run_after(0, return_entry)

    execute_due()

    assert record(function_id).decoded_result() == Entry.objects.get()


@mutation
def return_entry(ctx: Context) -> Entry:
    return Entry.objects.create(label="returned")
