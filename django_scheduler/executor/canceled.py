"""``ctx.canceled``: whether there is no more use in going on."""

import threading
import time
from collections.abc import Callable

from django_scheduler.executor.budget import Budget

#: Set when this process is about to end, whatever is executing.
process_is_ending = threading.Event()

#: How often the record is asked, in seconds.
INTERVAL = 1.0


class Canceled:
    """Asked as often as one likes: the record is read once a second at most."""

    def __init__(self, budget: Budget, is_canceled_on_record: Callable[[], bool]) -> None:
        self._budget = budget
        self._is_canceled_on_record = is_canceled_on_record
        self._ask_again_at = time.monotonic() + INTERVAL
        self._was_canceled = False

    def __call__(self) -> bool:
        if self._was_canceled or self._budget.is_over or process_is_ending.is_set():
            return True
        if time.monotonic() >= self._ask_again_at:
            self._was_canceled = self._is_canceled_on_record()
            self._ask_again_at = time.monotonic() + INTERVAL
        return self._was_canceled
