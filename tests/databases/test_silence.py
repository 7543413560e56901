"""Connections on which nothing arrives any more, and nothing is an error."""

import socket

import pytest

from django_scheduler.databases.silence import answering_within, keep_alive
from tests.support.waiting import wait_until

CHECK_INTERVAL = "django_scheduler.databases.postgresql.listening.CHECK_INTERVAL"
ANSWER_TIMEOUT = "django_scheduler.databases.postgresql.listening.ANSWER_TIMEOUT"


@pytest.mark.only_on("postgresql")
def test_listener_on_a_silent_connection_gives_it_up_and_listens_again(own_database, proxy):
    executor = own_database.start_executor(
        url=proxy.url, constants={CHECK_INTERVAL: 0.3, ANSWER_TIMEOUT: 0.5}, POLL_INTERVAL=3600
    )
    own_database.assert_it_works()
    listener = own_database.sessions("django_scheduler listener")
    assert len(listener) == 1

    assert proxy.silence(b"LISTEN django_scheduler") == 1
    executor.wait_until_logged("The side task 'listener' of an executor failed")
    wait_until(lambda: own_database.sessions("django_scheduler listener") - listener, "it listened again")
    own_database.assert_it_works()
    assert executor.stop() == 0


def test_question_that_is_not_answered_in_time_ends_the_connection():
    one, other = socket.socketpair()
    with one, other:
        one.settimeout(20)
        with answering_within(0.05, one.fileno()):
            assert one.recv(1) == b""


def test_question_that_is_answered_in_time_leaves_the_connection_alone():
    one, other = socket.socketpair()
    with one, other:
        with answering_within(60, one.fileno()):
            other.send(b"!")
            assert one.recv(1) == b"!"
        other.send(b"?")
        assert one.recv(1) == b"?"


@pytest.mark.skipif(not hasattr(socket, "TCP_KEEPIDLE"), reason="this system has no such option")
def test_kernel_is_told_to_notice_a_host_that_is_gone():
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        keep_alive(client.fileno())
        assert client.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert client.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 10


def test_connection_that_is_no_tcp_connection_is_left_as_it_is():
    one, other = socket.socketpair()
    with one, other:
        keep_alive(one.fileno())
        other.send(b"!")
        assert one.recv(1) == b"!"
