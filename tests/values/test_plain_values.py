"""Plain arguments and results take a shorter way, at whose end is what the long one gives."""

import json
import re
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_scheduler.errors import InvalidArguments
from django_scheduler.values import dump_arguments, dump_result, encode, load_arguments, load_result, to_json


class Color(StrEnum):
    RED = "red"


class Number(int):
    """Is an int, but not one that comes back as what it was."""


TAGS = ["$", "$int", "$str", "$tuple", "$set", "$dict", "$gone", "a$", "a"]

texts = st.text(st.characters(), max_size=5) | st.sampled_from(
    [*TAGS, "0x10", "{}", "NaN", '"', "7", " 7", "t", "\ufeff1"]
)
#: All characters that UTF-8 has: what st.text() takes too, but it encodes each of them to find that out.
UNICODE = st.characters(exclude_categories=["Cs"])

leaves = st.one_of(
    st.none(), st.booleans(), st.integers(), st.integers(2**62, 2**65), st.floats(), texts, st.just(Color.RED)
)
refused = st.just(Number(1)) | st.just(object())
plain_and_others = st.recursive(
    leaves | refused,
    lambda inner: st.lists(inner, max_size=3) | st.tuples(inner) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)


def outcome(do: Any, *arguments: Any) -> tuple[type, str]:
    """What a call returns, with the types of all that is in it, or what it raises."""
    try:
        returned = do(*arguments)
    except InvalidArguments as error:
        return InvalidArguments, str(error)
    return type(returned), ascii(returned)


@given(st.dictionaries(texts.filter(str.isprintable), plain_and_others, max_size=3))
def test_arguments_are_stored_byte_for_byte_as_each_value_is_encoded(arguments):
    def one_by_one() -> str:
        encoded = {}
        for name, value in arguments.items():
            try:
                encoded[name] = encode(value, depth=1)
            except InvalidArguments as problem:
                path: Any = problem
                raise InvalidArguments(f"shop:sell: argument {name}{path.path}: {path.reason}") from None
        return to_json(encoded)

    assert outcome(dump_arguments, "shop:sell", arguments) == outcome(one_by_one)


stored = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=2),
    max_leaves=8,
)


@given(st.dictionaries(texts, stored, max_size=3), st.sampled_from(["", " ", "\n"]), st.booleans())
def test_stored_text_gives_what_the_same_gives_once_it_is_parsed(arguments, space, escapes):
    text = json.dumps(arguments)
    if escapes:  # as no database writes it, and as every one takes it
        text = text.replace("$", "\\u0024")
    assert outcome(load_arguments, "shop:sell", f"{space}{text}{space}") == outcome(
        load_arguments, "shop:sell", json.loads(text)
    )


@given(st.text(UNICODE, max_size=20) | stored.map(json.dumps))
def test_text_that_is_no_object_is_refused_in_the_words_of_json(text):
    try:
        problem = None if isinstance(json.loads(text), dict) else "a JSON object"
    except ValueError as error:
        problem = f"JSON: {error}"
    if problem:
        with pytest.raises(
            InvalidArguments, match=rf"^{re.escape(f'shop:sell: the stored arguments are not {problem}')}$"
        ):
            load_arguments("shop:sell", text)


@given(
    texts | st.text(UNICODE) | stored.map(json.dumps) | st.builds(str.__add__, st.sampled_from(" \t\n\r-\ufeff"), texts)
)
def test_a_result_that_is_text_comes_back_from_its_text_and_from_what_a_column_makes_of_it(text):
    written = dump_result(text)
    assert load_result(written) == text
    assert load_result(json.loads(written)) == text


def test_arguments_that_are_restored_are_a_dict_of_their_own():
    row = {"label": "a", "sizes": [1]}
    restored = load_arguments("shop:sell", row)
    restored["label"] = "b"
    assert row["label"] == "a"
