"""Waiting for something that is going to happen, and failing when it does not."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

INTERVAL = 0.01


def wait_until(condition: Callable[[], T], what: str, *, timeout: float = 20.0) -> T:
    """Wait until the condition holds, and return what it returned."""
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        if time.monotonic() > deadline:
            import pytest  # only here, as executors that tests start import this module too

            pytest.fail(f"Within {timeout:g} seconds it did not happen that {what}.")
        time.sleep(INTERVAL)
    return value
