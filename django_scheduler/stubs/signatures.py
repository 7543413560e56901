"""What a function takes and returns, in the words of a stub, whatever its module has imported by which name.

Annotations are evaluated, and every class in them is named by its module: ``_orders_models.Order``. What has no name
that another module could import (a class within a function, a type variable) is ``Any``, and so is what cannot be
evaluated.
"""

from __future__ import annotations

import ast
import importlib.util
import inspect
import keyword
import sys
import types
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from functools import lru_cache, partial
from inspect import Parameter
from itertools import accumulate
from pathlib import Path
from typing import (  # noqa: UP035
    Annotated,
    Any,
    Literal,
    NewType,
    NotRequired,
    Required,
    Tuple,
    get_args,
    get_origin,
    get_type_hints,
)

from django_scheduler.functions import UNIONS, AnyFunction, annotation_of, annotation_of_result

#: Classes that are generic without saying so, and what stands for what they hold.
BARE = {
    **dict.fromkeys((list, set, frozenset, type), "[Any]"),
    dict: "[Any, Any]",
    tuple: "[Any, ...]",
}


class Imports:
    """Gives modules the names by which a stub knows them."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        #: Names that the stub has already.
        self.taken: set[str] = set()

    def name_of(self, module: str) -> str:
        """Return the name of a module, which is imported by it from now on."""
        if module not in self._names:
            name = f"_{module.replace('.', '_')}"
            while name in self.taken:
                name += "_"
            self.taken.add(name)
            self._names[module] = name
        return self._names[module]

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(f"import {module} as {name}" for module, name in self._names.items()))


class Signature:
    """Says what a function takes besides ``ctx``, and what it returns."""

    def __init__(self, function: AnyFunction, imports: Imports) -> None:
        self._function = function
        self._imports = imports
        parameters = function.signature.parameters.values()
        self._parameters = [key for each in parameters for key in self._keys_of(each) or [each]]
        #: Whether a stub can say which arguments it takes: within a class, such a name would be another one.
        self.is_known = not any(each.name.startswith("__") for each in self._parameters)

    @property
    def takes_others(self) -> bool:
        """Return whether it takes arguments of any name."""
        return not self.is_known or any(each.kind is Parameter.VAR_KEYWORD for each in self._parameters)

    @property
    def names(self) -> list[str]:
        return [each.name for each in self._named]

    @property
    def required(self) -> list[str]:
        """Return the names of the arguments that have no default."""
        return [each.name for each in self._named if each.default is Parameter.empty]

    def _keys_of(self, parameter: Parameter) -> list[Parameter]:
        """Return the keys of a ``TypedDict``, if it is ``**options: Unpack[Options]``; of any other nothing."""
        if parameter.kind is not Parameter.VAR_KEYWORD:
            return []
        annotation = self._evaluated(partial(annotation_of, self._function, parameter))
        if not str(get_origin(annotation)).endswith(".Unpack"):  # before Python 3.12, typing_extensions has its own
            return []
        try:
            return _keys_of_typed_dict(*get_args(annotation))
        except Exception:  # as in _evaluated
            return []

    @property
    def _named(self) -> list[Parameter]:
        return [each for each in self._parameters if each.kind is not Parameter.VAR_KEYWORD]

    def after(self, *first: str) -> str:
        """Return the parameters of a function that takes others first, such as ``ctx: Context``, by position."""
        taken = {each.name for each in self._parameters}
        parts = [_named_freely(each, taken) for each in first]
        parts.append("/")
        if not self.is_known:
            return ", ".join([*parts, "*args: Any", "**kwargs: Any"])
        is_by_name = False
        for each in self._parameters:
            if each.kind is Parameter.KEYWORD_ONLY and not is_by_name:
                parts.append("*")
                is_by_name = True
            stars = "**" if each.kind is Parameter.VAR_KEYWORD else ""
            default = "" if each.default is Parameter.empty else " = ..."
            parts.append(f"{stars}{each.name}: {self._type_of(each)}{default}")
        return ", ".join(parts)

    def fields(self, *, without: str = "") -> str:
        """Return the fields of a ``TypedDict`` of its arguments."""
        types = {each.name: self._type_of(each) for each in self._named if each.name != without}
        fields = [
            f'"{name}": {kind if name in self.required else f"NotRequired[{kind}]"}' for name, kind in types.items()
        ]
        return f"{{{', '.join(fields)}}}"

    @property
    def result(self) -> str:
        """Return what it returns, and for an async one what is awaited."""
        return self._text(partial(annotation_of_result, self._function))

    def _type_of(self, parameter: Parameter) -> str:
        return self._text(partial(annotation_of, self._function, parameter))

    def _text(self, evaluate: Callable[[Mapping[str, object]], Any]) -> str:
        try:
            return text_of(self._evaluated(evaluate), self._imports)
        except Exception:  # it is the project's, and may raise anything
            return "Any"

    def _evaluated(self, evaluate: Callable[[Mapping[str, object]], Any]) -> Any:
        known: dict[str, object] = {}
        while True:
            try:
                return evaluate(known)
            except NameError as error:
                name = error.name or ""
                if name in known or not self._imported_for_type_checkers(name, known):
                    return Any
            except Exception:  # as above
                return Any

    def _imported_for_type_checkers(self, name: str, known: dict[str, object]) -> bool:
        """Import what a name of its module is for type checkers only, and return whether there is such a thing."""
        try:
            module, attribute = imported_for_type_checkers(inspect.unwrap(self._function.body).__module__)[name]
            imported = importlib.import_module(module)
            known[name] = getattr(imported, attribute) if attribute else imported
        except (Exception, SystemExit):  # as above, and what is for type checkers may be a program
            return False
        return True


@lru_cache(maxsize=256)
def imported_for_type_checkers(module: str) -> dict[str, tuple[str, str]]:
    """Return the names that a module imports under ``TYPE_CHECKING``, each with where it is imported from."""
    file = getattr(sys.modules.get(module), "__file__", None)
    if file is None or not file.endswith(".py"):
        return {}
    places: dict[str, tuple[str, str]] = {}
    for block in ast.walk(ast.parse(Path(file).read_bytes())):
        if isinstance(block, ast.If) and ast.unparse(block.test).rpartition(".")[2] == "TYPE_CHECKING":
            for each in block.body:
                if isinstance(each, ast.ImportFrom):
                    package = sys.modules[module].__package__ or ""
                    source = importlib.util.resolve_name("." * each.level + (each.module or ""), package)
                    places |= {alias.asname or alias.name: (source, alias.name) for alias in each.names}
                elif isinstance(each, ast.Import):
                    for alias in each.names:
                        name = alias.asname or alias.name.partition(".")[0]  # what `import a.b` makes known is a
                        places[name] = (alias.name if alias.asname else name, "")
    return places


def _keys_of_typed_dict(typed_dict: Any) -> list[Parameter]:
    """Return parameters as the keys of a ``TypedDict``."""
    types, marked = get_type_hints(typed_dict), get_type_hints(typed_dict, include_extras=True)
    marks = {name: get_origin(annotation) for name, annotation in marked.items()}
    # What is marked in text, as after ``from __future__ import annotations``, is not in __required_keys__.
    required = {name for name in types if marks[name] is Required or name in typed_dict.__required_keys__}
    return [
        Parameter(
            name,
            Parameter.KEYWORD_ONLY,
            default=Parameter.empty if name in required and marks[name] is not NotRequired else None,
            annotation=annotation,
        )
        for name, annotation in types.items()
    ]


def text_of(annotation: Any, imports: Imports) -> str:
    """Return a type as a stub names it."""
    origin, args = get_origin(annotation), get_args(annotation)
    if annotation is Any:
        return "Any"
    if annotation is None or annotation is types.NoneType:
        return "None"
    if annotation is Ellipsis:
        return "..."
    if origin is Annotated:
        return text_of(args[0], imports)
    if origin in UNIONS:
        members = [text_of(each, imports) for each in args]
        return "Any" if "Any" in members else " | ".join(dict.fromkeys(members))
    if origin is Literal:
        values = [_text_of_literal(each, imports) for each in args]
        return "Any" if "Any" in values else f"Literal[{', '.join(values)}]"
    if origin is not None and any(isinstance(each, list) for each in args):
        return "Any"  # a Callable, which nobody can store
    name = _name_of(annotation if origin is None else origin, imports)
    if name == "Any":
        return name
    if args:
        return f"{name}[{', '.join(text_of(each, imports) for each in args)}]"
    if origin is tuple and annotation is not Tuple:  # noqa: UP006 (that is any tuple, and has no arguments either)
        return "tuple[()]"
    return name + _what_it_holds(annotation if origin is None else origin)


def _what_it_holds(annotation: Any) -> str:
    if annotation in BARE:
        return BARE[annotation]
    parameters = getattr(annotation, "__parameters__", ())
    return f"[{', '.join(['Any'] * len(parameters))}]" if isinstance(annotation, type) and parameters else ""


def _text_of_literal(value: object, imports: Imports) -> str:
    if isinstance(value, Enum):
        name = _name_of(type(value), imports)
        return "Any" if name == "Any" or keyword.iskeyword(value.name) else f"{name}.{value.name}"
    return ascii(value)


def _name_of(kind: Any, imports: Imports) -> str:
    """Return the name of what a module has, which may be a class, a ``NewType`` or a ``type`` statement."""
    is_alias = type(kind).__name__ == "TypeAliasType"
    if not (isinstance(kind, type | NewType) or is_alias):
        return "Any"  # and nobody knows more of Any, of a TypeVar, or of what Python will have besides
    path = getattr(kind, "__qualname__", kind.__name__)
    module = _module_that_has(kind, getattr(kind, "__module__", None) or "", path)
    if module in (None, "__main__") or any(map(keyword.iskeyword, f"{module}.{path}".split("."))):
        return "Any"
    if module == "builtins":
        return str(path)
    return f"{imports.name_of(module)}.{path}"


def _module_that_has(kind: Any, module: str, path: str) -> str | None:
    """Return the module that a class is to be imported from: its own, or the first package around a private one.

    What is private differs between versions: ``pathlib._local.Path`` is one of Python 3.13 only.
    """
    names = [*accumulate(module.split("."), "{}.{}".format)]
    is_private = any(part.startswith("_") for part in module.split("."))
    return next((name for name in (names if is_private else [module]) if _attribute(name, path) is kind), None)


def _attribute(module: str, path: str) -> Any:
    found: Any = sys.modules.get(module)
    for part in path.split("."):
        found = getattr(found, part, None)
    return found


def _named_freely(parameter: str, taken: set[str]) -> str:
    name, *annotation = parameter.split(":", 1)
    while name in taken:
        name += "_"
    return ":".join([name, *annotation])
