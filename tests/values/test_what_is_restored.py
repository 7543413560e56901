"""What is stored names classes: only the project's are restored, and checking that it can be restores nothing."""

import json
import sys
from dataclasses import dataclass
from enum import Enum, Flag
from typing import Any

import pytest
from django.test import override_settings

from django_scheduler.errors import InvalidArguments
from django_scheduler.values import check_arguments, decode, dump_arguments, load_arguments
from tests.models import Entry

HERE = __name__


class Level(Enum):
    LOW = 1


class Access(Flag):
    READ = 1
    WRITE = 2


made: list[Any] = []


@dataclass(frozen=True)
class Noticed:
    amount: Any
    currency: str = "EUR"

    def __post_init__(self) -> None:
        made.append(self)


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A function that writes a module, which others can import, outside of any app; its name is returned."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(name: str, text: str) -> str:
        (tmp_path / f"{name}.py").write_text(text)
        return name

    before = set(sys.modules)
    yield write
    for name in set(sys.modules) - before:
        if name.startswith("elsewhere"):
            del sys.modules[name]


MONEY = """
from dataclasses import dataclass
@dataclass
class Money:
    amount: int
"""


def money_of(name: str) -> Any:
    return {"$dataclass": [f"{name}:Money", {"amount": 1}]}


def test_a_module_outside_of_every_app_is_not_imported(module):
    name = module("elsewhere_unnamed", MONEY)

    with pytest.raises(InvalidArguments, match=r"elsewhere_unnamed:Money cannot be found any more: .*VALUE_MODULES"):
        decode(money_of(name))

    assert name not in sys.modules


def test_but_it_is_if_a_setting_names_it(module):
    name = module("elsewhere_named", MONEY)
    with override_settings(DJANGO_SCHEDULER={"VALUE_MODULES": ["elsewhere_named"]}):
        value: Any = decode(money_of(name))
    assert value.amount == 1


def test_the_setting_names_whole_names(module):
    name = module("elsewhere_named_too", MONEY)
    with (
        override_settings(DJANGO_SCHEDULER={"VALUE_MODULES": ["elsewhere_named"]}),
        pytest.raises(InvalidArguments, match="is neither loaded"),
    ):
        decode(money_of(name))


def test_or_if_it_is_loaded_already(module):
    name = module("elsewhere_loaded", MONEY)
    __import__(name)
    value: Any = decode(money_of(name))
    assert value.amount == 1


@pytest.mark.parametrize(
    "name", ["this", "antigravity", "tests.__main__", "tests.__main__.x", "tests..x", "tests/x", ""]
)
@pytest.mark.parametrize("tag", ["$enum", "$dataclass"])
def test_what_is_no_module_of_an_app_is_not_imported(name, tag):
    before = set(sys.modules)
    with pytest.raises(InvalidArguments):
        decode({tag: [f"{name}:Popen", {} if tag == "$dataclass" else "x"]})
    assert set(sys.modules) == before


def test_a_module_of_an_app_is_imported():
    sys.modules.pop("tests.values.colors", None)
    assert str(decode({"$enum": ["tests.values.colors:Color", "RED"]})) == "Color.RED"


def test_a_module_that_ends_the_process_is_a_value_that_is_gone(module):
    name = module("elsewhere_ends", "import sys\nsys.exit(3)\n")
    with (
        override_settings(DJANGO_SCHEDULER={"VALUE_MODULES": [name]}),
        pytest.raises(InvalidArguments, match="cannot be found any more"),
    ):
        decode(money_of(name))


STORED: dict[str, Any] = {
    "level": {"$enum": [f"{HERE}:Level", "LOW"]},
    "access": {"$enum": [f"{HERE}:Access", "READ|WRITE"]},
    "noticed": {"$dataclass": [f"{HERE}:Noticed", {"amount": {"$tuple": [1, {"$decimal": "1.10"}]}}]},
    "entry": {"$model": ["tests.entry", 7, "default"]},
    "set": {"$set": [{"$enum": [f"{HERE}:Level", "LOW"]}, {"$dataclass": [f"{HERE}:Noticed", {"amount": 1}]}]},
    "dict": {"$dict": [[{"$model": ["tests.entry", {"$uuid": "0" * 8 + "-" + "0" * 4 + "-4000-8000-" + "0" * 12},
                                    "default"]}, 1]]},
}  # fmt: skip


def test_checking_constructs_nothing_imports_nothing_and_reads_nothing(django_assert_num_queries):
    made.clear()
    before = set(sys.modules)

    arguments = check_arguments("tests:write", STORED)
    stored = json.loads(dump_arguments("tests:write", arguments))

    assert not made
    assert set(sys.modules) == before
    stored["set"]["$set"].sort(key=str)
    assert stored == {**STORED, "set": {"$set": sorted(STORED["set"]["$set"], key=str)}}


def test_what_was_checked_is_what_is_restored(db):
    entry = Entry.objects.create(label="x")
    stored = {**STORED, "entry": {"$model": ["tests.entry", entry.pk, "default"]}}
    del stored["dict"]

    text = dump_arguments("tests:write", check_arguments("tests:write", stored))

    assert load_arguments("tests:write", text) == {
        "level": Level.LOW,
        "access": Access.READ | Access.WRITE,
        "noticed": load_arguments("tests:write", {"it": STORED["noticed"]})["it"],
        "entry": entry,
        "set": {Level.LOW, Noticed(1)},
    }


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ({"$enum": [f"{HERE}:Level", "HIGH"]}, "has no member 'HIGH'"),
        ({"$enum": [f"{HERE}:Access", "READ|SHOUT"]}, "has no member 'SHOUT'"),
        ({"$enum": [f"{HERE}:Noticed", "HIGH"]}, "is not an Enum"),
        ({"$enum": "LOW"}, "malformed"),
        ({"$dataclass": [f"{HERE}:Noticed", {"price": 1, "amount": 1}]}, "has no field price any more"),
        ({"$dataclass": [f"{HERE}:Noticed", {"currency": "EUR"}]}, "needs its field amount"),
        ({"$dataclass": [f"{HERE}:Level", {}]}, "is not a dataclass"),
        ({"$dataclass": [f"{HERE}:Nothing", {}]}, "cannot be found any more"),
        ({"$dataclass": ["tests.no_such_module:Nothing", {}]}, "its module is not loaded here"),
        ({"$dataclass": ["subprocess_that_is_not_there:Popen", {}]}, "its module is not loaded here"),
        ({"$dataclass": [f"{HERE}:Noticed", {"amount": {"$decimal": "much"}}]}, "argument a.amount: .decimal cannot"),
        ({"$model": ["tests.nothing", 7, "default"]}, "there is no model tests.nothing"),
        ({"$model": ["tests.entry", 7, "nowhere"]}, "there is no database 'nowhere'"),
        ({"$model": ["tests.entry", 7]}, "malformed"),
        ({"$set": [[1]]}, "unhashable"),
        ({"$set": [{"$dataclass": [f"{HERE}:Noticed", {"amount": [1]}]}]}, "unhashable"),
        ({"$nothing": 1}, "is not known here"),
        ([[[]]], None),
    ],
)
def test_checking_says_what_is_wrong(value, problem):
    if problem is None:
        assert check_arguments("tests:write", {"a": value}) == {"a": value}
        return
    with pytest.raises(InvalidArguments, match=problem):
        check_arguments("tests:write", {"a": value})


PRIME = sys.hash_info.modulus


@pytest.mark.parametrize("tag", ["$set", "$frozenset", "$dict"])
@pytest.mark.parametrize("convert", [decode, lambda value: check_arguments("tests:write", {"a": value})])
def test_numbers_that_collide_do_not_take_quadratic_time(tag, convert):
    colliding: Any = [{"$int": hex(number * PRIME)} for number in range(30_000)]
    if tag == "$dict":
        colliding = [[number, None] for number in colliding]
    with pytest.raises(InvalidArguments, match=r"30,000 elements have the same hash"):
        convert({tag: colliding})


@pytest.mark.parametrize("make", [set, frozenset, dict.fromkeys])
def test_what_would_not_be_restored_is_not_stored(make):
    with pytest.raises(InvalidArguments, match=r"argument a: 1,001 elements have the same hash"):
        dump_arguments("tests:write", {"a": make([number * PRIME for number in range(1_001)])})


def test_many_numbers_and_a_few_that_collide_are_no_matter():
    numbers = {*range(20_000), *(number * PRIME for number in range(500))}
    assert decode({"$set": [{"$int": hex(number)} for number in numbers]}) == numbers
