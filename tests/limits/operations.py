"""What happens to functions and executors, at random."""

import os
import random
import signal
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import timedelta
from functools import partial

from django.utils import timezone

from django_scheduler import ctx
from django_scheduler.errors import AlreadyFinished, AlreadyStarted
from django_scheduler.executor.heartbeat import is_alive
from django_scheduler.models import UNFINISHED, Executor, ScheduledFunction
from tests.limits.body_ledger import BodyLedger
from tests.support.waiting import wait_until


class Operations:
    """Does something to functions and executors, at random."""

    def __init__(self, ledger: BodyLedger, ids: Iterable[int], *, number: int, kills: int) -> None:
        self._ledger = ledger
        self._ids = list(ids)
        self._number = number
        self._kills = kills
        #: Those whose place in the order of due times is another one now.
        self.moved: set[int] = set()

    def kill(self) -> None:
        on_record = Executor.objects.values_list("process_id", "process_start")
        alive = [process_id for process_id, start in on_record if is_alive(process_id, start)]
        if alive:
            victim = random.choice(alive)
            self._ledger.kill(victim)
            with suppress(ProcessLookupError):
                os.kill(victim, signal.SIGKILL)

    def cancel(self) -> None:
        self._cancel(random.choice(self._ids))

    def cancel_what_runs(self) -> None:
        running = set(self._ledger.running).intersection(self._ids)
        if running:
            self._cancel(random.choice(list(running)))

    def _cancel(self, function_id: int) -> None:
        with suppress(AlreadyFinished):
            ctx.scheduler.cancel(function_id)

    def reschedule(self) -> None:
        when = timezone.now() + timedelta(seconds=random.uniform(0, 0.5))
        self._move(lambda function_id: ctx.scheduler.reschedule(function_id, when))

    def run_now(self) -> None:
        self._move(ctx.scheduler.run_now)

    def _move(self, move: Callable[[int], None]) -> None:
        function_id = random.choice(self._ids)
        with suppress(AlreadyFinished, AlreadyStarted):
            move(function_id)
            self.moved.add(function_id)

    def all(self) -> None:
        others = [self.cancel, self.cancel_what_runs, self.cancel_what_runs, self.reschedule, self.run_now]
        chosen = [self.kill] * self._kills + random.choices(others, k=self._number - self._kills)
        for number, operation in enumerate(random.sample(chosen, len(chosen))):
            wait_until(partial(self._is_so_far, number), "it goes on", timeout=60)
            operation()

    def _is_so_far(self, operations: int) -> bool:
        """Return whether so much of the work is done that the next operation is in its turn."""
        ended = ScheduledFunction.objects.filter(pk__in=self._ids).exclude(state__in=UNFINISHED).count()
        return ended * self._number >= len(self._ids) * operations * 0.9
