"""A ledger of bodies, in a file: whatever becomes of transactions and processes, it says which bodies ran at once."""

import os
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple


class Line(NamedTuple):
    """``event``: "begin", "end", or "kill" of a process."""

    event: str
    process_id: int
    function_id: int = 0
    limit: str = ""


@dataclass(frozen=True)
class BodyLedger:
    """A line is written by one call of the system, so the lines stand in the order in which things happened."""

    path: str

    @contextmanager
    def body(self, limit: str, function_id: int) -> Iterator[None]:
        """Write down that a body runs within the block; ``limit``: as its text on record."""
        self._write("begin", os.getpid(), function_id, limit)
        try:
            yield
        finally:
            self._write("end", os.getpid(), function_id, limit)

    def kill(self, process_id: int) -> None:
        """Write down that a process is killed now, and with it its bodies."""
        self._write("kill", process_id, 0, "")

    def _write(self, event: str, process_id: int, function_id: int, limit: str) -> None:
        file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            os.write(file, f"{event}\t{process_id}\t{function_id}\t{limit}\n".encode())
        finally:
            os.close(file)

    @property
    def lines(self) -> list[Line]:
        lines = (each.split("\t") for each in Path(self.path).read_text().splitlines())
        return [Line(event, int(process), int(function), limit) for event, process, function, limit in lines]

    @property
    def running(self) -> list[int]:
        """Return the functions whose bodies have begun and not ended; those of processes that were killed, too."""
        functions: list[int] = []
        for line in self.lines:
            if line.event == "begin":
                functions.append(line.function_id)
            elif line.event == "end" and line.function_id in functions:
                functions.remove(line.function_id)
        return functions

    def most_at_once(self) -> dict[str, int]:
        """Return how many bodies of each limit ran at once, at most."""
        most: dict[str, int] = defaultdict(int)
        running: dict[str, list[Line]] = defaultdict(list)
        killed: set[int] = set()
        for line in self.lines:
            bodies = running[line.limit]
            if line.event == "kill":
                killed.add(line.process_id)
                for limit, others in running.items():
                    running[limit] = [each for each in others if each.process_id != line.process_id]
            elif line.process_id in killed:
                continue  # the signal was on its way
            elif line.event == "begin":
                bodies.append(line)
                most[line.limit] = max(most[line.limit], len(bodies))
            else:
                bodies.remove(line._replace(event="begin"))
        return dict(most)

    def first_starts(self) -> dict[str, list[int]]:
        """Return the functions of each limit in the order in which their first bodies have begun."""
        starts: dict[str, dict[int, None]] = defaultdict(dict)
        for line in self.lines:
            if line.event == "begin":
                starts[line.limit].setdefault(line.function_id)
        return {limit: list(functions) for limit, functions in starts.items()}
