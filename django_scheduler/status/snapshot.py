"""What ``status()`` says, part by part."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueStatus:
    """Says what waits in one queue."""

    queue: str
    #: How many functions are pending, whether they are due or not. A mutation that is executing is one of them.
    pending: int
    #: How many of these are due.
    due: int
    #: For how long the oldest due function has been due that nobody is executing (outside of PostgreSQL an executing
    #: mutation counts too), in seconds.
    lag: float
    #: Whether it is paused, by itself or with every queue.
    is_paused: bool
    #: Whether executors have met any of these functions whose code does not know it; see ``unknown_functions``.
    has_unknown: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseStatus:
    """Says what is paused, by whom, and why."""

    #: Its name; empty for every queue.
    queue: str
    reason: str
    paused_by: str
    paused_time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningFunction:
    """Names a function whose body was running at the last heartbeat of its executor."""

    id: int
    name: str
    #: Whether its time was up and it did not end. It is on record as failed, and holds a thread until it returns.
    is_given_up: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutorStatus:
    """Describes one executor on record."""

    name: str
    host: str
    process_id: int
    queues: tuple[str, ...]
    #: How many threads look for what is due. 0: none, it is a worker of a fleet.
    concurrency: int
    started_time: datetime
    #: How long ago its last heartbeat was, in seconds, by the clock that says what is due.
    silence: float
    #: Whether that is no longer ago than ``HEARTBEAT_TIMEOUT``.
    is_alive: bool
    #: The version of this app.
    version: str
    #: What it was executing at its last heartbeat. Only here mutations are shown that are executing.
    running: tuple[RunningFunction, ...]
    #: How many of its threads are held by bodies that do not end although their time is up.
    held_threads: int

    @property
    def looks_for_work(self) -> bool:
        """Return whether it is alive and looks for what is due; a worker of a fleet only executes what it is sent."""
        return self.is_alive and self.concurrency > 0

    def serves(self, queue: str) -> bool:
        """Return whether it looks for what is due in that queue."""
        return self.looks_for_work and (not self.queues or queue in self.queues)

    @property
    def is_full(self) -> bool:
        """Return whether a body was running in each of its threads at its last heartbeat."""
        return len(self.running) >= self.concurrency


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """Says how many functions have ended within the last minute."""

    succeeded: int
    failed: int
    canceled: int

    @property
    def finished(self) -> int:
        """Return how many have succeeded or failed."""
        return self.succeeded + self.failed


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownFunction:
    """Names a function whose arguments executors refuse, or that they do not know, because their code is older."""

    name: str
    queue: str
    #: How many of those that wait for an executor with newer code; counted among the first thousand of all.
    count: int
    #: Since when the first of them has been met, and its id.
    since: datetime
    first_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitedFor:
    """Says what a limit of either kind is set to and what waits for it, for all values of its key together."""

    name: str
    #: What the code says of its number.
    declared: int | None
    #: Who has set it to something else, why and when.
    changed_by: str
    reason: str
    changed_time: datetime | None
    #: How many functions wait for it, and for how long the first of them has waited, in seconds.
    waiting: int
    oldest: float

    @property
    def is_set(self) -> bool:
        """Return whether somebody has set it."""
        return self.changed_time is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitStatus(WaitedFor):
    """Says what waits for a limit and what holds its slots, for all values of its key together."""

    #: How many bodies run at once, for each value of its key; ``None``: neither the code nor anybody in the admin says.
    concurrency: int | None
    #: How many slots actions hold; on PostgreSQL executing mutations too.
    running: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimitStatus(WaitedFor):
    """Says what waits for a rate limit and how many of its slots are in use, for all values of its key together."""

    #: How many bodies begin within a period, for each value of its key; ``None``: neither the code nor anybody says.
    rate: int | None
    #: How long the period is, in seconds; ``None``: the code does not declare it.
    per: float | None
    #: How many have begun within the last period; 0 if it is not known how long that is.
    started: int
