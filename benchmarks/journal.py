"""The journal: a file in which every body writes when it begins. It is the same for all contenders, and costs each
of them about two microseconds.

A record is appended by one ``write``, so that processes and threads may share the file.
"""

import os
import struct
import time
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path

RECORD = struct.Struct("<qq")


@cache
def _descriptor() -> int:
    return os.open(os.environ["BENCH_JOURNAL"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)


def record(job: int) -> None:
    """Called first by every body: job number ``job`` begins."""
    os.write(_descriptor(), RECORD.pack(time.time_ns(), job))


@dataclass(frozen=True, slots=True)
class Start:
    """That a body has begun."""

    #: In seconds since the epoch.
    time: float
    job: int


class Journal:
    """What the harness reads of it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.write_bytes(b"")

    def count(self) -> int:
        """How many bodies have begun."""
        return self.path.stat().st_size // RECORD.size

    def starts(self, since: int = 0) -> list[Start]:
        """All that have begun, in that order, without the first ``since``."""
        with self.path.open("rb") as file:
            file.seek(since * RECORD.size)
            content = file.read()
        whole = len(content) - len(content) % RECORD.size
        return [Start(time_ns / 1e9, job) for time_ns, job in RECORD.iter_unpack(content[:whole])]

    def repeated(self) -> int:
        """How many bodies have begun that had begun before."""
        counts = Counter(start.job for start in self.starts())
        return counts.total() - len(counts)
