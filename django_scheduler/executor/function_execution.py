"""The execution of a function that exists: its body is called, within its time budget and with a ``ctx`` of its own."""

from abc import abstractmethod
from contextvars import copy_context
from typing import Any

from django_scheduler import signals, tracing, values
from django_scheduler.calls import run_body
from django_scheduler.context import Context
from django_scheduler.databases import Claimable, Database
from django_scheduler.errors import TimedOut
from django_scheduler.executor.budget import Budget
from django_scheduler.executor.canceled import Canceled
from django_scheduler.executor.execution import SingleExecution
from django_scheduler.executor.flight_recorder import in_body
from django_scheduler.executor.session import tidy_connections
from django_scheduler.functions import AnyFunction
from django_scheduler.models import Kind
from django_scheduler.running import Running


class FunctionExecution(SingleExecution):
    """The execution of a function that exists."""

    def __init__(self, claimed: Claimable, database: Database, executor_name: str, function: AnyFunction) -> None:
        super().__init__(claimed, database, executor_name)
        self.function = function
        #: Of the call of its body that has begun last.
        self.budget: Budget | None = None

    @property
    def kind(self) -> Kind | None:
        return self.function.kind

    @abstractmethod
    def make_budget(self) -> Budget:
        """The time budget of one call of the body."""

    def is_canceled_on_record(self) -> bool:
        """Whether the function has been canceled although it is executing."""
        return False

    @property
    def is_given_up(self) -> bool:
        """Whether the body did not even end when its time was up, and is no longer waited for."""
        return self.budget is not None and self.budget.is_given_up

    @property
    def timed_out(self) -> TimedOut | None:
        """Set if the body took longer than it may: whatever it then returned or raised, that is how it ended."""
        return self.budget.error if self.budget and self.budget.is_exceeded else None

    def call(self) -> Any:
        """Call the body with its arguments, on the flight recorder; what it returns."""
        with in_body(self.id, self.name):
            return self.call_body(self.load_arguments())

    def load_arguments(self) -> dict[str, object]:
        """The arguments for the body.

        Raises ``InvalidArguments`` if the code has changed since, so that they cannot be restored or do not fit.
        """
        return self.function.bind((), values.load_arguments(self.name, self.claimed.args))

    def call_body(self, arguments: dict[str, object]) -> Any:
        """Run the body within its time budget, and in a context of its own: what it activates stays there.

        Raises what it raises, and ``TimedOut``.
        """
        self.send_started()
        self.budget = self.make_budget()
        context = self._context(self.budget)
        with tracing.executing(self.claimed.trace_context, self._as_told()):
            return self.budget.call(lambda: self.run_body(arguments, context))

    def send_started(self) -> None:
        if signals.function_started.receivers:
            signals.send(signals.function_started, **self._as_told())
            self.tidy_after_receivers()

    def tidy_after_receivers(self) -> None:
        """Leave nothing of what receivers have done to the connections to the body."""
        tidy_connections(self.database.using)

    def run_body(self, arguments: dict[str, object], context: Context) -> Any:
        return copy_context().run(run_body, self.function, arguments, context)

    def _context(self, budget: Budget) -> Context:
        """The ``ctx`` that the function is given."""
        return Context(
            Running(
                kind=self.function.kind,
                using=self.database.using,
                function_id=self.id,
                scheduled_kind=self.function.kind,
                executor_name=self.executor_name,
                attempt=self.attempt,
                deadline=budget.deadline,
                is_canceled=Canceled(budget, self.is_canceled_on_record),
            )
        )
