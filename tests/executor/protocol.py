"""What a worker says to PostgreSQL, word for word: the client library writes down every message."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.db.backends.signals import connection_created

from tests.support.in_process import WORKER

#: A line of the protocol: the time, who has sent it, its length, its kind, its content.
STATEMENT = re.compile(r'\tF\t\d+\t(?:Query|Parse)\t (?:"[^"]*" )?"(?P<sql>(?:[^"\\]|\\.)*)"')


class Protocol:
    def __init__(self, file: Path) -> None:
        self._file = file

    @property
    def statements(self) -> list[str]:
        """Return the first word of each statement."""
        return [match["sql"].split()[0] for match in STATEMENT.finditer(self._file.read_text())]

    @property
    def transactions(self) -> list[list[str]]:
        """Return the statements of each transaction."""
        transactions: list[list[str]] = []
        is_open = False
        for statement in self.statements:
            if statement == "BEGIN":
                transactions.append([])
                is_open = True
            if is_open:
                transactions[-1].append(statement)
            if statement in ("COMMIT", "ROLLBACK"):
                is_open = False
        return transactions


@contextmanager
def protocol_of_worker(file: Path, *, thread: str = WORKER) -> Iterator[Protocol]:
    """Yield the protocol of a worker; ``thread``: how the name of the thread begins, if it is another one's."""
    with file.open("w") as output:

        def record(connection: Any, **kwargs: object) -> None:
            if threading.current_thread().name.startswith(thread):
                connection.connection.pgconn.trace(output.fileno())

        connection_created.connect(record)
        try:
            yield Protocol(file)
        finally:
            connection_created.disconnect(record)
