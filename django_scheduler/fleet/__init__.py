"""The fleet: workers of another system, which execute in place of executors where ``EXECUTOR`` names them.

* ``hand_over.py`` sends due functions to them, and explains why neither guarantee depends on it.
* ``worker.py`` is the task that they are sent.

Without a fleet nothing of this is registered, and nobody asks for it.
"""

from django_scheduler.fleet.hand_over import register

__all__ = ["register"]
