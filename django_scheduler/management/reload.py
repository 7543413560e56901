"""``runscheduler --reload``: Django's autoreload, which here lets running functions end before it starts again."""

from collections.abc import Callable
from threading import Lock

from django.utils import autoreload

from django_scheduler.executor import Executor


def execute_and_reload(start: Callable[[], Executor], *, grace: float) -> None:
    """Keep an executor at work, and this process up to date with its code. ``start`` starts one."""
    executors: list[Executor] = []
    starting = Lock()

    def begin() -> None:
        with starting:
            executors.append(start())

    try:
        # It calls the function in a thread, and watches files in this one; by an exception from here it ends,
        # to be started again by the process above it, or for good.
        autoreload.run_with_reloader(begin)
    finally:
        # What is only starting would leave its row behind.
        if starting.acquire(timeout=grace):
            starting.release()
        for executor in executors:
            executor.stop()
            if not executor.wait(timeout=grace):
                executor.abandon()
