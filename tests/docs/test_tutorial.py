"""Whoever follows the tutorial, word for word, sees scheduled functions executed."""

import os
import re
import signal
import subprocess
import time
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, Request, build_opener

import pytest

from tests.docs.blocks import ROOT, blocks
from tests.docs.conftest import Environment
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.timeout(180), pytest.mark.thorough]

#: What the tutorial says to do in a shell, but which the fixture has done: from the wheel, and without a registry.
INSTALL = "python -m pip install path/to/the/checkout"

#: What is left running in the second terminal, and what is typed here besides: any port will do.
LEFT_RUNNING = {"python manage.py runserver": " 0", "python manage.py runscheduler --reload": ""}

#: What the second terminal says of the greeting.
SAID = r"INFO orders:greet \d+: success, took \S+ s, began \S+ s after it was due"

#: What asks for a password on a terminal, and here finds one in the environment.
ASKS = "python manage.py createsuperuser"
PASSWORD = "tea with milk"


class Reader:
    """Somebody with two terminals, who does what the text says."""

    def __init__(self, directory: Path, environment: Environment) -> None:
        self.directory = directory
        self._variables = {
            **{name: os.environ[name] for name in ("HOME", "LANG", "TMPDIR") if name in os.environ},
            "PATH": f"{environment.binaries}{os.pathsep}{os.environ['PATH']}",
            "PYTHONUNBUFFERED": "1",  # as on a terminal
            "DJANGO_SUPERUSER_PASSWORD": PASSWORD,
        }
        self.second_terminal: subprocess.Popen[bytes] | None = None
        self._log = directory / "second_terminal.log"
        self._written: set[Path] = set()

    @property
    def log(self) -> str:
        """What the second terminal shows."""
        return self._log.read_text()

    def write(self, file: str, text: str) -> None:
        path = self.directory / file
        with path.open("a") as opened:
            opened.write(f"\n{text}")
        self._written.add(path)

    def type(self, command: str, expected: str) -> None:
        if command == INSTALL:
            return
        if command in LEFT_RUNNING:
            self._leave_running(command + LEFT_RUNNING[command], expected)
            return
        if command.startswith(ASKS):
            command += " --no-input"
        deadline = time.monotonic() + 60
        has_saved_again = False
        while True:
            done = subprocess.run(
                command,
                shell=True,
                check=False,
                cwd=self.directory,
                env=self._variables,
                capture_output=True,
                text=True,
                timeout=60,
            )
            assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
            if expected in done.stdout:
                return
            # "After a few seconds" is all that the text says, once somebody executes.
            assert self.second_terminal, f"{command}\n{done.stdout}"
            assert time.monotonic() < deadline, f"{command}\n{done.stdout}{self.log}"
            if time.monotonic() > deadline - 40 and not has_saved_again:
                # Django's server misses what changes after it has imported a file and before it first looks at its
                # time. Nobody types so fast, but a test does on a busy machine.
                has_saved_again = True
                for path in self._written:
                    path.touch()

    def _leave_running(self, command: str, expected: str) -> None:
        if self.second_terminal:
            self.press_ctrl_c()
        with self._log.open("wb") as log:
            self.second_terminal = subprocess.Popen(
                command.split(), cwd=self.directory, env=self._variables, stdout=log, stderr=log, process_group=0
            )
        wait_until(lambda: expected in self.log, f"it said {expected!r}", timeout=60)

    def press_ctrl_c(self) -> None:
        assert self.second_terminal
        os.killpg(self.second_terminal.pid, signal.SIGINT)
        assert self.second_terminal.wait(timeout=40) == 0, self.log
        self.second_terminal = None

    def look_at_the_overview(self) -> str:
        """Log in as the text says; the page."""
        (site,) = re.findall(r"http://127\.0\.0\.1:\d+", self.log)[-1:]
        browser = build_opener(HTTPCookieProcessor())
        form = browser.open(f"{site}/admin/login/").read().decode()
        (token,) = re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', form)
        login = {"csrfmiddlewaretoken": token, "username": "ada", "password": PASSWORD}
        page = f"{site}/admin/django_scheduler/overview/"
        request = Request(f"{site}/admin/login/?next=/admin/django_scheduler/overview/", urlencode(login).encode())
        request.add_header("Referer", page)
        return str(browser.open(request).read().decode())


@pytest.fixture
def reader(tmp_path, environment):
    reader = Reader(tmp_path, environment)
    yield reader
    if reader.second_terminal:
        os.killpg(reader.second_terminal.pid, signal.SIGKILL)
        reader.second_terminal.wait()


def test_following_the_tutorial(reader):
    for block in blocks(ROOT / "docs/tutorial.md", "python", "console"):
        if block.language == "python":
            reader.write(block.title, block.text)
            continue
        for command in ("\n" + block.text).split("\n$ ")[1:]:
            typed, _, expected = command.partition("\n")
            reader.type(typed, expected.strip())
            if expected == "Hello, Ada!\n":
                wait_until(lambda: re.search(SAID, reader.log), "it said so in the log")
            if typed.startswith(ASKS):
                assert "orders:greet" in reader.look_at_the_overview()
    reader.press_ctrl_c()

    letters = (reader.directory / "letters.txt").read_text().splitlines()
    assert letters == [  # once each, also after the test of the tutorial
        "Dear ada@shop.example, you have ordered: Tea.",
        "Dear cleo@shop.example, you have ordered: Pot.",
    ]
