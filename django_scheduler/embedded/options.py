"""What an embedded executor executes, and how it ends. Needs nothing of Django, as the call of ``with_scheduler``."""

from dataclasses import dataclass

#: How many functions it executes at a time, unless the site says otherwise: they share a processor with the requests.
CONCURRENCY = 4

#: How long running functions may take to end, in seconds: less than the 30 that servers give a process that is to end.
GRACE = 20.0

#: The same when the development server ends or restarts, in seconds.
GRACE_OF_DEVELOPMENT = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Says what an embedded executor executes, and how it ends."""

    #: The database to execute from; ``None``: the one that is written to.
    using: str | None = None
    #: How many functions it executes at a time.
    concurrency: int = CONCURRENCY
    #: Serve only these; empty: every queue.
    queues: tuple[str, ...] = ()
    #: How long running functions may take to end when the process ends, in seconds.
    grace: float = GRACE

    def __post_init__(self) -> None:
        if self.concurrency < 1:
            raise ValueError(f"An executor needs at least one thread, not concurrency={self.concurrency}.")
        if self.grace < 0:
            raise ValueError(f"grace is a number of seconds, at least 0, not {self.grace}.")
