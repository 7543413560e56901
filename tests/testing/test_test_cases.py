"""``SchedulerTestMixin`` in Django's test cases; and that a test leaves nothing to the next one."""

from datetime import timedelta

import pytest
from django.test import TestCase, TransactionTestCase
from django.utils import timezone

from django_scheduler import ctx
from django_scheduler.testing import SchedulerTestMixin
from tests.functions import write
from tests.testing.functions import labels

pytestmark = pytest.mark.once

REAL_YEARS = timedelta(days=300)


class Isolation(SchedulerTestMixin):
    """Both tests do the same: whichever comes second would meet what the first has left."""

    def _find_nothing_and_leave_much(self):
        self.scheduler.assert_nothing_scheduled()
        assert timezone.now() < type(self).started + REAL_YEARS
        ctx.scheduler.run_after(timedelta(days=400), write, label="executed")
        ctx.scheduler.run_after(timedelta(days=1_000), write, label="left behind")
        self.scheduler.advance(days=500)
        assert labels() == ["executed"]

    def test_nothing_is_left_by_the_other_test(self):
        self._find_nothing_and_leave_much()

    def test_nothing_is_left_by_the_other_test_either(self):
        self._find_nothing_and_leave_much()

    started = timezone.now()


class InATestCase(Isolation, TestCase):
    pass


class InATransactionTestCase(Isolation, TransactionTestCase):
    pass


class WithTestData(SchedulerTestMixin, TestCase):
    @classmethod
    def setUpTestData(cls):
        ctx.scheduler.run_after(0, write, label="test data")

    def test_what_test_data_has_scheduled_is_each_tests_own(self):
        self.scheduler.run_all()
        assert labels() == ["test data"]

    def test_what_another_test_has_executed_of_it_is_pending_again(self):
        self.scheduler.run_all()
        assert labels() == ["test data"]


class WithHooks(SchedulerTestMixin, TestCase):
    def test_hooks_of_the_test_itself_run_as_django_has_it(self):
        from django.db import transaction

        with self.captureOnCommitCallbacks(execute=True), transaction.atomic():
            transaction.on_commit(lambda: ctx.scheduler.run_after(0, write, label="from a hook") and None)

        self.scheduler.run_all()
        assert labels() == ["from a hook"]


class InAnAsyncTest(SchedulerTestMixin, TestCase):
    async def test_through_sync_to_async(self):
        from asgiref.sync import sync_to_async

        from tests.functions import note_async

        await ctx.scheduler.arun_after(0, note_async, label="x")
        await sync_to_async(self.scheduler.run_all)()
        assert await sync_to_async(labels)() == ["x"]
