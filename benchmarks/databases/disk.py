"""How long the disk takes to keep its word, which decides what a commit costs."""

import os
import time
from pathlib import Path
from statistics import median

BLOCK = bytes(8192)
ROUNDS = 50


def sync_time(directory: Path) -> float:
    """The median time that a block takes to reach the disk, in milliseconds."""
    path = directory / "sync"
    times = []
    with path.open("wb", buffering=0) as file:
        for _ in range(ROUNDS):
            start = time.perf_counter()
            file.write(BLOCK)
            os.fsync(file.fileno())
            times.append(time.perf_counter() - start)
    path.unlink()
    return median(times) * 1000
