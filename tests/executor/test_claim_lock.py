"""The claim lock: one worker has it at a time; it is released, or taken from one that keeps it for too long."""

import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from django_scheduler.executor.claim_lock import ClaimLock
from tests.support.waiting import wait_until


class Taker(threading.Thread):
    """A thread that waits for the lock, and says when it has it."""

    def __init__(self, claim_lock: ClaimLock) -> None:
        super().__init__()
        self._claim_lock = claim_lock
        self._has_it = threading.Event()

    def run(self) -> None:
        with self._claim_lock.held():
            self._has_it.set()

    def gets_it(self) -> bool:
        return self._has_it.wait(10)

    def wait_until_it_waits(self) -> None:
        """Wait until it waits for the lock, which it does not if it could take it."""
        wait_until(self._waits, "the thread waited for the lock")

    def _waits(self) -> bool:
        frame = sys._current_frames().get(self.ident or 0)
        return frame is not None and frame.f_code is threading.Condition.wait.__code__


@pytest.fixture
def claim_lock():
    return ClaimLock()


@pytest.fixture
def takers(claim_lock):
    """Starts threads that take the lock."""
    threads: list[Taker] = []

    def start() -> Taker:
        threads.append(Taker(claim_lock))
        threads[-1].start()
        return threads[-1]

    yield start
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()


def test_the_next_one_has_it_when_it_is_released(claim_lock, takers):
    with claim_lock.held() as holding:
        next_one = takers()
        next_one.wait_until_it_waits()
        holding.release()
        assert next_one.gets_it()


def test_of_those_that_wait_the_last_one_is_the_next(claim_lock, takers):
    with claim_lock.held() as holding:
        first = takers()
        first.wait_until_it_waits()
        last = takers()
        last.wait_until_it_waits()
        holding.release()
        assert last.gets_it()
        assert first.gets_it()


def test_the_next_one_has_it_at_the_end(claim_lock, takers):
    with claim_lock.held():
        next_one = takers()
    assert next_one.gets_it()


def test_one_that_waits_already_takes_it_when_the_time_is_up(claim_lock, takers):
    with claim_lock.held() as holding:
        next_one = takers()
        next_one.wait_until_it_waits()
        holding.release(after=0.01)
        assert next_one.gets_it()


def test_one_that_comes_later_takes_it_when_the_time_is_up(claim_lock, takers):
    with claim_lock.held() as holding:
        holding.release(after=0.01)
        assert takers().gets_it()


def test_it_can_be_released_before_the_time_is_up(claim_lock, takers):
    with claim_lock.held() as holding:
        holding.release(after=1_000)
        next_one = takers()
        holding.release()
        assert next_one.gets_it()


def test_who_has_lost_it_does_not_take_it_from_the_next_one(claim_lock, takers):
    with claim_lock.held() as lost:
        lost.release()
        with claim_lock.held():
            lost.release()
            lost.release(after=0.001)
            third = takers()
            third.wait_until_it_waits()
        assert third.gets_it()


def test_all_of_many_have_it_one_after_the_other(claim_lock):
    inside: list[int] = []
    most: list[int] = []

    def take(number: int) -> None:
        with claim_lock.held():
            inside.append(number)
            time.sleep(0.001)  # so that another thread runs
            most.append(len(inside))
            inside.remove(number)

    with ThreadPoolExecutor(8) as pool:
        with claim_lock.held():
            ends = [pool.submit(take, number) for number in range(8)]
        for end in ends:
            end.result(20)
    assert most == [1] * 8


def test_who_waits_takes_what_was_claimed_for_it_and_not_the_lock(claim_lock):
    taken: list[Any] = []
    holdings: list[Any] = []

    def wait() -> None:
        with claim_lock.held(taken.append) as holding:
            holdings.append(holding)

    given: list[Any] = [("an execution", None), ("another", None)]
    with ThreadPoolExecutor(3) as pool:
        with claim_lock.held():
            ends = [pool.submit(wait) for _ in range(3)]
            wait_until(lambda: claim_lock.idle == 3, "all of them waited")
            claim_lock.give(given)
            wait_until(lambda: len(taken) == 2, "two of them took something")
            assert claim_lock.idle == 1
            assert holdings == [None, None]
        for end in ends:
            end.result(20)
    assert taken == given
    assert len(holdings) == 3
    assert holdings[2] is not None
    assert claim_lock.idle == 0


def test_what_was_claimed_is_taken_also_if_the_lock_is_free_by_then(claim_lock):
    taken: list[Any] = []

    def wait() -> None:
        with claim_lock.held(taken.append):
            pass

    with ThreadPoolExecutor(1) as pool:
        with claim_lock.held() as holding:
            end = pool.submit(wait)
            wait_until(lambda: claim_lock.idle == 1, "it waited")
            claim_lock.give([("an execution", None)])
            holding.release()
        end.result(20)
    assert taken == [("an execution", None)]
    assert not claim_lock.given
