"""What is stored of enums, dataclasses and models is checked without being restored.

A form has to say whether arguments that somebody has typed can be stored. It must not do what is done with them later:
to import a module, call a constructor or read a row may do anything, and tells what there is. So each of these values
becomes an ``Unrestored``, which is stored as the value would be. What is beyond that, such as whether a model has that
row, is found out when the function is executed.
"""

from dataclasses import MISSING, dataclass, fields
from enum import Enum, Flag
from functools import partial

from django.db import connections

from django_scheduler.values import instances
from django_scheduler.values.containers import Decode, Encode, convert_members
from django_scheduler.values.problem import ValueProblem, malformed
from django_scheduler.values.scalars import JSONValue


@dataclass(frozen=True, slots=True)
class Unrestored:
    """Stands for a value that was not restored."""

    tag: str
    #: The name of its class, or the label of its model.
    name: str
    #: The ``member`` of an enum; or the fields of a dataclass; or the ``pk`` of a row, and the alias of its database.
    members: tuple[tuple[str, object], ...]


def encode_unrestored(value: Unrestored, depth: int, encode: Encode) -> JSONValue:
    around = 3 if value.tag == "$dataclass" else 2
    encoded = convert_members(partial(encode, depth=depth + around), dict(value.members))
    match value.tag:
        case "$dataclass":
            return {"$dataclass": [value.name, encoded]}
        case tag:
            return {tag: [value.name, *encoded.values()]}


def check_enum(content: JSONValue, decode: Decode) -> Unrestored:
    match content:
        case [str(class_name), str(member_name)]:
            cls = instances.class_named(class_name, is_loaded=True)
        case _:
            raise malformed(content)
    if not issubclass(cls, Enum):
        raise ValueProblem(f"{class_name} is not an Enum")
    names = member_name.split("|") if issubclass(cls, Flag) else [member_name]
    for name in names:
        if name not in cls.__members__ and not (issubclass(cls, Flag) and name.isdecimal()):
            raise ValueProblem(f"{class_name} has no member {name!r}")
    return Unrestored("$enum", class_name, (("member", member_name),))


def check_dataclass(content: JSONValue, decode: Decode) -> Unrestored:
    match content:
        case [str(class_name), dict(stored)]:
            cls = instances.class_named(class_name, is_loaded=True)
        case _:
            raise malformed(content)
    instances.refuse_unknown_fields(cls, class_name, stored)
    needed = [field.name for field in fields(cls) if field.init and field.default is field.default_factory is MISSING]
    if missing := [name for name in needed if name not in stored]:
        raise ValueProblem(f"{class_name} needs its field {', '.join(missing)}")
    return Unrestored("$dataclass", class_name, tuple(convert_members(decode, stored).items()))


def check_model(content: JSONValue, decode: Decode) -> Unrestored:
    match content:
        case [str(label), encoded_key, str(alias)]:
            model = instances.model_labeled(label)
        case _:
            raise malformed(content)
    if model is None:
        raise ValueProblem(f"there is no model {label}")
    if alias not in connections:
        raise ValueProblem(f"there is no database {alias!r}")
    return Unrestored("$model", label, (("pk", decode(encoded_key)), ("alias", alias)))
