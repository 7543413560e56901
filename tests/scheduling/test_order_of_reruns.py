"""What is run again together runs in the order in which it was scheduled."""

import pytest

from django_scheduler import ctx
from django_scheduler.models import ScheduledFunction, State
from django_scheduler.scheduling import interventions
from tests.executor.grouping.functions import nothing
from tests.functions import write


@pytest.mark.django_db(transaction=True)
def test_functions_that_are_run_again_keep_their_order_also_if_they_alternate():
    old = [
        ctx.scheduler.run_after(0, write, label="a"),
        ctx.scheduler.run_after(0, nothing),
        ctx.scheduler.run_after(0, write, label="b"),
    ]
    ScheduledFunction.objects.update(state=State.SUCCESS)

    interventions.run_again("default", old)

    new = ScheduledFunction.objects.filter(rerun_of__isnull=False).order_by("due_time", "pk")
    assert list(new.values_list("rerun_of_id", flat=True)) == old
