"""A body's time begins only when it says so: a busy machine may need all of it before the first line."""

import time

from django_scheduler.executor.budget import Budget, watchdog

#: The budgets whose time has not begun.
waiting: list[Budget] = []


def hold_back(budget: Budget) -> None:
    """Have its time begin later."""
    if budget.timeout is not None:
        budget._ends_at = budget.alarm_time = float("inf")
        waiting.append(budget)


def time_begins() -> None:
    """Have the time that was held back begin now; a body calls this."""
    while waiting:
        budget = waiting.pop()
        assert budget.timeout
        budget._ends_at = budget.alarm_time = time.monotonic() + budget.timeout.total_seconds()
        watchdog().watch(budget)
