from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.embedded.servers import Servers
from tests.support.executor_processes import no_executor_left_on_record


@pytest.fixture
def servers(child_environment, tmp_path: Path) -> Iterator[Servers]:
    """Yield what starts servers. None of them, and no executor, may be left at the end of the test."""
    servers = Servers(child_environment, tmp_path)
    with no_executor_left_on_record():
        try:
            yield servers
        finally:
            left = servers.end_all()
        if left:
            pytest.fail(f"The test has left behind: {', '.join(left)}.")
