"""Tests execute scheduled functions when they say so: in their own thread, and in order. See ``docs/testing.md``.

* ``manual_scheduler.py`` has ``ManualScheduler``, and ``SchedulerTestMixin`` for test cases. (``pytest_plugin.py`` has
  the fixture ``scheduler``.)
* ``agenda.py`` says which function comes next.
* ``clock.py`` stops time and moves it, also that of freezegun and time-machine.
* ``execution.py`` claims and executes one function, as a worker does, and lets its transactions commit inside of a
  ``TestCase``.
* ``crons.py`` fires crons while a test lets time pass.
* ``expectation.py`` is what ``assert_scheduled`` looks for.
"""

from django_scheduler.testing.manual_scheduler import ManualScheduler, SchedulerTestMixin, TooManyRuns

__all__ = ["ManualScheduler", "SchedulerTestMixin", "TooManyRuns"]
