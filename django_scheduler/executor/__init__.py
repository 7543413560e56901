"""The executor: it executes what is due.

``executor.py`` is the whole: threads, and how they start and end. Its rooms:

* ``lookout.py`` sleeps until something is due; ``worker.py`` is a thread that claims and executes it;
  ``session.py`` is that thread's connection.
* ``execution.py`` says what every kind of execution does; ``mutation.py``, ``action.py`` and ``missing.py`` are
  the kinds; ``outcome.py`` describes errors, ``backoff.py`` says when to retry, ``log.py`` logs the end.
* Beside the work, ``side_task.py`` repeats: ``registration.py`` (the executor's own row and its heartbeat),
  ``recovery.py`` (actions whose executor is gone), ``retention.py`` (finished rows that may go).
* ``errand.py`` does something once, in a thread that nobody has to wait for: the ends of an executor.
"""
