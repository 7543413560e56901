"""The flight recorder: which function's body each worker is in, written where it outlives the process.

A body can end its process (a segfault, ``os._exit``, the kernel when memory is out), and then nobody is left to say
which one it was. So a worker writes down the id of a function before its body begins and wipes it out after it, in
memory that it may share with a supervisor: eight bytes, no statement and no system call.

What stands there at the end of a process was in its body at that moment. Neither the other functions of the same
transaction do, nor one that has committed and whose ``on_commit`` hooks run: that one never runs again.
"""

import threading
from collections.abc import Iterator, MutableSequence
from contextlib import contextmanager
from typing import Any

#: Where no body runs.
NOTHING = 0

_this_thread = threading.local()


class FlightRecorder:
    """``slots`` has one place for each worker, in whatever memory."""

    def __init__(self, slots: MutableSequence[int]) -> None:
        self._slots = slots
        self._names = [""] * len(slots)
        self._bodies = [0] * len(slots)

    @property
    def bodies(self) -> int:
        """How many bodies have ended, however they did."""
        return sum(self._bodies)

    @property
    def running(self) -> list[dict[str, Any]]:
        """The functions whose bodies run now: ids and names."""
        return [
            {"id": function_id, "name": name}
            for function_id, name in zip(self._slots, self._names, strict=True)
            if function_id != NOTHING
        ]

    @contextmanager
    def slot(self, number: int) -> Iterator[None]:
        """Within it, this thread writes into the slot of that number."""
        _this_thread.place = (self, number)
        try:
            yield
        finally:
            del _this_thread.place

    def enter(self, number: int, function_id: int, name: str) -> None:
        self._names[number] = name
        self._slots[number] = function_id

    def leave(self, number: int) -> None:
        self._slots[number] = NOTHING
        self._bodies[number] += 1


@contextmanager
def in_body(function_id: int, name: str) -> Iterator[None]:
    """Within it, this thread is on record as being in the body of that function."""
    recorder, number = getattr(_this_thread, "place", (None, 0))
    if recorder is None:  # a worker of a test, which nobody watches
        yield
        return
    recorder.enter(number, function_id, name)
    try:
        yield
    finally:
        recorder.leave(number)
