"""PgBouncer before a PostgreSQL server, for as long as a block runs."""

import getpass
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import pytest

from tests.support.waiting import wait_until

CONFIGURATION = """
[databases]
* = host={host} port={server_port} user={user}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = {pool_mode}
ignore_startup_parameters = extra_float_digits,options
"""


@contextmanager
def pgbouncer(*, host: str, server_port: int, user: str, pool_mode: str) -> Iterator[int]:
    """Yield the port of a PgBouncer on this host. ``host``: of the server, or the directory of its socket."""
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
    if program is None:
        pytest.skip("pgbouncer is not installed")
    port = free_port()
    with TemporaryDirectory(prefix="pgbouncer_") as directory:
        Path(directory).chmod(0o755)
        configuration = Path(directory) / "pgbouncer.ini"
        configuration.write_text(
            CONFIGURATION.format(host=host, server_port=server_port, user=user, port=port, pool_mode=pool_mode)
        )
        # It refuses to be root; and a socket may be in a directory that only the server's user can enter.
        owner = Path(host).owner() if host.startswith("/") else "nobody"
        as_owner = ["-u", owner] if getpass.getuser() == "root" else []
        with subprocess.Popen(
            [program, "-q", *as_owner, str(configuration)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            try:
                wait_until(lambda: is_taken(port), "pgbouncer answered")
                yield port
            finally:
                process.terminate()


@contextmanager
def pgbouncer_before(url: str, *, pool_mode: str) -> Iterator[str]:
    """Yield the URL of the same database, at a port of this host, through PgBouncer."""
    parts = urlsplit(url)
    user = parts.netloc.rpartition("@")[0].partition(":")[0]
    assert parts.hostname
    assert parts.port
    with pgbouncer(host=parts.hostname, server_port=parts.port, user=user, pool_mode=pool_mode) as port:
        yield parts._replace(netloc=f"{user}@127.0.0.1:{port}", query="").geturl()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_taken(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
