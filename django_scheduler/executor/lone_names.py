"""Functions that run alone for a while, because they failed or ended a group: trying again costs a group each time."""

import time

#: In seconds.
FOR_A_WHILE = 10.0


class LoneNames:
    """Shared by the workers of a process."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}

    def add(self, name: str) -> None:
        self._until[name] = time.monotonic() + FOR_A_WHILE

    def __contains__(self, name: str) -> bool:
        until = self._until.get(name)
        return until is not None and time.monotonic() < until
