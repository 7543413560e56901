"""Silent connections: the host at the other end is gone without a sign, or a proxy has dropped the connection.

Nothing arrives and nothing is an error, so a thread that waits for an answer or for a wake-up would wait for hours. So
the kernel is told to probe, which notices a host that is gone. A proxy or a balancer answers probes for a server that
it has lost, so on a connection on which only wake-ups arrive a statement is executed now and then.
"""

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Timer
from typing import NamedTuple, Self

#: A peer that has said nothing for so long is asked, so often, so many times; in seconds. What was sent may stay
#: unacknowledged for so long; in milliseconds. The server is asked to do the same, where a session can ask it.
KEEP_ALIVE = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 25_000}


class Descriptor(NamedTuple):
    """Names the socket of a connection to other threads: it tells that from a later one, which has the same number."""

    number: int
    inode: int

    @classmethod
    def of(cls, number: int) -> Self:
        """Return the descriptor of an open socket."""
        try:
            return cls(number, os.fstat(number).st_ino)
        except OSError:  # as on Windows, where a socket is no file
            return cls(number, 0)

    def cut(self) -> None:
        """Cut the connection, if it has not been closed: its driver then says that it is lost."""
        with suppress(OSError), _socket(self.number) as connection:
            if os.fstat(connection.fileno()).st_ino == self.inode:
                connection.shutdown(socket.SHUT_RDWR)


def keep_alive(descriptor: int) -> None:
    """Have the kernel notice within half a minute that the host at the other end of a connection is gone."""
    with suppress(OSError), _socket(descriptor) as connection:  # it is no TCP connection, or it is gone already
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in KEEP_ALIVE.items():
            if hasattr(socket, name):  # not every system has all of them
                connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


@contextmanager
def answering_within(seconds: float, descriptor: Callable[[], int]) -> Iterator[None]:
    """Cut the connection if what is asked within takes longer; the driver then raises that it is lost.

    ``descriptor`` is asked only then, in another thread.
    """
    timer = Timer(seconds, cut, [descriptor])
    timer.name, timer.daemon = "django_scheduler answer timeout", True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()  # so that it does not cut what the descriptor means next


def cut(descriptor: Callable[[], int]) -> None:
    """Cut the connection of another thread, whose driver says which one it is, or raises if it has been closed."""
    with suppress(Exception):
        number = descriptor()
        with _socket(number) as connection:
            if descriptor() == number:  # it has not been closed since, so its number is not that of something else
                connection.shutdown(socket.SHUT_RDWR)


def _socket(descriptor: int) -> socket.socket:
    return socket.socket(fileno=os.dup(descriptor))
