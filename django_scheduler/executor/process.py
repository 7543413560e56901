"""Which process this is, and whether another one on this host is still there."""

import os
import platform
import socket
import uuid
from functools import cache
from pathlib import Path


@cache
def host() -> str:
    """The host's name, for people."""
    return socket.gethostname()


@cache
def process_space() -> str:
    """What two processes share if they can see each other's process ids: one kernel, and one namespace of ids.

    The host's name is not enough: two containers may have the same one, and each its own process 7.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return f"{host()} {uuid.getnode():x}"


def process_start(process_id: int) -> str:
    """When a process was started, in the kernel's ticks; empty where that cannot be known."""
    status = _status(process_id)
    return status[19] if status else ""


def is_alive(process_id: int, start: str) -> bool:
    """Whether the process with that id and that start still runs. Where that cannot be known: yes."""
    if platform.system() == "Windows":
        return True  # there os.kill would end it
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    status = _status(process_id)
    if status is None:
        return True
    is_zombie = status[0] in "ZX"
    return not is_zombie and (not start or status[19] == start)


def _status(process_id: int) -> list[str] | None:
    """The fields of ``/proc/<id>/stat`` from the process's state on."""
    try:
        text = Path(f"/proc/{process_id}/stat").read_text()
    except OSError:
        return None
    return text.rpartition(")")[2].split()
