"""The two processes: the shop's web server and the scheduler. None of them outlives the demo."""

import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from testproject.demo.errors import DemoError

MANAGE = Path(__file__).parent.parent.parent / "manage.py"

#: How long a process may take to be ready, and to end after SIGTERM, in seconds.
START, END = 30.0, 5.0

#: How much of its output is shown when something is wrong.
LAST_LINES = 15


class Process:
    """A command of ``manage.py``, from the beginning of a ``with`` block to its end."""

    def __init__(self, title: str, *command: str, log: Path) -> None:
        self.title = title
        self._command = [sys.executable, str(MANAGE), *command]
        self._log = log

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            # In a process group of its own: Ctrl-C is the demo's, which then ends its processes in good order.
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, process_group=0
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._process.terminate()
        try:
            self._process.wait(END)
        except subprocess.TimeoutExpired:
            pass
        finally:  # also when a second Ctrl-C ends the waiting
            self._process.kill()
            self._process.wait()

    @property
    def output(self) -> str:
        return self._log.read_text(errors="replace").strip()

    def check(self) -> None:
        """Raises ``DemoError`` if the process has ended, which it should not by itself."""
        code = self._process.poll()
        if code is not None:
            raise DemoError(f"{self.title} has ended (exit code {code}). {self._last_words}")

    @property
    def _last_words(self) -> str:
        lines = self.output.splitlines()[-LAST_LINES:]
        return "\n  ".join(["It said:", *lines]) if lines else "It said nothing."

    def wait_until_ready(self, is_ready: Callable[[], object]) -> None:
        deadline = time.monotonic() + START
        while not is_ready():
            self.check()
            if time.monotonic() > deadline:
                raise DemoError(f"{self.title} is not ready after {START:g} seconds. {self._last_words}")
            time.sleep(0.02)


class WebServer(Process):
    """The shop, on a port that is free unless one is asked for."""

    def __init__(self, log: Path, port: int = 0) -> None:
        super().__init__("The shop's web server", "runserver", "--noreload", f"127.0.0.1:{port}", log=log)

    @property
    def url(self) -> str:
        """Empty until the server listens."""
        said = re.search(r"http://127\.0\.0\.1:\d+/", self.output)
        return said.group() if said else ""

    def wait(self) -> None:
        self.wait_until_ready(lambda: self.url)


class Scheduler(Process):
    """The executor of what is scheduled."""

    def __init__(self, log: Path) -> None:
        super().__init__("manage.py runscheduler", "runscheduler", log=log)

    def __enter__(self) -> Self:
        self._before = set(self._on_record())
        return super().__enter__()

    def wait(self) -> None:
        self.wait_until_ready(lambda: set(self._on_record()) - self._before)

    def _on_record(self) -> list[str]:
        from django_scheduler.models import Executor

        return list(Executor.objects.values_list("pk", flat=True))
