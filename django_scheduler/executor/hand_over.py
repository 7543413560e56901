"""A hand-over: the due function is sent to the fleet, and is due again unless it has begun after a while.

The new ``due_time`` is committed before the message goes out. Should this process die in between, the function is
handed over when it is due again. See ``fleet.py`` for the whole.
"""

import logging
from datetime import timedelta

from django_scheduler import fleet
from django_scheduler.executor.execution import SingleExecution
from django_scheduler.models import ScheduledFunction, State


class HandOver(SingleExecution):
    def in_transaction(self) -> None:
        rows = ScheduledFunction.objects.using(self.database.using).annotate(now=self.database.now())
        self._queue, self._priority, asked, now = rows.values_list("queue", "priority", "scheduled_time", "now").get(
            pk=self.id
        )
        self._age = now - asked
        self._wait = fleet.time_to_begin_again(self._age)
        self.database.record(self.id, {"due_time": self._wait}, only_if={"state": State.PENDING})

    def after_commit(self) -> None:
        fleet.hand_over(self.database.using, self.id, name=self.name, queue=self._queue, priority=self._priority)
        if self._age >= (fleet.time_to_begin() or timedelta.max) and not self.claimed.attempts:
            self.log(
                logging.WARNING,
                "%s %s: was handed over before and has not begun, %.0f s after its time; it is handed over again, and"
                " once more in %.0f s. Do the fleet's workers run, and serve the queue %r?",
                self.name,
                self.id,
                self._age.total_seconds(),
                self._wait.total_seconds(),
                self._queue,
            )

    def after_rollback(self, error: BaseException) -> None:
        raise error
