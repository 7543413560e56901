"""Dataclass instances by their fields, rebuilt through their constructor."""

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from functools import cache, partial
from inspect import unwrap
from typing import Any, TypeGuard

from django_scheduler.values.classes import class_named, name_of_class
from django_scheduler.values.containers import Decode, Encode
from django_scheduler.values.json_text import JSONValue
from django_scheduler.values.problem import ValueProblem, convert_members, malformed


def is_dataclass_instance(value: object) -> TypeGuard[Any]:
    return is_dataclass(value) and not isinstance(value, type)


def encode_dataclass(value: Any, depth: int, encode: Encode) -> JSONValue:
    cls = value.__class__
    class_name = name_of_class(cls)
    check_that_its_fields_make_it(cls)
    # A field that is not in the constructor need not have been set.
    state = {
        field.name: getattr(value, field.name) for field in fields(cls) if field.init or hasattr(value, field.name)
    }
    return {"$dataclass": [class_name, convert_members(partial(encode, depth=depth + 3), state)]}


def decode_dataclass(content: JSONValue, decode: Decode) -> object:
    match content:
        case [str(class_name), dict(stored)]:
            cls = class_named(class_name)
        case _:
            raise malformed(content)
    if not is_own_dataclass(cls):
        raise ValueProblem(f"{class_name} is not a dataclass")
    in_constructor = {field.name: field.init for field in fields(cls)}
    if removed := stored.keys() - in_constructor:
        raise ValueProblem(f"{class_name} has no field {', '.join(sorted(removed))} any more")
    state = convert_members(decode, stored)
    instance = cls(**{name: item for name, item in state.items() if in_constructor[name]})
    # All of them, because __post_init__ may have changed again what it had changed before.
    for name, item in state.items():
        object.__setattr__(instance, name, item)
    return instance


def is_own_dataclass(cls: type) -> TypeGuard[Any]:
    """Whether the class itself is decorated. If only its base is, the fields are not all of it."""
    return "__dataclass_fields__" in vars(cls)


@cache
def check_that_its_fields_make_it(cls: type) -> None:
    if not is_own_dataclass(cls):
        raise ValueProblem(f"{cls.__qualname__} cannot be stored: only its base is a dataclass; decorate it")
    in_constructor = {field.name for field in fields(cls) if field.init}
    if in_constructor != parameters_of(cls.__init__):
        raise ValueProblem(
            f"{cls.__qualname__} cannot be stored: its constructor takes other arguments than its fields,"
            " such as an InitVar; pass what it was made from"
        )


def parameters_of(method: Callable[..., object]) -> set[str]:
    # Not inspect.signature(): from Python 3.14 on it evaluates annotations, and those may name what is only
    # imported for type checkers.
    code = getattr(unwrap(method), "__code__", None)
    return set(code.co_varnames[1 : code.co_argcount + code.co_kwonlyargcount]) if code else set()
