"""``self.scheduler`` for test cases: ``TestCase``, ``TransactionTestCase`` and their like."""

from typing import TYPE_CHECKING

from django_scheduler.clock import pythons_clock
from django_scheduler.testing.manual_scheduler import ManualScheduler

if TYPE_CHECKING:
    from unittest import TestCase as Base
else:
    Base = object


class SchedulerTestMixin(Base):
    """Gives every test a ``ManualScheduler``, as ``self.scheduler``.

    Example::

        class OrderTests(SchedulerTestMixin, TestCase):
            def test_an_order_is_confirmed(self):
                place_order()
                self.scheduler.run_all()
    """

    scheduler: ManualScheduler

    @classmethod
    def setUpClass(cls) -> None:
        cls.enterClassContext(pythons_clock())  # for what setUpTestData schedules
        super().setUpClass()

    def setUp(self) -> None:
        self.scheduler = self.enterContext(ManualScheduler())
        super().setUp()
