"""The backend: it enqueues a task by scheduling it, as part of the transaction that is open."""

from __future__ import annotations

from typing import Any

from asgiref.sync import iscoroutinefunction
from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.db import connections, router
from django.tasks.backends.base import BaseTaskBackend
from django.tasks.exceptions import InvalidTask, TaskResultDoesNotExist
from django.tasks.signals import task_enqueued
from django.utils.json import normalize_json

from django_scheduler import ctx
from django_scheduler.functions import LIMIT_OPTIONS, Retry, problem_of_limit
from django_scheduler.models import LARGEST_ID, LONGEST_NAME, Kind, ScheduledFunction
from django_scheduler.scheduling import Scheduler
from django_scheduler.signals import function_finished
from django_scheduler.suggestions import which_there_are
from django_scheduler.tasks.function import function_of
from django_scheduler.tasks.result import announce, announce_end, result_of
from django_scheduler.tasks.task import (
    AnyTask,
    SchedulerTask,
    as_plain,
    find_task,
    limits_of,
    retry_of,
    with_values,
)

OPTIONS = ("kind", "database", "max_attempts", "backoff", *LIMIT_OPTIONS)


class SchedulerBackend(BaseTaskBackend):
    """Schedules Django's tasks as functions.

    ``OPTIONS``: ``kind``, which kind a task is that does not say so itself (default: ``"action"``); ``database``,
    the alias of the database that they are scheduled in (default: the router's); ``max_attempts`` and ``backoff``, how
    often a task is tried that does not say so itself, and with what waits (default: once); ``concurrency``, how many
    bodies of such a task run at once, and ``rate_limit``, how many begin within a period (default: any number).
    """

    task_class = SchedulerTask
    supports_defer = True
    supports_async_task = True
    supports_get_result = True
    supports_priority = True

    def __init__(self, alias: str, params: dict[str, Any]) -> None:
        super().__init__(alias, params)
        if alias in settings.TASKS:
            function_finished.connect(announce_end)  # for a subclass, of which nobody has known until now

    @property
    def using(self) -> str:
        """Return the alias of the database that tasks are scheduled in outside of scheduled functions."""
        return str(self.options.get("database") or router.db_for_write(ScheduledFunction))

    def kind_of(self, task: AnyTask) -> Kind:
        """Return the kind as which the task is executed when it is enqueued here.

        Raises ``InvalidTask`` if it names no kind.
        """
        kind = getattr(task, "kind", None) or self.options.get("kind", Kind.ACTION)
        if kind not in Kind.values:
            raise InvalidTask(f"kind must be {' or '.join(map(repr, Kind.values))}, not {kind!r}.")
        return Kind(kind)

    def validate_task(self, task: AnyTask) -> None:
        super().validate_task(task)
        if self.kind_of(task) is Kind.MUTATION and iscoroutinefunction(task.func):
            raise InvalidTask(
                f"{task.module_path} is async, and Django's transactions are synchronous: a task of the kind"
                " 'mutation' is a plain function."
            )
        try:
            retry_of(task)
        except (TypeError, ValueError) as error:
            raise InvalidTask(f"{task.module_path} cannot be tried again like this: {error}") from None
        try:
            limits_of(task)
        except (TypeError, ValueError) as error:
            raise InvalidTask(f"{task.module_path} cannot have this limit: {error}") from None
        if len(task.module_path) > LONGEST_NAME:
            raise InvalidTask(f"The name {task.module_path} is longer than {LONGEST_NAME} characters.")

    def enqueue(self, task: AnyTask, args: Any, kwargs: Any) -> Any:
        """Schedule a task, as part of the transaction that is open, and return its result.

        Raises ``InvalidTask``, ``TypeError`` for arguments that JSON does not have or that do not fit the task,
        ``InvalidSchedule``, ``TooManyScheduled``, ``ArgumentsTooLarge``.
        """
        self.validate_task(task)
        found = find_task(task.module_path)
        if found is None or found.func is not task.func:
            raise InvalidTask(f"{task.module_path} is not this task, so it could not be found when it is due.")
        arguments = self._arguments(task, args, kwargs)
        function = function_of(with_values(task, run_after=None), self.kind_of(task))
        if task.run_after is None:
            function_id = self._scheduler.run_after(0, function, **arguments)
        else:
            function_id = self._scheduler.run_at(task.run_after, function, **arguments)
        result = result_of(ScheduledFunction.objects.using(self._writing_to).get(pk=function_id), task)
        announce(task_enqueued, result, self._writing_to)
        return result

    def get_result(self, result_id: Any) -> Any:
        """Return what became of a task.

        Raises ``TaskResultDoesNotExist`` if there is no such result, if its retention has passed, or if its task
        has gone from the code.
        """
        text = str(result_id)
        if text.isascii() and text.isdecimal() and len(text) < 20 and int(text) <= LARGEST_ID:
            row = ScheduledFunction.objects.using(self._writing_to).filter(pk=int(text)).first()
            task = find_task(row.name) if row else None
            if row and task:
                return result_of(row, task)
        raise TaskResultDoesNotExist(text)

    def check(self, **kwargs: Any) -> list[CheckMessage]:
        """Return what is wrong with the settings: E201 to E206."""
        where = f"TASKS[{self.alias!r}]"
        messages: list[CheckMessage] = []

        def error(number: int, text: str, hint: str) -> None:
            messages.append(Error(text, hint=hint, id=f"django_scheduler.E{number}"))

        if not apps.is_installed("django_scheduler"):
            text = f"{where} is a backend of django_scheduler, which is not installed."
            error(201, text, "Add 'django_scheduler' to INSTALLED_APPS.")
        for option in self.options:
            if option not in OPTIONS:
                hint = which_there_are(str(option).lower(), OPTIONS)
                error(202, f"{where}['OPTIONS'] has no option {option!r}.", hint)
        if (kind := self.options.get("kind", Kind.ACTION)) not in Kind.values:
            hint = "Write 'action' (at most once) or 'mutation' (exactly once)."
            error(203, f"{where}['OPTIONS']['kind'] is {kind!r}.", hint)
        if "max_attempts" in self.options or "backoff" in self.options:
            given = {name: self.options[name] for name in ("max_attempts", "backoff") if name in self.options}
            try:
                Retry(**given)
            except (TypeError, ValueError) as problem:
                hint = "Write, for example, 'max_attempts': 5 and 'backoff': Backoff(initial=1, maximum=3600)."
                error(205, f"{where}['OPTIONS'] cannot be used: {problem}", hint)
        for option, (_, example) in LIMIT_OPTIONS.items():
            if wrong := problem_of_limit(option, self.options.get(option)):
                error(206, f"{where}['OPTIONS'] cannot be used: {wrong}", f"Write, for example, {option!r}: {example}.")
        if self.using not in connections:
            text = f"{where}['OPTIONS']['database'] is {self.using!r}, and there is no such database."
            error(204, text, f"There are: {', '.join(connections)}.")
        return messages

    @property
    def _scheduler(self) -> Scheduler:
        return ctx.scheduler.using(self._writing_to)

    @property
    def _writing_to(self) -> str:
        """Return the alias of the database to schedule in: within a function its own, as for any function."""
        running = ctx.running
        return running.using if running and "database" not in self.options else self.using

    def _arguments(self, task: AnyTask, args: Any, kwargs: Any) -> dict[str, Any]:
        # normalize_json() says for any result of Django's what it takes and what it refuses.
        arguments = {"args": as_plain(normalize_json(args)), "kwargs": as_plain(normalize_json(kwargs))}
        when = {} if task.run_after is None else {"run_after": task.run_after}
        return {**arguments, "backend": self.alias, **when}
