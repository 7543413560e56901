"""Whether a Redis answers, for the one contender that needs one."""

import socket

ADDRESS = ("127.0.0.1", 6379)


def redis_answers() -> bool:
    try:
        with socket.create_connection(ADDRESS, timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
    except OSError:
        return False
