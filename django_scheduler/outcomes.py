"""What became of each scheduled function of a selection that somebody wanted to change."""

from enum import Enum


class Outcome(Enum):
    DONE = "done"
    #: A mutation that executes right now, or an action that begins to: it is too late.
    RUNNING = "running"
    #: An action in progress: there is nothing left to move.
    IN_PROGRESS = "in progress"
    #: It has not finished yet, so it cannot run again.
    UNFINISHED = "unfinished"
    FINISHED = "finished"
    CANCELED = "canceled"
    #: The code no longer has a function of that name.
    MISSING = "missing"
    #: The record does not have it: it never existed, or its retention has passed.
    GONE = "gone"
