"""The text of the stub: an overload for each function, wherever a function is named and its arguments follow.

What type checkers can see of a function is its shape, so each has a protocol, ``orders__archive``: a reference is one
to that protocol, and a decorated function is one if it can be called like it. Python has no way to make the type of a
dict of arguments from a signature, so each function has that too, ``orders__archive__arguments``.

Where two functions have the same shape, either overload of ``run_after_many`` takes either function, and rightly: what
is told from one shape fits every function that has it.
"""

from __future__ import annotations

import keyword
from collections.abc import Iterable, Iterator

from django_scheduler.functions import AnyFunction
from django_scheduler.models import Kind
from django_scheduler.record import BatchOutcome, Outcome
from django_scheduler.stubs.methods import methods
from django_scheduler.stubs.shapes import Shape, literal_of, shapes_of
from django_scheduler.stubs.signatures import Imports

MODULE = "django_scheduler_functions"
FILE_NAME = f"{MODULE}.pyi"

HEADER = '''\
# mypy: ignore-errors
# pyright: basic
# ruff: noqa
# ruff: noqa: PGH004
# fmt: off
# isort: skip_file
"""{about}"""

from collections.abc import Coroutine, Iterable, Mapping
from datetime import datetime, timedelta
from typing import (
    TYPE_CHECKING, Any, Literal, Never, NotRequired, ParamSpec, Protocol, TypeAlias, TypedDict, TypeVar, overload
)

from django_scheduler import BatchOutcome, Context, Outcome
from django_scheduler.crons.schedules import Schedule
from django_scheduler.functions import (
    Action, ActionOf, AnyReference, Function, FunctionOf, IsAction, IsMutation, Mutation, MutationOf, NotGiven,
    Reference,
)
from django_scheduler.scheduling.options import CallKey, Existing, Told
'''

VARIABLES = """
P = ParamSpec("P")
R = TypeVar("R")
When = TypeVar("When", contravariant=True)
Result = TypeVar("Result", covariant=True)
"""

#: Of the stub that is installed, and of a project without functions.
NO_FUNCTIONS = "What type checkers know of the references and names of functions, of which none are known here."
#: Of the stub of a project.
FUNCTIONS = (
    "What type checkers know of this project's functions. Written by `manage.py scheduler_stubs`: write it anew."
)

REFERENCES_WITHOUT_FUNCTIONS = """
class _App:
    def __getattr__(self, name: str) -> Reference[Any]: ...

class _Apps:
    def __getattr__(self, app_label: str) -> _App: ...

api: _Apps
internal: _Apps
"""


def stub_of(functions: Iterable[AnyFunction]) -> str:
    """Return the text of the stub that knows these functions; of one that takes any, if there are none."""
    imports = Imports()
    shapes = [*shapes_of(functions, imports)]
    references = _references(shapes)
    imports.taken |= references.keys()
    header = HEADER.format(about=FUNCTIONS if shapes else NO_FUNCTIONS)
    parts = [*_protocols(shapes), *_names(shapes), *methods(shapes), *references.values()]
    # Under TYPE_CHECKING, so that mypy looks at these, which import the package, after it has looked at the package.
    modules = ["\nif TYPE_CHECKING:", *(f"    {each}" for each in imports)] if [*imports] else []
    return "\n".join([header.rstrip("\n"), *modules, VARIABLES.rstrip("\n"), *parts, ""])


def _protocols(shapes: list[Shape]) -> Iterator[str]:
    for each in shapes:
        kind = "IsMutation" if each.function.kind is Kind.MUTATION else "IsAction"
        parameters = each.signature.after("self", "ctx: Context")
        yield f"\nclass {each.name}({kind}, Protocol):\n    def __call__({parameters}) -> {each.result}: ..."
        if not each.signature.takes_others:
            fields = each.signature.fields()
            yield "\n" + _typed_dict(each.arguments, fields)
            yield _typed_dict(each.some_arguments, fields, "total=False")
            if "outcome" in each.signature.names:
                yield _typed_dict(each.arguments_of_callback, each.signature.fields(without="outcome"))


def _typed_dict(name: str, *arguments: str) -> str:
    return f'{name} = TypedDict("{name}", {", ".join(arguments)})'


def _names(shapes: list[Shape]) -> Iterator[str]:
    callbacks = [each for each in shapes if not each.needs_arguments]
    names = {
        "FunctionName": shapes,
        "CallbackName": [each for each in callbacks if each.is_told(Outcome)],
        "BatchCallbackName": [each for each in callbacks if each.is_told(BatchOutcome)],
    }
    yield ""
    for alias, those in names.items():
        listed = literal_of(sorted(name for each in those for name in each.function.names))
        yield f"{alias}: TypeAlias = {listed if shapes else 'str'}"


def _references(shapes: list[Shape]) -> dict[str, str]:
    """Return classes by their names: what references begin with, and the functions of each app."""
    if not shapes:
        return {"_Apps": REFERENCES_WITHOUT_FUNCTIONS.rstrip("\n")}
    classes: dict[str, str] = {}
    for root, is_public in (("api", True), ("internal", False)):
        apps: dict[str, dict[str, str]] = {}
        for each in shapes:
            for app_label, _, last in (name.partition(":") for name in each.function.names):
                if each.function.public is is_public and not (keyword.iskeyword(last) or keyword.iskeyword(app_label)):
                    apps.setdefault(app_label, {})[last] = each.name
        for app_label, functions in sorted(apps.items()):
            lines = [f"    {last}: Reference[{shape}]" for last, shape in sorted(functions.items())]
            classes[f"_{root}_{app_label}"] = "\n".join([f"\nclass _{root}_{app_label}:", *lines])
        members = [f"    {app_label}: _{root}_{app_label}" for app_label in sorted(apps)] or ["    ..."]
        classes[f"_{root}"] = "\n".join([f"\nclass _{root}:", *members, f"\n{root}: _{root}"])
    return classes
