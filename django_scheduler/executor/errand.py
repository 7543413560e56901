"""An errand: something done once, in a thread of its own, so with connections of its own.

The caller's connection stays as it is, whatever happens, and the caller decides for how long to wait.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future

from django.db import connections


def start_errand(task: Callable[[], None]) -> Future[None]:
    """Start it; its future has what becomes of it."""
    outcome: Future[None] = Future()

    def run() -> None:
        try:
            try:
                task()
            finally:
                connections.close_all()
        except BaseException as error:
            outcome.set_exception(error)
        else:
            outcome.set_result(None)

    threading.Thread(target=run, name="django_scheduler errand", daemon=True).start()
    return outcome


def run_errand(task: Callable[[], None], *, timeout: float) -> None:
    """Run it and wait for its end, for so many seconds at most.

    Raises what it raises, and ``TimeoutError`` when it takes longer; then it goes on.
    """
    start_errand(task).result(timeout)
