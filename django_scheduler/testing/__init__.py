"""For tests: nothing runs by itself, and everything runs when the test says so, here and in order.

``ManualScheduler`` (``manual_scheduler.py``) is what a test holds in its hand; ``SchedulerTestMixin`` (``mixin.py``)
brings it into a ``TestCase`` or a ``TransactionTestCase``, and the fixture ``scheduler`` into pytest. See
``docs/testing.md``.

* ``clock.py`` lets time stand still and moves it, freezegun's and time-machine's too.
* ``transactions.py`` has transactions begin and commit inside of a ``TestCase``, whose own never does.
* ``execution.py`` claims and executes one function, as a worker does.
* ``expectation.py`` is what ``assert_scheduled`` looks for.
"""

from django_scheduler.testing.manual_scheduler import ManualScheduler, SchedulerTestMixin, TooManyRuns

__all__ = ["ManualScheduler", "SchedulerTestMixin", "TooManyRuns"]
