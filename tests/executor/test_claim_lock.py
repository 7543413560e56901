"""The claim lock: one worker has it at a time; it is released, or taken from one that keeps it for too long."""

import threading

import pytest

from django_scheduler.executor.poller import ClaimLock


@pytest.fixture
def claim_lock():
    return ClaimLock()


@pytest.fixture
def takers(claim_lock):
    """Starts threads that wait for the lock, and say when they have it."""
    threads: list[threading.Thread] = []

    def start() -> threading.Event:
        has_it = threading.Event()

        def take() -> None:
            with claim_lock.held():
                has_it.set()

        threads.append(threading.Thread(target=take))
        threads[-1].start()
        return has_it

    yield start
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()


def test_the_next_one_has_it_when_it_is_released(claim_lock, takers):
    with claim_lock.held() as holding:
        next_one = takers()
        assert not next_one.wait(0.05)
        holding.release()
        assert next_one.wait(10)


def test_the_next_one_has_it_at_the_end(claim_lock, takers):
    with claim_lock.held():
        next_one = takers()
    assert next_one.wait(10)


def test_one_that_waits_already_takes_it_when_the_time_is_up(claim_lock, takers):
    with claim_lock.held() as holding:
        next_one = takers()
        holding.release(after=0.01)
        assert next_one.wait(10)


def test_one_that_comes_later_takes_it_when_the_time_is_up(claim_lock, takers):
    with claim_lock.held() as holding:
        holding.release(after=0.01)
        assert takers().wait(10)


def test_it_can_be_released_before_the_time_is_up(claim_lock, takers):
    with claim_lock.held() as holding:
        holding.release(after=1_000)
        next_one = takers()
        holding.release()
        assert next_one.wait(10)


def test_who_has_lost_it_does_not_take_it_from_the_next_one(claim_lock, takers):
    with claim_lock.held() as lost:
        lost.release()
        with claim_lock.held():
            lost.release()
            lost.release(after=0.001)
            third = takers()
            assert not third.wait(0.05)
        assert third.wait(10)


def test_all_of_many_have_it_one_after_the_other(claim_lock, takers):
    with claim_lock.held():
        waiting = [takers() for _ in range(8)]
    assert all(each.wait(10) for each in waiting)
