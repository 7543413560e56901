"""A TCP proxy before a database server, which can stop passing anything on, and leave the connections as they are."""

import selectors
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import parse_qs, urlsplit

CHUNK = 65536


class Swallowing:
    """Of the first connection whose client says something, after something else, swallows that and all that follows.

    ``answer_only``: it still passes that on, and swallows the answer. When the client gives up, so does the proxy.
    """

    def __init__(self, said: bytes, *, after: bytes, answer_only: bool) -> None:
        self._said, self._after = said, after
        self.answer_only = answer_only
        self.connection: Connection | None = None

    def begins(self, connection: "Connection", data: bytes) -> bool:
        if self.connection is None and self._said in data and self._after in connection.said:
            self.connection = connection
            return True
        return False


class Connection:
    """Passes on, in both directions, in a thread."""

    def __init__(self, client: socket.socket, server: socket.socket, proxy: "Proxy") -> None:
        self._proxy = proxy
        self._peers = {client: server, server: client}
        self._client = client
        self._ended = threading.Event()
        self.said = b""
        self.is_silent = self._swallows = False
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    @property
    def is_passing(self) -> bool:
        return self.thread.is_alive() and not (self.is_silent or self._swallows)

    def close(self) -> None:
        self._ended.set()
        self.thread.join(5)

    def _run(self) -> None:
        with selectors.DefaultSelector() as selector, suppress(OSError):
            for each in self._peers:
                selector.register(each, selectors.EVENT_READ, each)
            while not self._ended.wait(0.1 if self.is_silent else 0.0):
                for key, _ in selector.select(timeout=0.1):
                    if not self.is_silent and not self._pass_on(key.data):
                        self._ended.set()
        for each in self._peers:
            each.close()

    def _pass_on(self, source: socket.socket) -> bytes:
        data = source.recv(CHUNK)
        begins = False
        if source is self._client:
            self.said += data
            begins = self._proxy.swallowing.begins(self, data)
        if not (self._swallows or (begins and not self._proxy.swallowing.answer_only)):
            self._peers[source].sendall(data)
        self._swallows |= begins
        return data


class Proxy:
    def __init__(self, listener: socket.socket, url: str) -> None:
        self._listener = listener
        self._url = url
        self._connections: list[Connection] = []
        self.swallowing = Swallowing(b"nothing yet", after=b"", answer_only=False)
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Of the database, through this proxy."""
        parts = urlsplit(self._url)
        user = parts.netloc.rpartition("@")[0]
        port = self._listener.getsockname()[1]
        return parts._replace(netloc=f"{user}@127.0.0.1:{port}", query="").geturl()

    def passing(self, said: bytes) -> "list[Connection]":
        """The connections that pass everything on, and whose client has said that."""
        return [each for each in self._connections if said in each.said and each.is_passing]

    def silence(self, said: bytes) -> int:
        """Pass nothing on any more on the connections whose client has said that; how many those are."""
        silenced = self.passing(said)
        for connection in silenced:
            connection.is_silent = True
        return len(silenced)

    def swallow(self, said: bytes, *, after: bytes = b"", answer_only: bool = False) -> None:
        """Swallow that, and all that follows on the same connection, once."""
        self.swallowing = Swallowing(said, after=after, answer_only=answer_only)

    @property
    def has_swallowed(self) -> bool:
        return self.swallowing.connection is not None

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)
        for connection in self._connections:
            connection.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._connections.append(Connection(client, _connect(self._url), self))


def _connect(url: str) -> socket.socket:
    parts = urlsplit(url)
    directory = parse_qs(parts.query).get("host", [""])[0]
    if directory.startswith("/"):
        server = socket.socket(socket.AF_UNIX)
        server.connect(f"{directory}/.s.PGSQL.{parts.port or 5432}")
        return server
    return socket.create_connection((parts.hostname or "127.0.0.1", parts.port or 5432))


@contextmanager
def proxy_before(url: str) -> Iterator[Proxy]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        proxy = Proxy(listener, url)
        try:
            yield proxy
        finally:
            proxy.close()
