"""The flight recorder: it notes which function's body each worker is in, where the note outlives a crash.

A body can end its process (a segfault, ``os._exit``, the kernel when memory is out), and then no thread is left to say
which one it was. So a worker writes the id of a function before its body begins and erases it after it, in
memory that it may share with a supervisor: eight bytes, no statement and no system call.

The ids that are left when a process has ended are those of the bodies that were running. The other functions of the
same transaction are not among them, nor is one that has committed and whose ``on_commit`` hooks run: that one never
runs again.
"""

import threading
from collections.abc import Iterator, MutableSequence
from contextlib import contextmanager

_this_thread = threading.local()


class FlightRecorder:
    """``running_ids`` has one entry for each worker: the id of the function whose body it is in, or else 0."""

    def __init__(self, running_ids: MutableSequence[int]) -> None:
        self._running_ids = running_ids
        self._names = [""] * len(running_ids)
        self._bodies = [0] * len(running_ids)

    @property
    def bodies(self) -> int:
        """Return how many bodies have ended, well or not."""
        return sum(self._bodies)

    @property
    def running(self) -> list[dict[str, int | str]]:
        """Return the ids and names of the functions whose bodies run now."""
        return [
            {"id": function_id, "name": name}
            for function_id, name in zip(self._running_ids, self._names, strict=True)
            if function_id
        ]

    @contextmanager
    def recording(self, number: int) -> Iterator[None]:
        """Record in entry ``number`` what this thread runs within the block."""
        _this_thread.place = (self, number)
        try:
            yield
        finally:
            del _this_thread.place

    def enter(self, number: int, function_id: int, name: str) -> None:
        self._names[number] = name
        self._running_ids[number] = function_id

    def leave(self, number: int) -> None:
        self._running_ids[number] = 0
        self._bodies[number] += 1


@contextmanager
def in_body(function_id: int, name: str) -> Iterator[None]:
    """Record that this thread is in the body of that function, within the block."""
    recorder, number = getattr(_this_thread, "place", (None, 0))
    if recorder is None:  # this thread is no executor's worker
        yield
        return
    recorder.enter(number, function_id, name)
    try:
        yield
    finally:
        recorder.leave(number)
