"""The turn of a worker: one has it at a time; it is handed on, or taken from who keeps it for too long."""

import threading

import pytest

from django_scheduler.executor.poller import Turn


@pytest.fixture
def turn():
    return Turn()


@pytest.fixture
def takers(turn):
    """Starts threads that wait for the turn, and say when they have it."""
    threads: list[threading.Thread] = []

    def start() -> threading.Event:
        has_it = threading.Event()

        def take() -> None:
            with turn.taken():
                has_it.set()

        threads.append(threading.Thread(target=take))
        threads[-1].start()
        return has_it

    yield start
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()


def test_the_next_one_has_it_when_it_is_handed_on(turn, takers):
    with turn.taken() as hold:
        next_one = takers()
        assert not next_one.wait(0.05)
        hold.hand_on()
        assert next_one.wait(10)


def test_the_next_one_has_it_at_the_end(turn, takers):
    with turn.taken():
        next_one = takers()
    assert next_one.wait(10)


def test_one_that_waits_already_takes_it_when_the_time_is_up(turn, takers):
    with turn.taken() as hold:
        next_one = takers()
        hold.hand_on(after=0.01)
        assert next_one.wait(10)


def test_one_that_comes_later_takes_it_when_the_time_is_up(turn, takers):
    with turn.taken() as hold:
        hold.hand_on(after=0.01)
        assert takers().wait(10)


def test_it_can_be_handed_on_before_the_time_is_up(turn, takers):
    with turn.taken() as hold:
        hold.hand_on(after=1_000)
        next_one = takers()
        hold.hand_on()
        assert next_one.wait(10)


def test_who_has_lost_it_does_not_take_it_from_the_next_one(turn, takers):
    with turn.taken() as lost:
        lost.hand_on()
        with turn.taken():
            lost.hand_on()
            lost.hand_on(after=0.001)
            third = takers()
            assert not third.wait(0.05)
        assert third.wait(10)


def test_all_of_many_have_it_one_after_the_other(turn, takers):
    with turn.taken():
        waiting = [takers() for _ in range(8)]
    assert all(each.wait(10) for each in waiting)
