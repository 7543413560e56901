"""A pooler in transaction mode before the test's PostgreSQL, for as long as a block runs."""

import getpass
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.support.waiting import wait_until


def binary() -> str | None:
    return shutil.which("pgbouncer", path="/usr/sbin:/usr/bin:/usr/local/bin:/usr/local/sbin")


@contextmanager
def pgbouncer(server: Any, pool_mode: str) -> Iterator[int]:
    """Its port. ``server``: what the driver knows of its connection to the server."""
    port = _free_port()
    with TemporaryDirectory(prefix="pgbouncer_") as directory:
        Path(directory).chmod(0o755)
        configuration = Path(directory) / "pgbouncer.ini"
        configuration.write_text(
            f"[databases]\n* = host={server.host} port={server.port} user={server.user}\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
            f"auth_type = any\npool_mode = {pool_mode}\nignore_startup_parameters = extra_float_digits,options\n"
        )
        # It refuses to be root; and a socket may be in a directory that only the server's user can enter.
        user = Path(server.host).owner() if server.host.startswith("/") else "nobody"
        command = [str(binary()), "-q", *(["-u", user] if getpass.getuser() == "root" else []), str(configuration)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
            try:
                wait_until(lambda: _answers(port), "pgbouncer answers")
                yield port
            finally:
                process.terminate()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def _answers(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
