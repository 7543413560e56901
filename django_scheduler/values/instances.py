"""Members of enums, instances of dataclasses and of models are encoded with the name of their class, and decoded.

* An enum's member is stored by its own name: what its value means can change with the code, its name says it.
* A dataclass instance is stored by its fields, and rebuilt through its constructor.
* A model instance is stored by its primary key: what comes back is the row as it is then, from the database it was in.

The name of a class is ``orders.models:Order.Status``; that of a model is its label.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum, Flag
from functools import cache, partial
from importlib import import_module
from inspect import unwrap
from types import ModuleType
from typing import Any, TypeGuard

from django.apps import apps
from django.core.exceptions import ObjectDoesNotExist
from django.db import router
from django.db.models import Model

from django_scheduler.conf import get_settings
from django_scheduler.values.containers import Decode, Encode, convert_members
from django_scheduler.values.problem import ValueProblem, malformed
from django_scheduler.values.scalars import JSONValue


class InstanceGone(ValueProblem):
    """Says that the row of a model instance is gone, which no code can change."""


#: The metadata of a field of a dataclass whose value may be ``Gone``, so that all the others can be restored.
MAY_BE_GONE: dict[str, object] = {"django_scheduler": "may be gone"}


@dataclass(frozen=True, slots=True)
class Gone:
    """Stands for the value of a field that could not be restored, and says why."""

    problem: str

    def __repr__(self) -> str:
        return f"<cannot be restored: {self.problem}>"


def encode_enum(value: Enum) -> JSONValue:
    cls = value.__class__
    class_name = _name_of_class(cls)
    member_name = value._name_ or str(value._value_)  # a Flag without any known bit has no name
    found = _member_named(cls, member_name)
    if found is not value and found._value_ != value._value_:  # Python 3.11.2 makes combinations anew each time
        raise ValueProblem(f"{value!r} of {class_name} cannot be stored: it has no name")
    return {"$enum": [class_name, member_name]}


def decode_enum(content: JSONValue, decode: Decode) -> Enum:
    match content:
        case [str(class_name), str(member_name)]:
            cls = class_named(class_name)
        case _:
            raise malformed(content)
    if not issubclass(cls, Enum):
        raise ValueProblem(f"{class_name} is not an Enum")
    return _member_named(cls, member_name)


def _member_named(cls: type[Enum], name: str) -> Enum:
    if name in cls.__members__:
        return cls.__members__[name]
    try:
        if issubclass(cls, Flag):
            return _combination_named(cls, name)
    except ValueError:
        pass  # the same problem
    raise ValueProblem(f"{cls.__module__}:{cls.__qualname__} has no member {name!r}")


def _combination_named(cls: type[Flag], name: str) -> Flag:
    """Return the combination that Python calls ``READ|WRITE``, or ``READ|8`` where a bit has no name."""
    bits = 0
    for part in name.split("|"):
        bits |= cls.__members__[part]._value_ if part in cls.__members__ else int(part, 0)
    combination = cls(bits)
    if not isinstance(combination, cls) or combination._value_ != bits:
        raise ValueError(f"{cls.__qualname__} does not have all of the bits {bits:b}")
    return combination


def is_dataclass_instance(value: object) -> TypeGuard[Any]:
    return is_dataclass(value) and not isinstance(value, type)


def encode_dataclass(value: Any, depth: int, encode: Encode) -> JSONValue:
    cls = value.__class__
    class_name = _name_of_class(cls)
    _refuse_unless_its_constructor_takes_its_fields(cls)
    # A field that is not in the constructor need not have been set.
    state = {
        field.name: getattr(value, field.name) for field in fields(cls) if field.init or hasattr(value, field.name)
    }
    return {"$dataclass": [class_name, convert_members(partial(encode, depth=depth + 3), state)]}


def decode_dataclass(content: JSONValue, decode: Decode, *, is_final: bool = False) -> object:
    """Restore a dataclass.

    A field that may be gone is ``Gone`` if no code could restore it; with ``is_final``, if this code cannot.
    """
    match content:
        case [str(class_name), dict(stored)]:
            cls = class_named(class_name)
        case _:
            raise malformed(content)
    refuse_unknown_fields(cls, class_name, stored)
    in_constructor = {field.name: field.init for field in fields(cls)}
    may_be_gone = {field.name for field in fields(cls) if field.metadata == MAY_BE_GONE}
    state = convert_members(decode, {name: item for name, item in stored.items() if name not in may_be_gone})
    for name in may_be_gone & stored.keys():
        try:
            state |= convert_members(decode, {name: stored[name]})
        except ValueProblem as problem:
            if not (is_final or isinstance(problem, InstanceGone)):
                raise
            state[name] = Gone(str(problem).removeprefix(f".{name}: "))
    instance = cls(**{name: item for name, item in state.items() if in_constructor[name]})
    # All of them, because __post_init__ may have changed again what it had changed before.
    for name, item in state.items():
        object.__setattr__(instance, name, item)
    return instance


def refuse_unknown_fields(cls: type, class_name: str, stored: dict[str, JSONValue]) -> None:
    """Raise ``ValueProblem`` if the class is no dataclass, or has no such fields."""
    if not _is_own_dataclass(cls):
        raise ValueProblem(f"{class_name} is not a dataclass")
    if removed := stored.keys() - {field.name for field in fields(cls)}:
        raise ValueProblem(f"{class_name} has no field {', '.join(sorted(removed))} any more")


def _is_own_dataclass(cls: type) -> TypeGuard[Any]:
    """Return whether the class itself is decorated. If only its base is, the fields are not all of it."""
    return "__dataclass_fields__" in vars(cls)


@cache
def _refuse_unless_its_constructor_takes_its_fields(cls: type) -> None:
    if not _is_own_dataclass(cls):
        raise ValueProblem(f"{cls.__qualname__} cannot be stored: only its base is a dataclass; decorate it")
    in_constructor = {field.name for field in fields(cls) if field.init}
    if in_constructor != _parameters_of(cls.__init__):
        raise ValueProblem(
            f"{cls.__qualname__} cannot be stored: its constructor takes other arguments than its fields,"
            " such as an InitVar; pass what it was made from"
        )


def _parameters_of(method: Callable[..., object]) -> set[str]:
    # Not inspect.signature(): from Python 3.14 on it evaluates annotations, and those may name what is only
    # imported for type checkers.
    code = getattr(unwrap(method), "__code__", None)
    return set(code.co_varnames[1 : code.co_argcount + code.co_kwonlyargcount]) if code else set()


def encode_model(instance: Model, depth: int, encode: Encode) -> JSONValue:
    model = instance._meta.model  # not type(instance): request.user is a SimpleLazyObject
    label = model._meta.label_lower
    if model_labeled(label) is not model:
        raise ValueProblem(f"{label} cannot be stored: its model is not, or no longer, the installed one")
    if instance._state.adding or instance.pk is None:
        raise ValueProblem(f"an unsaved {label} cannot be stored; save it first")
    key = convert_members(partial(encode, depth=depth + 2), {"pk": instance.pk})
    return {"$model": [label, key["pk"], router.db_for_write(model, instance=instance)]}


def decode_model(content: JSONValue, decode: Decode) -> Model:
    match content:
        case [str(label), encoded_key, str(alias)]:
            model = model_labeled(label)
        case _:
            raise malformed(content)
    if model is None:
        raise ValueProblem(f"model {label} no longer exists")
    key = decode(encoded_key)
    try:
        return model._base_manager.using(alias).get(pk=key)
    except ObjectDoesNotExist:
        raise InstanceGone(f"{label} {key} no longer exists") from None


def model_labeled(label: str) -> type[Model] | None:
    try:
        return apps.get_model(label)
    except (LookupError, ValueError):
        return None


def _name_of_class(cls: type) -> str:
    """Return the name by which every process finds this class.

    Raises ``ValueProblem`` if there is none.
    """
    name = f"{cls.__module__}:{cls.__qualname__}"
    try:
        found = class_named(name)
    except ValueProblem:
        found = None
    if found is not cls:
        raise ValueProblem(
            f"{name} cannot be stored: no other process can find the class under this name;"
            " define it at the top level of a module"
        )
    return name


def class_named(name: str, *, is_loaded: bool = False) -> type:
    """Return the class of that name. Only modules and classes are looked up on the way, and nothing is called.

    A module that is not loaded yet is imported only if it is the project's: below an installed app, or below what the
    setting ``VALUE_MODULES`` names. If ``is_loaded``, it must be loaded.
    """
    module_name, _, path = name.partition(":")
    if not {"__main__", "__mp_main__"}.isdisjoint(module_name.split(".")):
        raise ValueProblem(f"{name} belongs to a program, not to a module that others can import")
    found: object = sys.modules.get(module_name)
    if found is None and is_loaded:
        raise ValueProblem(f"{name} cannot be checked, because its module is not loaded here")
    if found is None and not _is_of_the_project(module_name):
        raise ValueProblem(
            f"{name} cannot be found any more: its module is neither loaded, nor below an installed app or what"
            " DJANGO_SCHEDULER['VALUE_MODULES'] names. If it is there, name it in that setting"
        )
    try:
        found = found or import_module(module_name)
        for step in path.split("."):
            found = _contents(found)[step]
    except (Exception, SystemExit) as error:  # a program ends when it is imported
        raise ValueProblem(f"{name} cannot be found any more") from error
    if not isinstance(found, type):
        raise ValueProblem(f"{name} is not a class")
    return found


def _is_of_the_project(module_name: str) -> bool:
    if not all(part.isidentifier() for part in module_name.split(".")):
        return False
    named = get_settings().VALUE_MODULES
    return apps.get_containing_app_config(module_name) is not None or any(
        f"{module_name}.".startswith(f"{each}.") for each in named
    )


def _contents(holder: object) -> dict[str, object]:
    # vars() of a module or a class and not getattr(), which may run a property or a lazy object.
    if issubclass(type(holder), (ModuleType, type)):
        return vars(holder)
    raise TypeError(f"{type(holder).__qualname__} is neither a module nor a class")
