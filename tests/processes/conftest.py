import pytest

from tests.processes.executor_processes import ExecutorProcesses, nothing_left_behind
from tests.processes.gate import Gate


@pytest.fixture
def executors(transactional_db, child_environment, tmp_path):
    """Starts executor processes. None of them may be left at the end of the test."""
    processes = ExecutorProcesses(child_environment, tmp_path)
    with nothing_left_behind(processes):
        yield processes


@pytest.fixture
def gate(tmp_path):
    """Where the functions of ``tests.processes.functions`` wait for the test."""
    directory = tmp_path / "gate"
    directory.mkdir()
    return Gate(directory)
