"""Enum members by name: what a value means can change with the code, its name says it."""

from enum import Enum, Flag

from django_scheduler.values.classes import class_named, name_of_class
from django_scheduler.values.json_text import JSONValue
from django_scheduler.values.problem import ValueProblem, malformed


def encode_enum(value: Enum) -> JSONValue:
    cls = value.__class__
    class_name = name_of_class(cls)
    member_name = value._name_ or str(value._value_)  # a Flag without any known bit has no name
    found = member_named(cls, member_name)
    if found is not value and found._value_ != value._value_:  # Python 3.11.2 makes combinations anew each time
        raise ValueProblem(f"{value!r} of {class_name} cannot be stored: it has no name")
    return {"$enum": [class_name, member_name]}


def decode_enum(content: JSONValue) -> Enum:
    match content:
        case [str(class_name), str(member_name)]:
            cls = class_named(class_name)
        case _:
            raise malformed(content)
    if not issubclass(cls, Enum):
        raise ValueProblem(f"{class_name} is not an Enum")
    return member_named(cls, member_name)


def member_named(cls: type[Enum], name: str) -> Enum:
    if name in cls.__members__:
        return cls.__members__[name]
    try:
        if issubclass(cls, Flag):
            return combination_named(cls, name)
    except ValueError:
        pass  # the same problem
    raise ValueProblem(f"{cls.__module__}:{cls.__qualname__} has no member {name!r}")


def combination_named(cls: type[Flag], name: str) -> Flag:
    """The combination that Python calls ``READ|WRITE``, or ``READ|8`` where a bit has no name."""
    bits = 0
    for part in name.split("|"):
        bits |= cls.__members__[part]._value_ if part in cls.__members__ else int(part, 0)
    combination = cls(bits)
    if not isinstance(combination, cls) or combination._value_ != bits:
        raise ValueError(f"{cls.__qualname__} does not have all of the bits {bits:b}")
    return combination
