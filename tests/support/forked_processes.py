"""Processes that tests start: forked from a server that has everything imported, or started as users start them.

``start(["-m", "django", "runscheduler"], environment)`` is what ``Popen([sys.executable, "-m", "django",
"runscheduler"], env=environment)`` is: a process with an id of its own, that gets signals and has an exit code. It only
does not import Django again, which is most of the work of a start.

A supervisor that was forked has its child processes forked, too, where it would spawn them.
"""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from multiprocessing import popen_spawn_posix, util
from multiprocessing.connection import wait as wait_for
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import IO, Any, Self

from tests.support.fork_server import NUMBER, Request, receive_exactly
from tests.support.mysql_driver import STAND_INS

ROOT = Path(__file__).parent.parent.parent

#: Where the processes find the tests' settings, and that they do not keep back what they print.
ENVIRONMENT = {
    "DJANGO_SETTINGS_MODULE": "tests.settings",
    "PYTHONPATH": str(ROOT),
    "PYTHONUNBUFFERED": "1",
}
if STAND_INS in sys.path:
    ENVIRONMENT["PYTHONPATH"] += os.pathsep + STAND_INS

#: A file, or the number of one.
File = IO[Any] | int


class ForkedProcess:
    """Is a process that a fork server has forked; what it shares with ``subprocess.Popen`` has the same name."""

    def __init__(self, server_path: str, request: Request, files: list[int]) -> None:
        self.args = request.arguments
        self.returncode: int | None = None
        self._connection = socket.socket(socket.AF_UNIX)
        try:
            self._connection.connect(server_path)
            request.send(self._connection, files)
            self.pid = self._receive()
        except BaseException:
            self._connection.close()
            raise

    def fileno(self) -> int:
        """Return the number of a file that becomes readable when the process has ended."""
        return self._connection.fileno()

    def poll(self) -> int | None:
        return self._ended_within(0)

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code; raise ``subprocess.TimeoutExpired`` if the process takes longer."""
        code = self._ended_within(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.wait()

    def _ended_within(self, timeout: float | None) -> int | None:
        if self.returncode is None and wait_for([self._connection], timeout):
            self.returncode = self._receive()
            self._connection.close()
        return self.returncode

    def _receive(self) -> int:
        number: int = NUMBER.unpack(receive_exactly(self._connection, NUMBER.size))[0]
        return number


class ForkServer:
    """Is the server that this process has started, or that has forked it."""

    def __init__(self, path: str = "", environment: dict[str, str] | None = None) -> None:
        """Take the environment of a server that this process starts: that decides what is imported there."""
        self._path = path
        self._environment = ENVIRONMENT if environment is None else environment
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def process_id(self) -> int | None:
        """Return the id of the server's process, if this one has started it."""
        return self._process.pid if self._process else None

    def fork(
        self, arguments: Sequence[str], environment: dict[str, str], *, files: dict[int, int], group: int
    ) -> ForkedProcess:
        """Fork a process; ``files``: which number each of its open files has there, and here."""
        if not self._path:
            self._start()
        request = Request(
            arguments=list(arguments),
            environment=environment,
            directory=str(Path.cwd()),
            files=list(files),
            group=group,
            blocked_signals=sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
        )
        return ForkedProcess(self._path, request, list(files.values()))

    def _start(self) -> None:
        self._directory = TemporaryDirectory(prefix="fork_server_")
        path = str(Path(self._directory.name) / "socket")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("TEST_", "DJANGO_"))}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.fork_server", path],
            cwd=ROOT,
            env=inherited | self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            process_group=0,
        )
        running_servers.append(self)
        assert self._process.stdout
        if self._process.stdout.readline() != b"ready\n":
            self.close()
            raise RuntimeError("The fork server has not started.")
        self._path = path

    def close(self) -> None:
        """End the server, if this process has started it."""
        if self._process:
            self._process.communicate()
            running_servers.remove(self)
            self._directory.cleanup()
            self._process = None
            self._path = ""


#: Those that this process has started.
running_servers: list[ForkServer] = []

server = ForkServer()

#: Forks processes that have other settings, other apps, or none.
without_settings = ForkServer(environment={name: ENVIRONMENT[name] for name in ("PYTHONPATH", "PYTHONUNBUFFERED")})


def start(
    arguments: Sequence[str],
    environment: dict[str, str],
    *,
    stdin: File = subprocess.DEVNULL,
    stdout: File | None = None,
    stderr: File | None = None,
    process_group: int | None = None,
    by: ForkServer | None = None,
) -> ForkedProcess:
    """Start ``python ARGUMENTS``; ``process_group=0``: in a group of its own.

    ``by``: the server that forks it, if it is neither of the two above.
    """
    group = os.getpgrp() if process_group is None else process_group
    with open(os.devnull, "r+b") as nothing:  # noqa: PTH123
        numbers = {
            number: nothing.fileno() if file == subprocess.DEVNULL else number_of(file, number)
            for number, file in enumerate([stdin, stdout, stderr])
        }
        return (by or server_for(environment)).fork(arguments, environment, files=numbers, group=group)


def server_for(environment: dict[str, str]) -> ForkServer:
    """Return the usual server, unless the process has other settings, or its apps start something when Django does.

    Then what the usual server has imported is not what the process would import.
    """
    is_usual = all(environment.get(name) == ENVIRONMENT[name] for name in ("DJANGO_SETTINGS_MODULE", "PYTHONPATH"))
    if is_usual and not environment.get("TEST_APPS") and "EMBEDDED" not in environment.get("TEST_DJANGO_SCHEDULER", ""):
        return server
    return without_settings


def start_with_log(
    arguments: Sequence[str], environment: dict[str, str], log: Path, *, is_forked: bool
) -> ForkedProcess | subprocess.Popen[bytes]:
    """Start ``python ARGUMENTS`` in a group of its own; what it writes goes into a file.

    ``is_forked=False``: as users start it.
    """
    with log.open("wb") as output:
        if is_forked:
            return start(arguments, environment, stdout=output, stderr=output, process_group=0)
        return subprocess.Popen(
            [sys.executable, *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            process_group=0,
        )


def number_of(file: File | None, default: int) -> int:
    if file is None:
        return default
    return file if isinstance(file, int) else file.fileno()


def run(
    arguments: Sequence[str],
    environment: dict[str, str],
    *,
    timeout: float = 60.0,
    stderr: File | None = None,
    by: ForkServer | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run ``python ARGUMENTS``, and return how it has ended and what it has written."""
    with TemporaryFile() as output, TemporaryFile() as errors:
        process = start(arguments, environment, stdout=output, stderr=errors if stderr is None else stderr, by=by)
        try:
            process.wait(timeout)
        finally:
            process.kill()
            process.wait()
        written = [read_all(file) for file in (output, errors)]
    return subprocess.CompletedProcess(process.args, process.returncode or 0, *written)


def read_all(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode()


class ForkedSpawn(popen_spawn_posix.Popen):
    """Is what ``multiprocessing`` starts for its method ``spawn``, forked."""

    def _launch(self, process_obj: Any) -> None:
        spawn = util.spawnv_passfds
        util.spawnv_passfds = self._fork  # type: ignore[assignment]
        try:
            super()._launch(process_obj)  # type: ignore[misc]
        finally:
            util.spawnv_passfds = spawn
        self.sentinel = self._process.fileno()

    def _fork(self, path: str, arguments: Sequence[str], files: Sequence[int]) -> int:
        # python -c "from multiprocessing.spawn import spawn_main; ..." --multiprocessing-fork
        shortened = list(arguments[arguments.index("-c") :])
        numbers = {number: number for number in (0, 1, 2, *files)}
        self._process = server.fork(shortened, dict(os.environ), files=numbers, group=os.getpgrp())
        return self._process.pid

    def poll(self, flag: int = os.WNOHANG) -> int | None:
        if self.returncode is None:
            self.returncode = self._process.wait() if flag == 0 else self._process.poll()
        return self.returncode


def use_in_forked_process(server_path: str) -> None:
    """Have a process that was forked spawn by having the same server fork, as its multiprocessing does."""
    global server
    server = ForkServer(server_path)
    popen_spawn_posix.Popen = ForkedSpawn  # type: ignore[misc]
