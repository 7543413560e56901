"""PgBouncer before a PostgreSQL server."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import gettempdir
from urllib.parse import urlsplit

import pytest

from tests.connections.servers import free_port, wait_for_port

CONFIGURATION = """
[databases]
* = host=127.0.0.1 port={server_port} user={user}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = {pool_mode}
ignore_startup_parameters = extra_float_digits
logfile = {directory}/pgbouncer.log
"""


@contextmanager
def pgbouncer_before(url: str, *, pool_mode: str, directory: Path) -> Iterator[str]:
    """The URL of the same database, at a port of this host, through PgBouncer."""
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip("pgbouncer is not installed")
    parts = urlsplit(url)
    port = free_port()
    user = parts.netloc.rpartition("@")[0].partition(":")[0]
    configuration = directory / "pgbouncer.ini"
    configuration.write_text(
        CONFIGURATION.format(user=user, server_port=parts.port, port=port, pool_mode=pool_mode, directory=directory)
    )
    command = [program, str(configuration)]
    if os.geteuid() == 0:  # as which it does not run
        for each in [directory, *directory.parents]:
            if each.is_relative_to(gettempdir()) and each != Path(gettempdir()):
                each.chmod(0o777)
        configuration.chmod(0o644)
        command[1:1] = ["-u", "nobody"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            wait_for_port(port)
            yield parts._replace(netloc=f"{user}@127.0.0.1:{port}", query="").geturl()
        finally:
            process.terminate()
