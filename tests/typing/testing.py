"""What a test does with the scheduler in its hand."""

from datetime import datetime, timedelta
from typing import assert_type

from django.test import TestCase

from django_scheduler import api
from django_scheduler.models import ScheduledFunction
from django_scheduler.testing import ManualScheduler, SchedulerTestMixin
from tests.typing.functions import archive_order, plain, send_confirmation

tomorrow = datetime.fromisoformat("2030-01-01T00:00:00+00:00")


class OrderTests(SchedulerTestMixin, TestCase):
    def test_an_order(self) -> None:
        assert_type(self.scheduler, ManualScheduler)


def test_an_order(scheduler: ManualScheduler) -> None:
    assert_type(scheduler.run_due(), list[ScheduledFunction])
    assert_type(scheduler.run_all(max_runs=5, raise_failures=False), list[ScheduledFunction])
    assert_type(scheduler.advance(hours=2, minutes=0.5), list[ScheduledFunction])
    assert_type(scheduler.advance(timedelta(days=1), max_runs=5), list[ScheduledFunction])
    assert_type(scheduler.scheduled(archive_order), list[ScheduledFunction])
    scheduler.assert_scheduled(send_confirmation, order_id=1, at=tomorrow, times=1)
    scheduler.assert_scheduled(api.orders.create_order, after=timedelta(days=7))
    scheduler.assert_nothing_scheduled("orders:create_order")
    with ManualScheduler(using="other") as other:
        assert_type(other.using("default"), ManualScheduler)

    scheduler.assert_scheduled(plain)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    scheduler.assert_scheduled(archive_order, at=timedelta(1))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    scheduler.assert_scheduled(archive_order, times="1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    scheduler.assert_nothing_scheduled(plain)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    scheduler.advance(hours="2")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    scheduler.advance(2)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    scheduler.run_all(5)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
