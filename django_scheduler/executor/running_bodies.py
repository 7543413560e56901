"""Each worker notes which body it is in, where the note outlives a crash.

A body can end its process (a segfault, ``os._exit``, the kernel when memory is out), and then no thread is left to say
which one it was. So a worker writes the id of a function before its body begins and erases it after it, in memory that
it may share with a supervisor: eight bytes, no statement and no system call. The ids that are left when a process has
ended are those of the bodies that were running. The other functions of the same transaction are not among them, nor is
one that has committed and whose ``on_commit`` hooks run: that one never runs again.
"""

import threading
from collections.abc import Iterator, MutableSequence
from contextlib import contextmanager


class RunningBodies:
    """Knows which bodies run. ``ids`` has an entry for each worker: the function whose body it is in, or else 0."""

    def __init__(self, ids: MutableSequence[int]) -> None:
        self._ids = ids
        self._names = [""] * len(ids)
        self._ended = [0] * len(ids)

    @property
    def ended(self) -> int:
        """Return how many bodies have ended, well or not."""
        return sum(self._ended)

    @property
    def functions(self) -> list[dict[str, int | str]]:
        """Return the ids and names of the functions whose bodies run now."""
        return [
            {"id": function_id, "name": name}
            for function_id, name in zip(self._ids, self._names, strict=True)
            if function_id
        ]

    @contextmanager
    def of_this_thread(self, number: int) -> Iterator[None]:
        """Note in entry ``number`` what this thread runs within the block."""
        this_thread.entry = (self, number)
        try:
            yield
        finally:
            this_thread.entry = None

    def enter(self, number: int, function_id: int, name: str) -> None:
        self._names[number] = name
        self._ids[number] = function_id

    def leave(self, number: int) -> None:
        self._ids[number] = 0
        self._ended[number] += 1


class _ThisThread(threading.local):
    #: Where it notes which body it is in; ``None``: it is no executor's worker.
    entry: tuple[RunningBodies, int] | None = None


this_thread = _ThisThread()
