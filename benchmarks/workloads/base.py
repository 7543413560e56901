"""What a workload is."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from benchmarks.arena import Arena
from benchmarks.header import Header


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
    #: Over which functions are spread, where they are many.
    queues: int
    #: Functions that have ended, and that a snapshot still sees waiting.
    dead_rows: int
    #: While the memory is watched.
    memory_functions: int
    #: How long the workers are watched while they are idle.
    idle_seconds: float
    #: How long nothing may happen before what is unfinished counts as stuck.
    recovery_seconds: float


DEFAULT = Size(
    functions=10_000,
    seconds=3,
    samples=200,
    future_rows=1_000_000,
    queues=2_000,
    dead_rows=150_000,
    memory_functions=1_000_000,
    idle_seconds=20.5,
    recovery_seconds=6,
)
QUICK = Size(
    functions=500,
    seconds=2,
    samples=20,
    future_rows=50_000,
    queues=200,
    dead_rows=5_000,
    memory_functions=20_000,
    idle_seconds=3,
    recovery_seconds=3,
)


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
    #: How many rounds at most, where what is measured is counted, or takes long; ``None``: as many as are asked for.
    most_rounds: ClassVar[int | None] = None
    #: How long one contender may take in one round, whatever happens, in seconds.
    limit: ClassVar[int] = 120

    def takes_part(self, header: Header) -> bool:
        """Return whether this contender is measured."""
        return self.with_floors or not header.is_floor

    def queues(self, size: Size) -> int:
        """Return how many queues there are to be besides the default one."""
        return 0

    @abstractmethod
    def measure(self, arena: Arena, size: Size) -> Measurement:
        """Measure one contender.

        Raises ``NotSupported`` or a ``ContenderError`` if it cannot be.
        """
