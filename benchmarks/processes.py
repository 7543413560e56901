"""The processes of a contender: its agent and its workers. None of them outlives its ``with`` block."""

import json
import os
import selectors
import shlex
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benchmarks.contender import NotSupported
from benchmarks.environments import CHECKOUT, Environment
from benchmarks.errors import Failed, TooSlow
from benchmarks.header import PROCESSES, Header

#: How long a process may take to start, in seconds.
START = 30.0

PROCESSES_OF_THIS_MACHINE = Path("/proc")


class Process:
    """A command in the contender's environment, with a process group of its own."""

    def __init__(self, command: list[str], variables: dict[str, str], log: Path, **pipes: int) -> None:
        self._log = log
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                command,
                cwd=CHECKOUT,
                env={**os.environ, **variables},
                stdin=pipes.get("stdin", subprocess.DEVNULL),
                stdout=pipes.get("stdout", output),
                stderr=output,
                start_new_session=True,
                text=True,
            )

    def check(self) -> None:
        """Raises ``Failed`` if it has ended, which it should not by itself."""
        if self.process.poll() is not None:
            raise Failed(f"its process ended: {self.last_words()}")

    def last_words(self) -> str:
        """The last line of its output, which in Python names the error."""
        lines = [line.strip() for line in self._log.read_text(errors="replace").splitlines() if line.strip()]
        return lines[-1] if lines else "it said nothing"

    def kill(self) -> None:
        """``kill -9`` for it and what it has started."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


class Workers:
    """The contender's normal worker command, as often as it takes for so many processes."""

    def __init__(
        self, header: Header, environment: Environment, variables: dict[str, str], processes: int, log: Path
    ) -> None:
        line = shlex.split(header.worker.replace(PROCESSES, str(processes)))
        own_processes = PROCESSES in header.worker or PROCESSES in str(header.settings)
        self._command = environment.command(line)
        self._variables = {**variables, "BENCH_PROCESSES": str(processes)}
        self._copies = 1 if own_processes else processes
        self._log = log
        self._processes: list[Process] = []

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # In no order: its database is thrown away, and a run has a thousand of these ends.
        self.kill()

    def start(self) -> None:
        self._processes = [Process(self._command, self._variables, self._log) for _ in range(self._copies)]

    def kill(self) -> None:
        for process in self._processes:
            process.kill()

    def memory(self) -> int:
        """Return the resident memory of the largest process, in bytes."""
        groups = {process.process.pid for process in self._processes}
        pages = [0]
        for path in PROCESSES_OF_THIS_MACHINE.glob("[0-9]*"):
            with suppress(OSError):  # it has ended
                if int((path / "stat").read_text().rpartition(") ")[2].split()[2]) in groups:
                    pages.append(int((path / "statm").read_text().split()[1]))
        return max(pages) * os.sysconf("SC_PAGE_SIZE")

    def check(self) -> None:
        for process in self._processes:
            process.check()


class AgentProcess:
    """``agent.py`` in the contender's environment."""

    def __init__(self, environment: Environment, variables: dict[str, str], log: Path) -> None:
        command = environment.command(["python", "-m", "benchmarks.agent"])
        variables = {**variables, "BENCH_PROCESSES": "1"}
        self._process = Process(command, variables, log, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __enter__(self) -> Self:
        try:
            self._answer(START)
        except BaseException:
            self._process.kill()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._process.kill()

    def ask(self, method: str, *, timeout: float = 60.0, **arguments: Any) -> Any:
        """Call a method of the agent.

        Raises ``NotSupported``, ``TooSlow`` and ``Failed``.
        """
        requests = self._process.process.stdin
        assert requests
        requests.write(json.dumps({"method": method, "arguments": arguments}) + "\n")
        requests.flush()
        return self._answer(timeout)

    def _answer(self, timeout: float) -> Any:
        answers = self._process.process.stdout
        assert answers
        with selectors.DefaultSelector() as selector:
            selector.register(answers, selectors.EVENT_READ)
            if not selector.select(timeout):
                raise TooSlow(f"scheduling took longer than {timeout:.0f} s")
        line = answers.readline()
        if not line:
            raise Failed(f"its agent ended: {self._process.last_words()}")
        answer = json.loads(line)
        if "not_supported" in answer:
            raise NotSupported(answer["not_supported"])
        if "error" in answer:
            raise Failed(answer["error"])
        return answer["result"]
