"""Process 1 of a container is given all processes whose parent has ended, and has to ask for their end.

Otherwise what a body starts and leaves stays in the kernel's table when it has ended, as a zombie, until the table is
full. The kernel also lets a process say that it wants to be given them (``PR_SET_CHILD_SUBREAPER``).
"""

import ctypes
import os
from collections.abc import Container
from functools import cache

PR_GET_CHILD_SUBREAPER = 37


def reap_orphans(*, besides: Container[int | None]) -> None:
    """Ask for the end of all child processes that have ended, but those whose exit codes somebody else asks for."""
    if not _is_given_orphans():
        return
    while process_id := _ended_child():
        if process_id in besides:
            return  # the kernel names the same one until its exit code has been asked for, which is soon
        try:
            os.waitpid(process_id, os.WNOHANG)
        except ChildProcessError:  # somebody has asked meanwhile
            continue


def _ended_child() -> int | None:
    try:
        ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:  # there is none
        return None
    return ended.si_pid if ended else None


@cache
def _is_given_orphans() -> bool:
    if not hasattr(os, "waitid"):
        return False
    if os.getpid() == 1:
        return True
    is_subreaper = ctypes.c_int()
    try:
        ctypes.CDLL(None).prctl(PR_GET_CHILD_SUBREAPER, ctypes.byref(is_subreaper), 0, 0, 0)
    except (OSError, AttributeError):  # this is not Linux
        return False
    return bool(is_subreaper.value)
