"""Whoever follows the tutorial, word for word, sees scheduled functions executed."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.docs.blocks import ROOT, blocks
from tests.docs.conftest import Environment

pytestmark = pytest.mark.timeout(180)

#: What the tutorial says to do in a shell, but which the fixture has done: from the wheel, and without a registry.
INSTALL = "python -m pip install path/to/the/checkout"
EXECUTE = "python manage.py runscheduler"


class Reader:
    """Somebody with two terminals, who does what the text says."""

    def __init__(self, directory: Path, environment: Environment) -> None:
        self.directory = directory
        self._variables = {
            **{name: os.environ[name] for name in ("HOME", "LANG", "TMPDIR") if name in os.environ},
            "PATH": f"{environment.binaries}{os.pathsep}{os.environ['PATH']}",
        }
        self.second_terminal: subprocess.Popen[bytes] | None = None

    def write(self, file: str, text: str) -> None:
        path = self.directory / file
        with path.open("a") as opened:
            opened.write(f"\n{text}")

    def type(self, command: str, expected: str) -> None:
        if command == INSTALL:
            return
        if command == EXECUTE:
            with (self.directory / "executor.log").open("wb") as log:
                self.second_terminal = subprocess.Popen(
                    command.split(), cwd=self.directory, env=self._variables, stdout=log, stderr=log
                )
            return
        deadline = time.monotonic() + 60
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
            assert time.monotonic() < deadline, f"{command}\n{done.stdout}"

    def press_ctrl_c(self) -> None:
        assert self.second_terminal
        self.second_terminal.send_signal(signal.SIGINT)
        assert self.second_terminal.wait(timeout=40) == 0, (self.directory / "executor.log").read_text()
        self.second_terminal = None


@pytest.fixture
def reader(tmp_path, environment):
    reader = Reader(tmp_path, environment)
    yield reader
    if reader.second_terminal:
        reader.second_terminal.kill()
        reader.second_terminal.wait()


def test_following_the_tutorial(reader):
    for block in blocks(ROOT / "docs/tutorial.md", "python", "console"):
        if block.language == "python":
            reader.write(block.title, block.text)
            continue
        for command in ("\n" + block.text).split("\n$ ")[1:]:
            typed, _, expected = command.partition("\n")
            reader.type(typed, expected.strip())
    reader.press_ctrl_c()

    letters = (reader.directory / "letters.txt").read_text().splitlines()
    assert letters == ["Dear ada@shop.example, you have ordered: Tea."]  # once, also after the test of the tutorial
