"""Gates: where a function waits, in whatever process executes it, until its test lets it go on."""

import fcntl
import os
from pathlib import Path

from tests.support.waiting import wait_until


class Gate:
    """Is a directory that the test and the function both know.

    It has a file for each arrival and each departure, and a lock that the test holds until it opens the gate. Who
    waits for that lock is in C code, in one call of the system that no exception reaches, and has no need to look again
    and again. When the test's process ends, however it ends, so does the wait.
    """

    def __init__(self, directory: str | Path) -> None:
        self._directory = Path(directory)
        self._lock: int | None = None

    @classmethod
    def build(cls, directory: Path) -> "Gate":
        """Make a gate, which is closed; for the test."""
        directory.mkdir()
        gate = cls(directory)
        gate._lock = gate._open_lock()
        fcntl.flock(gate._lock, fcntl.LOCK_EX)
        return gate

    @property
    def path(self) -> str:
        """Return what a function is given to find the gate."""
        return str(self._directory)

    @property
    def arrivals(self) -> int:
        """Return how often a function has come to the gate, in attempts that were cut off, too."""
        return len(self._names("arrival"))

    @property
    def process_ids(self) -> list[int]:
        """Return in which processes those functions were."""
        return [int((self._directory / name).readlink().name) for name in self._names("arrival")]

    @property
    def departures(self) -> int:
        """Return how often a function has passed the gate."""
        return len(self._names("departure"))

    @property
    def is_open(self) -> bool:
        return (self._directory / "open").exists()

    def open(self) -> None:
        """Let everybody pass, now and later; for the test."""
        if self._lock is not None:
            (self._directory / "open").touch()
            os.close(self._lock)
            self._lock = None

    def wait_for_arrivals(self, number: int = 1) -> None:
        wait_until(lambda: self.arrivals >= number, f"{number} came to the gate")

    def wait_for_departures(self, number: int = 1) -> None:
        wait_until(lambda: self.departures >= number, f"{number} passed the gate")

    def arrive(self) -> int:
        """Say that the function is here, and return how many came before it."""
        return self._count("arrival")

    def depart(self) -> None:
        """Say that the function goes on."""
        self._count("departure")

    def pass_through(self) -> None:
        """Say that the function is here, and wait until the gate is open."""
        self.arrive()
        lock = self._open_lock()
        try:
            fcntl.flock(lock, fcntl.LOCK_SH)
        finally:
            os.close(lock)
        self.depart()

    def _open_lock(self) -> int:
        return os.open(self._directory / "lock", os.O_RDWR | os.O_CREAT)

    def _names(self, kind: str) -> list[str]:
        return sorted(name for name in os.listdir(self._directory) if name.startswith(f"{kind}-"))  # noqa: PTH208

    def _count(self, kind: str) -> int:
        """Put the next one on record: as a symbolic link to the process's id, which is made at once or not at all."""
        number = len(self._names(kind))
        while True:
            try:
                (self._directory / f"{kind}-{number:06}").symlink_to(str(os.getpid()))
            except FileExistsError:
                number += 1
            else:
                return number
