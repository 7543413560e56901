"""How long the server took for each statement, from its log."""

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil
from statistics import median

LINE = re.compile(r"(?P<database>\S+) LOG:  duration: (?P<ms>[\d.]+) ms  (?P<phase>\w+)[^:]*: (?P<text>.*)")


@dataclass(frozen=True, slots=True)
class Statement:
    """A kind of statement; times are in milliseconds, planning included."""

    text: str
    calls: int
    median: float
    p99: float
    total: float


def statements(log: Iterable[str], database: str) -> list[Statement]:
    """What this database was asked; what took longest in all comes first."""
    times: dict[str, list[float]] = defaultdict(list)
    begun = 0.0
    for line in log:
        match = LINE.match(line)
        if match is None or match["database"] != database:
            continue
        if match["phase"] in ("parse", "bind"):
            begun += float(match["ms"])
        else:
            times[_kind(match["text"])].append(begun + float(match["ms"]))
            begun = 0.0
    found = [
        Statement(text, len(each), median(each), sorted(each)[ceil(len(each) * 0.99) - 1], sum(each))
        for text, each in times.items()
    ]
    return sorted(found, key=lambda statement: -statement.total)


def _kind(text: str) -> str:
    """Without what differs from call to call."""
    text = re.sub(r"\$\d+|'[^']*'|\b\d+\b", "?", text)
    return re.sub(r"\?(, \?)+", "?", text)
