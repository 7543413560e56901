"""Playwright in a thread of its own.

It runs an event loop in its thread, in which Django refuses to touch the database. So the tests' own thread only holds
remote controls of pages, locators and so on: what is called on one is called there.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any


class Remote:
    """Something of Playwright's, which lives in the other thread."""

    def __init__(self, target: Any, thread: ThreadPoolExecutor) -> None:
        self.__target = target
        self.__thread = thread

    def __getattr__(self, name: str) -> Any:
        return self.__wrapped(self.__thread.submit(getattr, self.__target, name).result())

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        unwrapped = [each.__target if isinstance(each, Remote) else each for each in arguments]
        return self.__wrapped(self.__thread.submit(self.__target, *unwrapped, **options).result())

    def __wrapped(self, value: Any) -> Any:
        is_playwrights = type(value).__module__.startswith("playwright.")
        return Remote(value, self.__thread) if is_playwrights or callable(value) else value


def start(thread: ThreadPoolExecutor, sync_playwright: Callable[[], Any]) -> Remote:
    """Start Playwright in the thread."""
    return Remote(thread.submit(lambda: sync_playwright().start()).result(), thread)
