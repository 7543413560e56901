"""What a workload is."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from benchmarks.arena import Arena


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One figure that a workload measures."""

    title: str
    #: How many decimals are shown.
    decimals: int = 0
    #: Whether more is better. ``None``: it is only told.
    more_is_better: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is measured."""

    functions: int
    #: The time limit of one drain.
    seconds: float
    #: Of the latencies.
    samples: int
    future_rows: int
    #: How long the workers are watched while they are idle.
    idle_seconds: float
    #: How long nothing may happen before what is unfinished counts as stuck.
    recovery_seconds: float


DEFAULT = Size(functions=5_000, seconds=5, samples=200, future_rows=1_000_000, idle_seconds=10.5, recovery_seconds=6)
QUICK = Size(functions=500, seconds=3, samples=20, future_rows=50_000, idle_seconds=4, recovery_seconds=3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """What came out: a figure for each column, by its title, and what else is to be said."""

    figures: Mapping[str, float]
    remark: str = ""


class Workload(ABC):
    """Something that is measured of every contender. The first column is the one that they are compared by."""

    #: As it is given on the command line.
    name: ClassVar[str]
    title: ClassVar[str]
    explanation: ClassVar[str]
    columns: ClassVar[tuple[Column, ...]]
    databases: ClassVar[tuple[str, ...]] = ("postgresql", "sqlite")
    #: Whether the floors take part, which do nothing but schedule and drain.
    with_floors: ClassVar[bool] = False

    @abstractmethod
    def measure(self, arena: Arena, size: Size) -> Measurement:
        """Measure one contender.

        Raises ``NotSupported`` or a ``ContenderError`` if it cannot be.
        """
