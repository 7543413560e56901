"""Functions that run alone for a while.

Because they failed or ended a group: trying again costs a group each time. Or because they took long: that is how long
a group would keep the rows of its other members from everybody else.
"""

import time

#: In seconds.
FOR_A_WHILE = 10.0

#: How long a body takes that takes long, in seconds: longer than a machine that is busy makes a short one take.
LONG = 0.5


class LoneNames:
    """Shared by the workers of a process."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}

    def add(self, name: str) -> None:
        self._until[name] = time.monotonic() + FOR_A_WHILE

    def add_if_long(self, name: str, duration: float) -> None:
        if duration > LONG:
            self.add(name)

    def __contains__(self, name: str) -> bool:
        until = self._until.get(name)
        return until is not None and time.monotonic() < until
