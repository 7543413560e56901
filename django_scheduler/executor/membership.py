"""How a worker process of a fleet (``fleet.py``) is a member of the executors: it is on record as one of them, from
the first function that it executes by id until its end.

It has a row and a heartbeat, so whoever looks for lost actions sees when it is gone; and it looks for those of others.
A process that was forked from one on record is another one, and registers by itself.
"""

import atexit
import os
import threading
from dataclasses import dataclass, field

from django_scheduler.conf import get_settings
from django_scheduler.databases import Database
from django_scheduler.executor.errand import run_errand
from django_scheduler.executor.recovery import recover_lost_actions
from django_scheduler.executor.registration import Registration
from django_scheduler.executor.side_task import SideTask
from django_scheduler.log import warn

#: For how long the end of a process waits for the database, in seconds.
PATIENCE = 2.0


@dataclass(slots=True)
class _Member:
    registration: Registration
    stopping: threading.Event = field(default_factory=threading.Event)
    side_tasks: list[SideTask] = field(default_factory=list)


_joining = threading.Lock()
_members: dict[str, _Member] = {}


def _forget_the_parent() -> None:
    global _joining
    _joining = threading.Lock()  # another thread of the parent may have held it
    _members.clear()


def executor_name(database: Database) -> str:
    """Under which this process is on record; it joins when it first asks."""
    with _joining:
        member = _members.get(database.using)
        if member is None:
            member = _members[database.using] = _join(database)
        return member.registration.name


def leave() -> None:
    """Be off the record, as at the end of the process."""
    with _joining:
        for member in _members.values():
            _leave(member)
        _members.clear()


def _join(database: Database) -> _Member:
    # What runs in which of its threads, the fleet knows.
    member = _Member(Registration(database, queues=[], concurrency=1, running=list))
    member.registration.register()
    interval = get_settings().HEARTBEAT_INTERVAL.total_seconds()
    member.side_tasks = [
        SideTask("heartbeat", member.registration.beat, interval=interval, stopping=member.stopping),
        SideTask("recovery", lambda: recover_lost_actions(database), interval=interval, stopping=member.stopping),
    ]
    for side_task in member.side_tasks:
        side_task.start()
    return member


def _leave(member: _Member) -> None:
    member.stopping.set()
    for side_task in member.side_tasks:
        side_task.join(PATIENCE)
    try:
        run_errand(member.registration.unregister, timeout=PATIENCE)
    except Exception as error:
        warn("%s could not take its leave of the database: %r", member.registration.name, error)


atexit.register(leave)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_the_parent)
