"""Sessions: the connections of executors, what other threads do to them, and what they hear from other processes."""

from abc import abstractmethod
from collections.abc import Callable
from threading import Event
from typing import Any

from django_scheduler.databases.alias import Alias


class Sessions(Alias):
    def prepare_session(self) -> None:
        """Set up a new connection of an executor."""

    def session(self) -> Any:
        """What the two methods below need to know of the current thread's session. Asks nothing of the database."""
        return self.connection.connection

    @abstractmethod
    def interrupt_statement(self, session: Any) -> None:
        """Stop the statement that another thread's session is executing, if it is."""

    @abstractmethod
    def end_session(self, session: Any) -> None:
        """End another thread's session, so that its transaction vanishes, wherever that thread is."""

    def listen(self, ring: Callable[[], None], stopping: Event) -> None:
        """Call ``ring`` for the wake-ups of other processes until ``stopping``; where there are none, return."""
