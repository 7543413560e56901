"""Nothing of what one body leaves in Python's state of its thread reaches the next one.

* What belongs to a context is new for each call: variables of ``contextvars``, and with them decimal's context, and
  the language, time zone, urlconf and script prefix of Django.
* What belongs to the thread is as before after each call: its trace and profile functions, and its event loops, the one
  that runs and the one that is set. (Code of others may have set one in a thread of theirs, which cannot be asked
  without making one. So that one is left alone in threads that are not ours.)
* What belongs to the process, and a ``threading.local`` of the body's own, stays: see ``docs/guarantees.md``.
"""

import threading
from asyncio import _get_running_loop, _set_running_loop, set_event_loop
from collections.abc import Callable
from contextvars import Context
from sys import getprofile, gettrace, setprofile, settrace
from typing import TypeVar

R = TypeVar("R")


class _ThisThread(threading.local):
    is_ours = False


_this_thread = _ThisThread()


def own_this_thread() -> None:
    """Note that this thread does nothing but what executors do."""
    _this_thread.is_ours = True


def in_isolation(call: Callable[[], R]) -> R:
    """Call where nothing of the Python state of earlier calls is left, and leave nothing to later ones."""
    result: R = Context().run(_and_tidy_thread, call)
    return result


def _and_tidy_thread(call: Callable[[], R]) -> R:
    trace, profile, loop = gettrace(), getprofile(), _get_running_loop()
    try:
        return call()
    finally:
        if gettrace() is not trace:
            settrace(trace)
        if getprofile() is not profile:
            setprofile(profile)
        if _get_running_loop() is not loop:
            _set_running_loop(loop)  # or Django would refuse every statement of this thread
        if _this_thread.is_ours:
            set_event_loop(None)
