"""Waiting for something that is going to happen, and failing when it does not."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

#: How long to wait between two looks, at first and at most, in seconds: after a long wait a late look matters less.
INTERVAL, LONGEST_INTERVAL = 0.01, 0.05


def wait_until(condition: Callable[[], T], what: str, *, timeout: float = 20.0) -> T:
    """Wait until the condition holds, and return what it returned."""
    deadline = time.monotonic() + timeout
    interval = INTERVAL
    while not (value := condition()):
        if time.monotonic() > deadline:
            import pytest  # only here, as executors that tests start import this module too

            pytest.fail(f"Within {timeout:g} seconds it did not happen that {what}.")
        time.sleep(interval)
        interval = min(interval * 1.1, LONGEST_INTERVAL)
    return value
