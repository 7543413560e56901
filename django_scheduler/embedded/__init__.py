"""Embedded mode: a process that serves a site executes scheduled functions as well, in threads of its own.

* ``application.py`` has what a site calls in its ``wsgi.py`` or ``asgi.py``.
* ``serving.py`` decides which processes execute: those that serve, and not those that only fork others that serve.
* ``embedded_executor.py`` is the executor in such a process: it starts when the database lets it, and ends with the
  process. ``options.py`` is what it is told.

Users import ``with_scheduler`` from here.
"""

from django_scheduler.embedded.application import execute_in_development_server, with_scheduler

__all__ = ["execute_in_development_server", "with_scheduler"]
