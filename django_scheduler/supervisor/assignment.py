"""What a worker process is told to do. It is read before Django is set up there, so it names everything by strings."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    using: str
    concurrency: int
    queues: tuple[str, ...]
    #: The name of a member of ``Until``.
    until: str
    #: How long running functions may take to end once it is to stop, in seconds.
    grace: float
    #: After so many functions it asks to be replaced.
    max_functions: int | None
    #: When it uses so many bytes it asks to be replaced.
    max_memory: int | None
    verbosity: int
