"""A process that has Django and the apps imported, and forks itself on request.

What it forks becomes a process of its own, as if ``python -m MODULE ...`` or ``python -c CODE ...`` had been started,
with the environment, the working directory, the open files and the process group that the request names. It only
saves the imports. The server itself has one thread and no database connection, so nothing is shared but code.

A server that was started without ``DJANGO_SETTINGS_MODULE`` has imported of Django what needs no settings, and nothing
of ours: what it forks has any settings, and imports the apps by itself.

A request comes through a connection to the server's socket (``forked_processes.py`` sends it). The answer is the
process's id, and when it has ended, its exit code. The server ends when its standard input is closed.
"""

import atexit
import fcntl
import gc
import json
import os
import runpy
import selectors
import signal
import socket
import struct
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Self

#: How a number is sent.
NUMBER = struct.Struct("!i")

#: The name of the process that cleans up after multiprocessing, which its command line does not tell when it is forked.
RESOURCE_TRACKER = "tracker"

#: Names the settings in the environment.
SETTINGS = "DJANGO_SETTINGS_MODULE"

#: What any project imports of Django when it starts, as far as it can be imported without settings.
WITHOUT_SETTINGS = (
    *("asyncio", "concurrent.futures", "logging.config", "multiprocessing", "sqlite3"),
    *("django.contrib.admin", "django.core.mail", "django.core.management", "django.core.serializers.json"),
    *("django.core.wsgi", "django.db.backends.sqlite3.base", "django.http", "django.template.loader", "django.test"),
    *("django.urls", "django.views.debug"),
)

#: More open files are not handed over.
MOST_FILES = 64


@dataclass(frozen=True)
class Request:
    #: What follows the interpreter on the command line: ``["-m", MODULE, ...]`` or ``["-c", CODE, ...]``.
    arguments: list[str]
    environment: dict[str, str]
    directory: str
    #: Which numbers the open files that come with the request get there.
    files: list[int]
    #: The process group to join; 0 for one of its own.
    group: int
    #: Signals that the process is not given until it asks for them.
    blocked_signals: list[int]

    def send(self, connection: socket.socket, files: list[int]) -> None:
        """Send the request, with files that have these numbers here."""
        text = json.dumps(asdict(self)).encode()
        socket.send_fds(connection, [NUMBER.pack(len(text))], files)
        connection.sendall(text)

    @classmethod
    def receive(cls, connection: socket.socket) -> tuple[Self, list[int]]:
        """Return the request, and the files that came with it, under the numbers that they have here."""
        length, files, _, _ = socket.recv_fds(connection, NUMBER.size, MOST_FILES)
        text = receive_exactly(connection, NUMBER.unpack(length)[0])
        return cls(**json.loads(text)), files


def receive_exactly(connection: socket.socket, length: int) -> bytes:
    """Receive so many bytes; raise ``EOFError`` if the other end closes before."""
    received = b""
    while len(received) < length:
        more = connection.recv(length - len(received))
        if not more:
            raise EOFError
        received += more
    return received


class Server:
    def __init__(self, path: str) -> None:
        self._path = path
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(path)
        self._listener.listen(64)
        self._waiting: dict[int, socket.socket] = {}
        self._wakeup, wakeup_end = socket.socketpair()
        for end in (self._wakeup, wakeup_end):
            end.setblocking(False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wakeup_end.fileno(), warn_on_full_buffer=False)
        self._wakeup_end = wakeup_end

    def serve(self) -> None:
        """Fork on request, until nobody is there any more who could request."""
        selector = selectors.DefaultSelector()
        selector.register(self._listener, selectors.EVENT_READ, self._fork)
        selector.register(self._wakeup, selectors.EVENT_READ, self._tell_who_has_ended)
        selector.register(sys.stdin, selectors.EVENT_READ, None)
        while True:
            for key, _ in selector.select():
                if key.data is None:
                    self._end_all()
                    return
                key.data()

    def _fork(self) -> None:
        connection, _ = self._listener.accept()
        try:
            request, files = Request.receive(connection)
        except (EOFError, struct.error):  # who asked has been killed
            connection.close()
            return
        process_id = os.fork()
        if process_id == 0:
            become(request, files, self._path)
        for file in files:
            os.close(file)
        try:
            connection.sendall(NUMBER.pack(process_id))
        except OSError:  # who asked has been killed; nobody wants to know of the end either
            connection.close()
        self._waiting[process_id] = connection

    def _end_all(self) -> None:
        """End what the tests have left, as when they are interrupted."""
        for process_id in self._waiting:
            os.kill(process_id, signal.SIGKILL)

    def _tell_who_has_ended(self) -> None:
        self._wakeup.recv(4096)
        while self._waiting:
            process_id, status = os.waitpid(-1, os.WNOHANG)
            if process_id == 0:
                return
            with self._waiting.pop(process_id) as connection:
                try:
                    connection.sendall(NUMBER.pack(os.waitstatus_to_exitcode(status)))
                except OSError:  # nobody wants to know
                    continue


def become(request: Request, files: list[int], server_path: str) -> None:
    """Become the requested process, and end with it."""
    exit_code = 1
    try:
        _reset_signals()
        _take_files(files, request.files)
        os.setpgid(0, request.group)
        os.chdir(request.directory)
        before = dict(os.environ)
        os.environ.clear()
        os.environ.update(request.environment)
        signal.pthread_sigmask(signal.SIG_SETMASK, request.blocked_signals)
        _start_anew_unless_like(before, request)
        from tests.support import forked_processes

        forked_processes.use_in_forked_process(server_path)
        exit_code = _exit_code_of(lambda: _run(request.arguments))
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError):  # nobody reads it any more
                exit_code = exit_code or 1
        os._exit(exit_code)


def _reset_signals() -> None:
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _take_files(received: list[int], wanted: list[int]) -> None:
    """Give the files their numbers, and close all others."""
    above = max([*received, *wanted]) + 1
    safe = [fcntl.fcntl(file, fcntl.F_DUPFD, above) for file in received]
    os.closerange(0, above)
    for file, number in zip(safe, wanted, strict=True):
        os.dup2(file, number)
    os.closerange(above, max(safe) + 1)


def _start_anew_unless_like(before: dict[str, str], request: Request) -> None:
    """Start an interpreter after all, where what is imported here is not what the process would have imported."""
    has_settings = SETTINGS in before
    decisive = {name for name in {*before, *request.environment} if name.startswith(("PYTHON", "DJANGO_"))}
    if not has_settings:
        decisive -= {SETTINGS, "PYTHONPATH"}
    is_alike = all(before.get(name) == request.environment.get(name) for name in decisive)
    if is_alike and has_settings:
        from tests.support.fresh_settings import load_settings_again

        is_alike = load_settings_again()
    elif is_alike:
        sys.path[:0] = filter(None, request.environment.get("PYTHONPATH", "").split(os.pathsep))
    if not is_alike:
        for number in request.files:
            os.set_inheritable(number, True)
        os.execve(sys.executable, [sys.executable, *request.arguments], request.environment)


def _run(arguments: list[str]) -> None:
    option, what, *rest = arguments
    main = sys.modules["__main__"] = ModuleType("__main__")
    sys.argv = [what if option == "-m" else option, *rest]
    if option == "-m":
        runpy.run_module(what, run_name="__main__", alter_sys=True)
    else:
        if "resource_tracker" in what:
            Path("/proc/self/comm").write_text(RESOURCE_TRACKER)
        exec(what, vars(main))


def _exit_code_of(run: Callable[[], None]) -> int:
    """Return the code with which the interpreter would end."""
    try:
        run()
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        print(end.code, file=sys.stderr)  # noqa: T201
        return 1
    except KeyboardInterrupt:
        traceback.print_exc()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def import_everything() -> None:
    """Import what an executor, its supervisor and the other commands import sooner or later."""

    import django

    django.setup()

    import django.test.signals
    from django.conf import settings
    from django.core.management import get_commands, load_command_class
    from django.db import connections
    from django.db.utils import load_backend
    from django.urls import get_resolver

    load_backend(settings.DATABASES["default"]["ENGINE"])
    for name, app in get_commands().items():
        if app in ("django_scheduler", "django.core"):
            load_command_class(app, name)
    _ = get_resolver().url_patterns
    assert all(each.connection is None for each in connections.all(initialized_only=True))
    assert threading.active_count() == 1


def import_what_needs_no_settings() -> None:
    for name in WITHOUT_SETTINGS:
        import_module(name)
    from django.conf import settings

    assert not settings.configured
    assert not [name for name in sys.modules if name.startswith("django_scheduler")]


def main(path: str) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # with Ctrl-C it ends when the tests do
    if SETTINGS in os.environ:
        import_everything()
    else:
        import_what_needs_no_settings()
    gc.collect()
    gc.freeze()
    server = Server(path)
    print("ready", flush=True)  # noqa: T201
    server.serve()


if __name__ == "__main__":
    main(sys.argv[1])
