"""Gates: where a function that this process executes waits for its test."""

import itertools
import threading

#: Nobody waits for longer, whatever has become of the test, in seconds.
LONGEST_WAIT = 50.0

_gates: dict[str, "Gate"] = {}
_numbers = itertools.count(1)


class Gate:
    """Functions arrive at it, and stay until it is open."""

    def __init__(self) -> None:
        self.name = f"gate {next(_numbers)}"
        self._change = threading.Condition()
        self._arrivals = 0
        self._departures = 0
        self._is_open = False
        _gates[self.name] = self

    @staticmethod
    def find(name: str) -> "Gate":
        return _gates[name]

    @property
    def arrivals(self) -> int:
        """How often a function has come here, in a first attempt or in another one."""
        return self._arrivals

    @property
    def is_open(self) -> bool:
        return self._is_open

    def open(self) -> None:
        with self._change:
            self._is_open = True
            self._change.notify_all()

    def close(self) -> None:
        with self._change:
            self._is_open = False

    def arrive(self) -> int:
        """For the function: say that it is here; how many came before it."""
        with self._change:
            self._arrivals += 1
            self._change.notify_all()
            return self._arrivals - 1

    def pass_through(self) -> None:
        """For the function: say that it is here, and wait until the gate is open."""
        self.arrive()
        with self._change:
            if not self._change.wait_for(lambda: self._is_open, LONGEST_WAIT):
                raise TimeoutError(f"Nobody has opened {self.name}.")
            self._departures += 1
            self._change.notify_all()

    def wait_for_arrivals(self, number: int = 1) -> None:
        with self._change:
            assert self._change.wait_for(lambda: self._arrivals >= number, 20), f"{self._arrivals} have arrived"

    def wait_for_departures(self, number: int = 1) -> None:
        with self._change:
            assert self._change.wait_for(lambda: self._departures >= number, 20), f"{self._departures} have departed"
