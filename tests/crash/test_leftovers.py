"""Whatever bodies leave behind, in whatever order, and whoever is killed or canceled meanwhile: nobody else notices."""

import random
import signal
from collections.abc import Sequence
from contextlib import suppress

import pytest

from django_scheduler import ctx
from django_scheduler.errors import AlreadyFinished
from django_scheduler.models import UNFINISHED, ScheduledFunction, State
from tests.crash.leftovers import LEAVING, all_of_them
from tests.support.soak import IS_SOAK, SOAK
from tests.support.supervised import Supervised
from tests.support.waiting import wait_until

#: How many innocent functions there are for each that leaves something behind.
INNOCENT = 5 if IS_SOAK else 2

#: For how long the innocent wait at most, in seconds.
BOUND = 60.0


@pytest.mark.timeout(180 * SOAK)
def test_the_innocent_are_exact_and_wait_for_nobody(supervise, ledger):
    posts: list[int] = []
    for _ in range(SOAK if IS_SOAK else 1):
        leaving = list(all_of_them())
        random.shuffle(leaving)
        guilty = []
        for function, what in leaving:
            guilty.append(ctx.scheduler.run_after(0, function, what=what))
            posts += ledger.schedule_posts(INNOCENT)
        kill_and_cancel_until_all_is_decided(supervise(processes=2, concurrency=2, MAX_SAME_ERRORS=3), guilty)
    ledger.check()
    assert ScheduledFunction.objects.filter(pk__in=posts, state=State.SUCCESS).count() == len(posts)


def kill_and_cancel_until_all_is_decided(supervised: Supervised, guilty: Sequence[int]) -> None:
    for number in range(3):
        supervised.kill_one(signal.SIGKILL)
        for function_id in random.sample(guilty, 5):
            with suppress(AlreadyFinished):
                ctx.scheduler.cancel(function_id)
        supervised.wait_until_executing(number + 3)
    undecided = ScheduledFunction.objects.filter(state__in=UNFINISHED)
    innocent = undecided.exclude(name__in=[function.name for function in LEAVING])
    wait_until(lambda: not innocent.exists(), "the innocent were executed", timeout=BOUND)
    wait_until(lambda: not undecided.exists(), "everything was decided", timeout=BOUND)
    assert supervised.stop() == 0
