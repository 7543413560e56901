"""W019: whether type checkers are told of the functions that there are."""

import sys

import pytest

from django_scheduler.stubs import FILE_NAME, text_of_stub
from tests.checks.messages import ids, the_message


@pytest.fixture
def root(settings, tmp_path):
    settings.BASE_DIR = tmp_path
    return tmp_path


def test_project_without_a_stub_hears_nothing_of_stubs(root):
    assert "W019" not in ids()


def test_stub_that_says_what_the_code_says_is_fine(root):
    (root / FILE_NAME).write_text(text_of_stub())
    assert "W019" not in ids()


def test_stub_that_says_something_else_is_out_of_date(root):
    (root / FILE_NAME).write_text(text_of_stub().replace("orders:archive_order", "orders:put_away"))
    message = the_message("W019")
    assert str(root / FILE_NAME) in message.msg
    assert message.hint == "Run `manage.py scheduler_stubs`."


def test_stub_is_found_where_modules_are_imported_from(root, tmp_path_factory, monkeypatch):
    source = tmp_path_factory.mktemp("src")
    monkeypatch.setattr(sys, "path", [*sys.path, str(source)])
    (source / FILE_NAME).write_text("")
    message = the_message("W019")
    assert message.hint == f"Run `manage.py scheduler_stubs --output {source}`."


def test_stub_that_type_checkers_may_find_instead_is_looked_at_too(root, tmp_path_factory, monkeypatch):
    source = tmp_path_factory.mktemp("src")
    monkeypatch.setattr(sys, "path", [str(root), *sys.path, str(source), str(source)])
    (root / FILE_NAME).write_text(text_of_stub())
    (source / FILE_NAME).write_text("")
    assert str(source / FILE_NAME) in the_message("W019").msg


def test_stub_that_cannot_be_read_is_out_of_date(root):
    (root / FILE_NAME).write_bytes(b"\xff")
    assert "W019" in ids()


def test_directory_of_modules_that_cannot_be_looked_into_has_no_stub(root, monkeypatch):
    """Python passes over it, too: the home of another user, in a container."""
    monkeypatch.syspath_prepend("x" * 300)  # asking for it is an error, also for root
    assert "W019" not in ids()
