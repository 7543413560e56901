"""Paused queues: an executor passes over what is due in them, and says so once."""

import logging

from django_scheduler.databases import Lane
from django_scheduler.log import log_of_executors as log


class PausedQueues:
    """What an executor has been told of pauses so far."""

    def __init__(self) -> None:
        self._paused: set[str] = set()

    def pass_over(self, lanes: list[Lane]) -> list[Lane]:
        """The lanes that may be served."""
        for lane in lanes:
            if lane.is_paused and lane.queue not in self._paused:
                self._paused.add(lane.queue)
                log(
                    logging.WARNING,
                    "The queue %r is paused: what is due in it waits until it is resumed",
                    lane.queue,
                    queue=lane.queue,
                )
            elif lane.queue in self._paused and not lane.is_paused:
                self._paused.remove(lane.queue)
                log(logging.INFO, "The queue %r is served again", lane.queue, queue=lane.queue)
        return [lane for lane in lanes if not lane.is_paused]
