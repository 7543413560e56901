"""Who follows a function from its call to its commit has few files to read."""

import os
import sys
from pathlib import Path
from types import FrameType
from typing import Self

import pytest

import django_scheduler
from django_scheduler import Context, ctx, mutation
from tests.support.in_process import execute_with_one_worker, one_worker

#: How the paths of the files of the package begin.
PACKAGE = f"{Path(django_scheduler.__file__).parent}{os.sep}"


class FilesEntered:
    """Collects the files that this thread enters within, from each call of one function to the next of another one.

    Of this thread alone: with profile functions in several threads, Python 3.11 may never come to an end.
    """

    def __init__(self, since: str, until: str) -> None:
        self._since = since
        self._until = until
        self._files: set[str] = set()
        #: Of each time that it came to ``until``, by their paths in the package.
        self.collected: list[set[str]] = []

    def __enter__(self) -> Self:
        sys.setprofile(self._note)
        return self

    def __exit__(self, *exception: object) -> None:
        sys.setprofile(None)
        self.collected.append(self._files)

    def _note(self, frame: FrameType, event: str, argument: object) -> None:
        code = frame.f_code
        if event != "call" or not code.co_filename.startswith(PACKAGE):
            return
        if code.co_name == self._since:
            self._files = set()
        elif code.co_name == self._until:
            self.collected.append(self._files)
            self._files = set()
        self._files.add(code.co_filename.removeprefix(PACKAGE))


@mutation
def be_followed(ctx: Context, *, number: int) -> None: ...


@pytest.mark.django_db
def test_scheduling_a_function_enters_at_most_ten_files():
    scheduler = ctx.scheduler
    scheduler.run_after(0, be_followed, number=0)  # what happens once in a process does not count

    with FilesEntered(since="run_after", until="") as entered:
        scheduler.run_after(0, be_followed, number=1)

    *_, files = entered.collected
    assert "scheduling/enqueue.py" in files
    assert len(files) <= 10, sorted(files)


def test_executing_a_mutation_from_the_look_that_finds_it_to_its_commit_enters_at_most_21_files(transactional_db):
    ctx.scheduler.run_after_many(0, be_followed, [{"number": number} for number in range(2)])
    execute_with_one_worker()  # for what is read and prepared once
    ctx.scheduler.run_after_many(0, be_followed, [{"number": number} for number in range(2)])

    with one_worker() as worker, FilesEntered(since="due_lanes", until="after_commit") as entered:
        worker.run()

    _, files, *_ = entered.collected
    assert "executor/mutation.py" in files
    assert len(files) <= 21, "\n".join(sorted(files))
