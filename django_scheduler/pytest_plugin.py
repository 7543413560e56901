"""The pytest plugin has the fixture ``scheduler``. pytest finds it where this package is installed.

pytest imports this in every run of the environment, also where Django is not set up, so everything else is imported
later.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from django_scheduler.testing import ManualScheduler


@pytest.fixture
def scheduler(db: None) -> Iterator[ManualScheduler]:
    """Execute scheduled functions when the test says so: see ``django_scheduler.testing``."""
    from django_scheduler.testing import ManualScheduler

    with ManualScheduler() as manual_scheduler:
        yield manual_scheduler


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, Any, Any]:
    # The clock is Python's for other fixtures too, whichever of them comes first.
    if "scheduler" not in getattr(item, "fixturenames", ()):
        return (yield)
    from django_scheduler.databases import pythons_clock

    with pythons_clock():
        return (yield)
