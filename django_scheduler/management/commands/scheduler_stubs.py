"""``manage.py scheduler_stubs`` tells type checkers which functions the project has."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from django_scheduler.management.command import SchedulerCommand
from django_scheduler.stubs import FILE_NAME, command_for, is_up_to_date, root_of_project, write_stub


class Command(SchedulerCommand):
    help = (
        f"Writes {FILE_NAME}, by which type checkers know what api.<app_label>.<name>, internal.<app_label>.<name> and"
        ' "<app_label>:<name>" stand for, and check calls that name functions like this.'
    )
    requires_system_checks = ()  # the one that says to run this would be in the way

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--output",
            metavar="DIRECTORY",
            type=Path,
            help="where to write it: the directory that the project's modules are imported from (default: BASE_DIR or,"
            " if the settings have none, the current directory)",
        )
        parser.add_argument(
            "--check", action="store_true", help="write nothing, and fail if the file is missing or out of date"
        )

    def handle(self, *, output: Path | None, check: bool, **options: Any) -> None:
        directory = root_of_project() if output is None else output.resolve()
        if not directory.is_dir():
            raise CommandError(f"The stub cannot be written: there is no directory {directory}.")
        stub = directory / FILE_NAME
        if stub.is_dir():
            raise CommandError(f"The stub cannot be written: {stub} is a directory. Remove it, or rename it.")
        if check:
            if not is_up_to_date(stub):
                problem = "is out of date" if stub.exists() else "does not exist"
                raise CommandError(f"{stub} {problem}: run `{command_for(stub)}`, and commit what it has written.")
            self.stdout.write(f"{stub} is up to date.")
            return
        try:
            is_written = write_stub(stub)
        except OSError as error:
            raise CommandError(f"The stub cannot be written: {error}") from error
        self.stdout.write(f"Wrote {stub}." if is_written else f"{stub} is up to date.")
