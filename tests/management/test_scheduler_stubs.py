"""manage.py scheduler_stubs tells type checkers which functions the project has."""

import ast
import os
from io import StringIO
from pathlib import Path
from unittest.mock import Mock

import pytest
from django.core.management import CommandError, call_command

from django_scheduler import internal_mutation
from django_scheduler.functions import registry
from django_scheduler.stubs import FILE_NAME, stub_of
from tests.docs.blocks import ROOT
from tests.support import forked_processes

PROJECT = ROOT / "tests/typing/project"


@pytest.fixture
def stub(settings, tmp_path):
    settings.BASE_DIR = tmp_path
    return tmp_path / FILE_NAME


def write(*arguments):
    output = StringIO()
    call_command("scheduler_stubs", *arguments, stdout=output)
    return output.getvalue()


def test_it_is_written_beside_the_settings(stub):
    assert write() == f"Wrote {stub}.\n"
    text = stub.read_text()
    ast.parse(text)
    for function in registry:
        if function.is_imported_at_start:
            assert f'"{function.name}"' in text
    assert [each.name for each in stub.parent.iterdir()] == [FILE_NAME]


def test_without_a_base_directory_it_is_written_into_the_current_one(settings, tmp_path, monkeypatch):
    del settings.BASE_DIR
    monkeypatch.chdir(tmp_path)
    write()
    assert (tmp_path / FILE_NAME).exists()


def test_it_is_written_where_one_wants_it(stub, tmp_path_factory):
    directory = tmp_path_factory.mktemp("src")
    assert write("--output", str(directory)) == f"Wrote {directory / FILE_NAME}.\n"
    assert not stub.exists()


def test_file_that_is_up_to_date_is_left_alone(stub):
    write()
    os.utime(stub, (1, 1))
    assert write() == f"{stub} is up to date.\n"
    assert stub.stat().st_mtime == 1


@pytest.mark.parametrize(("old", "problem"), [(None, "does not exist"), ("", "is out of date")])
def test_check_fails_and_writes_nothing(stub, old, problem):
    if old is not None:
        stub.write_text(old)
    with pytest.raises(CommandError, match=rf"{FILE_NAME} {problem}: run `manage.py scheduler_stubs`"):
        write("--check")
    assert (stub.read_text() if stub.exists() else None) == old


def test_failing_check_names_the_command_that_writes_to_the_same_place(stub, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("src")
    with pytest.raises(CommandError, match=f"run `manage.py scheduler_stubs --output {elsewhere}`, and commit"):
        write("--check", "--output", str(elsewhere))


def test_check_of_what_was_written_passes(stub):
    write()
    assert write("--check") == f"{stub} is up to date.\n"


def test_directory_that_is_not_there_is_refused(stub):
    with pytest.raises(CommandError, match="there is no directory"):
        write("--output", str(stub.parent / "src"))


def test_stub_that_cannot_be_written_is_reported_and_leaves_nothing_behind(stub, monkeypatch):
    stub.write_text("")
    monkeypatch.setattr(Path, "replace", Mock(side_effect=PermissionError("not here")))
    with pytest.raises(CommandError, match="The stub cannot be written: not here"):
        write()
    assert [each.name for each in stub.parent.iterdir()] == [FILE_NAME]


@pytest.mark.parametrize("arguments", [[], ["--check"]])
def test_directory_that_has_its_name_is_reported(stub, arguments):
    stub.mkdir()
    with pytest.raises(CommandError, match=f"The stub cannot be written: {stub} is a directory"):
        write(*arguments)


def test_functions_of_modules_that_are_imported_later_are_left_out(stub):
    @internal_mutation
    def only_in_this_test(ctx): ...

    write()
    assert "only_in_this_test" not in stub.read_text()


def test_installed_stub_is_the_one_without_functions():
    installed = (ROOT / "django_scheduler_functions/__init__.pyi").read_text()
    assert installed == stub_of([]), "run `make stubs`"


def test_stub_of_the_project_that_type_checkers_read_is_up_to_date():
    path = os.pathsep.join([str(PROJECT), str(ROOT)])
    environment = {**os.environ, **forked_processes.ENVIRONMENT, "PYTHONPATH": path}
    environment["DJANGO_SETTINGS_MODULE"] = "shop.settings"
    command = ["-m", "django", "scheduler_stubs", "--check"]
    done = forked_processes.run(command, environment)
    assert not done.returncode, f"{done.stderr}: run `make stubs`"


def test_every_mistake_is_one_for_both_type_checkers():
    """``make check`` has them look; each mark that hides nothing is an error there."""
    lines = Path(PROJECT / "shop/mistakes.py").read_text().splitlines()
    marked = [line for line in lines if "ignore[" in line]
    assert len(marked) > 100
    assert all("# type: ignore[" in line and "# pyright: ignore[" in line for line in marked)
