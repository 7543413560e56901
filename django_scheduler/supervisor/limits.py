"""When a process has done enough and is replaced by a new one: for bodies that leak."""

import os
import platform
from dataclasses import dataclass
from pathlib import Path

PAGE_SIZE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """``max_functions``: how many it executes. ``max_memory``: how many bytes it keeps in memory."""

    max_functions: int | None = None
    max_memory: int | None = None

    def exceeded_by(self, functions: int) -> str | None:
        """Which limit this process has reached, in words, having executed so many functions."""
        if self.max_functions is not None and functions >= self.max_functions:
            return f"has executed {functions:,} functions"
        if self.max_memory is not None and (memory := memory_in_use()) >= self.max_memory:
            return f"uses {memory / 2**20:,.0f} MiB of memory"
        return None


def memory_in_use() -> int:
    """How many bytes of this process are in memory. Where only its maximum is known: that."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_SIZE
    except OSError:
        import resource  # which Windows lacks

        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if platform.system() == "Darwin" else most * 1024
