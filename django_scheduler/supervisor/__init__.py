"""The supervisor: it keeps a number of child processes executing, and replaces those that die.

* ``supervisor.py`` waits for deaths, messages and signals; it has a place for each child process.
* ``process.py`` is a child process as the supervisor sees it, ``child.py`` is what runs in it.
* ``death.py`` records what a dead process leaves behind; ``orphans.py`` asks for the ends of processes of others.
* ``alive_file.py`` tells a container's probe that all of them run.
* ``stop_signals.py`` counts the signals that ask to stop.

The names are imported when they are first asked for: a child process imports this package before Django is set up.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from django_scheduler.supervisor.alive_file import AliveFile
    from django_scheduler.supervisor.child import ChildOptions
    from django_scheduler.supervisor.stop_signals import StopSignals, end_at_next_signal
    from django_scheduler.supervisor.supervisor import END_TIMEOUT, Supervisor

__all__ = ["END_TIMEOUT", "AliveFile", "ChildOptions", "StopSignals", "Supervisor", "end_at_next_signal"]

_MODULES = {
    "END_TIMEOUT": "supervisor",
    "AliveFile": "alive_file",
    "ChildOptions": "child",
    "StopSignals": "stop_signals",
    "Supervisor": "supervisor",
    "end_at_next_signal": "stop_signals",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
