"""A ledger of starts, in a file: whatever becomes of transactions and processes, it says when bodies began."""

import os
import time
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from django.db import connection


class Start(NamedTuple):
    """``earliest`` and ``latest``: between which times the body began, by the database's clock, in seconds."""

    latest: float
    earliest: float
    function_id: int


@dataclass(frozen=True)
class StartLedger:
    """A line is written by one call of the system."""

    path: str

    def note(self, limit: str, function_id: int) -> None:
        """Write down that a body begins: the first thing that it does; ``limit``: with its key.

        It has begun when it asked for the time, or later, and not later than that time.
        """
        asked_at = time.perf_counter()
        now = _time_of_database()
        line = f"{limit}\t{now!r}\t{now - (time.perf_counter() - asked_at)!r}\t{function_id}\n"
        file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            os.write(file, line.encode())
        finally:
            os.close(file)

    @property
    def starts(self) -> dict[str, list[Start]]:
        """Return the starts of each limit, in their order."""
        starts: dict[str, list[Start]] = defaultdict(list)
        if Path(self.path).exists():
            for line in Path(self.path).read_text().splitlines():
                limit, latest, earliest, function_id = line.split("\t")
                starts[limit].append(Start(float(latest), float(earliest), int(function_id)))
        return {limit: sorted(those) for limit, those in starts.items()}

    def most_within(self, period: float) -> dict[str, int]:
        """Return how many starts of each limit there were within any stretch of time that is shorter than the period.

        As many as there were for certain.
        """
        return {
            limit: max(
                sum(other.earliest > last.latest - period for other in those[: place + 1])
                for place, last in enumerate(those)
            )
            for limit, those in self.starts.items()
        }


def _time_of_database() -> float:
    if connection.vendor == "sqlite":
        return time.time()  # all of its users share one host
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT clock_timestamp()" if connection.vendor == "postgresql" else "SELECT UNIX_TIMESTAMP(SYSDATE(6))"
        )
        (now,) = cursor.fetchone()
    return now.timestamp() if isinstance(now, datetime) else float(now)
