"""A gate: where a function waits, in whatever process executes it, until the test lets it go on."""

import os
import time
import uuid
from pathlib import Path

#: Nobody waits for longer, whatever has become of the test, in seconds.
LONGEST_WAIT = 50.0


class Gate:
    """A directory that both sides know: a file for each arrival, and one that says that the gate is open."""

    def __init__(self, directory: str | Path) -> None:
        self._directory = Path(directory)

    @property
    def path(self) -> str:
        """What a function is given to find the gate."""
        return str(self._directory)

    @property
    def arrivals(self) -> int:
        """How often a function has come to the gate, in this life or in one that was cut off."""
        return len(list(self._directory.glob("arrival-*")))

    @property
    def process_ids(self) -> list[int]:
        """In which processes they were."""
        return [int(arrival.name.split("-")[1]) for arrival in self._directory.glob("arrival-*")]

    @property
    def departures(self) -> int:
        """How often one has passed it."""
        return len(list(self._directory.glob("departure-*")))

    @property
    def is_open(self) -> bool:
        return (self._directory / "open").exists()

    def open(self) -> None:
        (self._directory / "open").touch()

    def arrive(self) -> None:
        """For the function: say that it is here."""
        (self._directory / f"arrival-{os.getpid()}-{uuid.uuid4()}").touch()

    def pass_through(self) -> None:
        """For the function: say that it is here, and wait until the gate is open."""
        self.arrive()
        deadline = time.monotonic() + LONGEST_WAIT
        while not self.is_open:
            if time.monotonic() > deadline:
                raise TimeoutError(f"Nobody has opened {self._directory}.")
            time.sleep(0.005)
        (self._directory / f"departure-{uuid.uuid4()}").touch()
