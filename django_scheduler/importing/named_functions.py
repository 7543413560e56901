"""Find the function that a task has become: the one that it is mapped to, or the only one of the same name."""

from __future__ import annotations

from collections.abc import Mapping

from django_scheduler.functions import AnyFunction, registry, resolve_to_schedule
from django_scheduler.importing.entries import Refusal
from django_scheduler.suggestions import nearest


class NamedFunctions:
    """Finds functions by the names of tasks."""

    def __init__(self, mapping: Mapping[str, str]) -> None:
        """Take which functions tasks have become: ``{"orders.tasks.send_mail": "orders:send"}``.

        Raises ``FunctionNotFound`` for a function that is not there.
        """
        self._mapped = {task: resolve_to_schedule(function) for task, function in mapping.items()}

    @property
    def mapped(self) -> set[str]:
        """Return the tasks that are mapped."""
        return {*self._mapped}

    def find(self, task: str) -> AnyFunction:
        """Return the function of a task.

        Without a mapping it is the one whose name is the last part of the task's; of several, the one whose app another
        part names.

        Raises ``Refusal``, and ``FunctionNotFound`` for one that executors would not find.
        """
        if task in self._mapped:
            return self._mapped[task]
        *path, last = task.split(".")
        found = [function for function in registry if function.last_name == last]
        if len(found) > 1:
            found = [function for function in found if function.name.partition(":")[0] in path] or found
        if len(found) == 1:
            return resolve_to_schedule(found[0])
        if found:
            names = " or ".join(sorted(function.name for function in found))
            raise Refusal(f"It runs {task}, which may be {names} here. Say which: --map {task}={found[0].name}.")
        near = nearest(last, {function.last_name for function in registry})
        like = sorted(function.name for function in registry if function.last_name == near)
        hint = f" The nearest is {like[0]!r}." if like else ""
        raise Refusal(
            f"It runs {task}, and no function is called {last} here.{hint} Decorate it with @internal_mutation or"
            f" @internal_action, or name another one: --map {task}=<app_label>:<name>."
        )
