"""Percentiles of times."""

from collections.abc import Mapping, Sequence
from math import ceil

from benchmarks.workloads.base import Column

PERCENTILES = tuple(Column(title=f"p{share} ms", decimals=1, more_is_better=False) for share in (50, 95, 99))


def percentiles(seconds: Sequence[float]) -> Mapping[str, float]:
    """In milliseconds, by the titles of the columns."""
    ordered = sorted(seconds)
    return {f"p{share} ms": ordered[max(0, ceil(len(ordered) * share / 100) - 1)] * 1000 for share in (50, 95, 99)}
