from collections.abc import Callable

import pytest

from tests.executor.conftest import backlog, groups, growing_groups  # noqa: F401
from tests.middleware import classes


@pytest.fixture
def use(settings) -> Callable[..., None]:
    """Have these classes be the site's middleware, from the outside to the inside."""
    classes.events.clear()
    classes.calls.clear()
    classes.added.clear()

    def use(*names: type | str) -> None:
        paths = [name if isinstance(name, str) else f"{name.__module__}.{name.__qualname__}" for name in names]
        settings.DJANGO_SCHEDULER = {**getattr(settings, "DJANGO_SCHEDULER", {}), "MIDDLEWARE": paths}

    return use
