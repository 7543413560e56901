"""The arena: one contender and one workload, with a fresh copy of the contender's database."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.databases import Copy, Database
from benchmarks.environments import Environment
from benchmarks.errors import TooSlow
from benchmarks.header import Header
from benchmarks.journal import Journal
from benchmarks.processes import AgentProcess, Workers

#: How often something is looked for that is to happen, in seconds.
INTERVAL = 0.005


class Arena:
    def __init__(
        self,
        header: Header,
        environment: Environment,
        database: Copy,
        agent: AgentProcess,
        directory: Path,
        variables: dict[str, str],
    ) -> None:
        self.header = header
        self.database = database
        self.agent = agent
        self.journal = Journal(directory / "journal")
        self._environment = environment
        self._directory = directory
        self._variables = variables

    def workers(self, processes: int = 1) -> Workers:
        """The contender's workers; they run within a ``with`` block."""
        return Workers(self.header, self._environment, self._variables, processes, self._directory / "worker.log")

    @contextmanager
    def ready_workers(self, processes: int = 1) -> Iterator[Workers]:
        """Workers that have executed something, and are idle."""
        before = self.journal.count()
        with self.workers(processes) as workers:
            self.agent.ask("schedule", body="noop", job=-1)
            self.wait_until(
                lambda: self.journal.count() > before, workers, seconds=20, what="its worker executed nothing"
            )
            time.sleep(1.0)
            yield workers

    def wait_until(self, condition: Callable[[], bool], workers: Workers, *, seconds: float, what: str) -> None:
        """Raises ``TooSlow`` when it does not happen in time."""
        deadline = time.monotonic() + seconds
        while not condition():
            workers.check()
            if time.monotonic() > deadline:
                raise TooSlow(f"{what} within {seconds:.0f} s")
            time.sleep(INTERVAL)


def variables_for(header: Header, database: Copy, directory: Path, queues: int = 0) -> dict[str, str]:
    """``queues``: how many there are to be, where that must be known beforehand."""
    variables = {
        **database.environment,
        "BENCH_QUEUES": str(queues),
        "BENCH_CONTENDER": header.name,
        "BENCH_JOURNAL": str(directory / "journal"),
        "PYTHONPATH": str(Path(__file__).parent.parent),
        "PYTHONUNBUFFERED": "1",
    }
    return variables | ({"DJANGO_SETTINGS_MODULE": "benchmarks.business.settings"} if header.uses_django else {})


@contextmanager
def arena(
    header: Header, environment: Environment, database: Database, directory: Path, queues: int = 0
) -> Iterator[Arena]:
    """A fresh arena, in the directory for its files."""
    with ExitStack() as stack:
        copy = stack.enter_context(database.copy(prepared_name(header), "arena"))
        variables = variables_for(header, copy, directory, queues)
        agent = stack.enter_context(AgentProcess(environment, variables, directory / "agent.log"))
        yield Arena(header, environment, copy, agent, directory, variables)


def prepare(header: Header, environment: Environment, database: Database, directory: Path) -> dict[str, str]:
    """Make the database that the copies are of; the versions of what is installed."""
    copy = database.create(prepared_name(header))
    variables = variables_for(header, copy, directory)
    with AgentProcess(environment, variables, directory / "agent.log") as agent:
        agent.ask("prepare")
        versions: dict[str, str] = agent.ask("versions")
    return versions


def prepared_name(header: Header) -> str:
    return f"prepared_{header.name.replace('-', '_')}"
