"""Classes by name: ``orders.models:Order.Status``."""

from importlib import import_module
from types import ModuleType

from django_scheduler.values.problem import ValueProblem


def name_of_class(cls: type) -> str:
    """The name by which every process finds this class; it is an error if there is none."""
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


def class_named(name: str) -> type:
    """The class of that name. Nothing is called or looked up on the way but modules and classes."""
    module_name, _, path = name.partition(":")
    if module_name.rpartition(".")[2] in ("__main__", "__mp_main__"):
        raise ValueProblem(f"{name} belongs to a program, not to a module that others can import")
    try:
        found: object = import_module(module_name)
        for step in path.split("."):
            found = contents(found)[step]
    except Exception as error:
        raise ValueProblem(f"{name} cannot be found any more") from error
    if not isinstance(found, type):
        raise ValueProblem(f"{name} is not a class")
    return found


def contents(holder: object) -> dict[str, object]:
    # vars() of a module or a class and not getattr(), which may run a property or a lazy object.
    if issubclass(type(holder), (ModuleType, type)):
        return vars(holder)
    raise TypeError(f"{type(holder).__qualname__} is neither a module nor a class")
