from typing import Any

import pytest

from tests.processes.conftest import executors, gate  # noqa: F401  (fixtures)
from tests.supervisor.supervised import Supervised


@pytest.fixture
def supervise(executors):  # noqa: F811
    """Starts ``runscheduler`` with its supervisor, and waits until as many processes execute as it was asked for."""

    def start(*arguments: str, processes: int = 1, **settings: Any) -> Supervised:
        supervised = Supervised(executors.launch(f"--processes={processes}", *arguments, **settings))
        supervised.wait_until_executing(processes)
        return supervised

    return start
