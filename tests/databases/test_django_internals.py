"""What ``databases/django_internals.py`` relies on is so with this Django, and nobody else relies on it."""

import ast
from contextlib import suppress
from pathlib import Path

import django
import pytest
from django.db import connection, connections, transaction
from django.db.transaction import TransactionManagementError

import django_scheduler
from django_scheduler.databases import django_internals
from tests.models import Entry

PACKAGE = Path(django_scheduler.__file__).parent

#: Attributes of a connection that Django does not document, and what each is where nothing has happened yet.
ATTRIBUTES = {
    "atomic_blocks": [],
    "autocommit": True,
    "close_at": None,
    "closed_in_transaction": False,
    "errors_occurred": False,
    "execute_wrappers": [],
    "in_atomic_block": False,
    "needs_rollback": False,
    "rollback_exc": None,
    "run_commit_hooks_on_set_autocommit_on": False,
    "run_on_commit": [],
    "savepoint_ids": [],
}

#: Methods that are called or replaced although they are private.
METHODS = ["_close", "_commit", "_rollback", "_set_autocommit", "close_if_health_check_failed"]
BEGIN = "_start_transaction_under_autocommit"


@pytest.fixture
def own_connection(transactional_db):
    """A connection that nothing has happened on, but that it has been made."""
    own = connections.create_connection("default")
    own.ensure_connection()
    yield own
    own.close()


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_connection_has_the_attribute(name, own_connection):
    assert name in vars(own_connection), f"Django {django.__version__} has no BaseDatabaseWrapper.{name} any more."
    if name == "close_at" and own_connection.settings_dict["CONN_MAX_AGE"] is not None:
        return
    assert vars(own_connection)[name] == ATTRIBUTES[name], f"Django {django.__version__} begins {name} differently."


def test_attributes_of_a_connection_that_is_used_as_before_are_known(transactional_db):
    """Otherwise all of them would be looked through after each body."""
    own = connections.create_connection("default")
    guard = django_internals.guard_session(own)
    try:
        for _ in range(2):
            with own.cursor() as cursor:
                cursor.execute("SELECT 1")
            names = guard.known_names
            django_internals.restore_attributes(own)
    finally:
        own.close()
    assert guard.known_names is names


@pytest.mark.parametrize("name", METHODS)
def test_connection_has_the_method(name, own_connection):
    assert callable(getattr(own_connection, name, None)), f"Django {django.__version__} has no {name} any more."


@pytest.mark.only_on("sqlite")
def test_transaction_is_begun_by_a_method_where_the_driver_does_not_begin_it(own_connection):
    assert callable(getattr(own_connection, BEGIN))


def test_guard_is_asked_before_each_cursor_and_transaction_whether_to_check(own_connection, monkeypatch):
    asked = []
    guard = django_internals.guard_session(own_connection)

    def note() -> bool:
        asked.append(own_connection.in_atomic_block)
        return False

    monkeypatch.setattr(guard, "has_to_be_checked", note)
    own_connection.cursor().close()
    assert asked == [False]
    own_connection.set_autocommit(False)
    assert asked[:2] == [False] * 2
    own_connection.rollback()
    own_connection.set_autocommit(True)


def test_copy_of_a_guarded_connection_is_not_guarded(own_connection):
    django_internals.guard_session(own_connection)
    copy = own_connection.copy()
    copy.ensure_connection()
    assert type(copy) is type(connections["default"])
    copy.close()


def test_driver_is_known_while_there_is_one(own_connection):
    assert django_internals.driver_of(own_connection) is not None
    own_connection.close()
    assert django_internals.driver_of(own_connection) is None


def test_savepoints_and_blocks_are_seen(transactional_db):
    assert not django_internals.is_in_atomic_block(connection)
    outer, inner = transaction.atomic(), transaction.atomic()
    with outer:
        assert django_internals.is_in_atomic_block(connection)
        assert django_internals.savepoints(connection) == ()
        with inner:
            assert len(django_internals.savepoints(connection)) == 1
            assert list(django_internals.open_blocks(connection)) == [outer, inner]
        assert django_internals.savepoints(connection) == ()
        assert list(django_internals.open_blocks(connection)) == [outer]
    assert not django_internals.is_in_transaction(connection)
    assert not django_internals.open_blocks(connection)


def test_transaction_that_was_begun_by_hand_is_seen(transactional_db):
    transaction.set_autocommit(False)
    try:
        assert django_internals.is_in_transaction(connection)
        assert not django_internals.is_in_atomic_block(connection)
    finally:
        transaction.rollback()
        transaction.set_autocommit(True)


def test_commit_hooks_are_read_in_order_and_can_be_taken_away(transactional_db):
    called = []
    first, second, third = (lambda number=number: called.append(number) for number in range(3))
    with transaction.atomic():
        transaction.on_commit(first)
        transaction.on_commit(second, robust=True)
        assert django_internals.commit_hooks(connection) == [first, second]
        assert django_internals.take_commit_hooks(connection) == [first, second]
        transaction.on_commit(third)

    assert called == [2]


def test_statements_are_refused_until_the_block_is_rolled_back(transactional_db):
    with pytest.raises(TransactionManagementError), transaction.atomic():
        django_internals.refuse_statements(connection)
        assert django_internals.is_marked_for_rollback(connection)
        Entry.objects.create(label="refused")
    assert not django_internals.is_marked_for_rollback(connection)
    Entry.objects.create(label="written")


def test_blocks_are_restored_as_if_nothing_had_happened(transactional_db):
    def refuse(*args):
        raise ValueError("refused")

    with transaction.atomic():
        savepoints = django_internals.savepoints(connection)
        with connection.execute_wrapper(refuse), pytest.raises(ValueError, match="refused"), transaction.atomic():
            Entry.objects.create(label="refused")
        django_internals.restore_savepoints(connection, savepoints)
        Entry.objects.create(label="written")
    assert Entry.objects.get().label == "written"


def test_wrappers_of_statements_are_those_through_which_each_goes(transactional_db):
    seen = []

    def note(execute, *args):
        seen.append(args[0])
        return execute(*args)

    before = django_internals.statement_wrappers(connection)
    try:
        django_internals.set_statement_wrappers(connection, [note])
        Entry.objects.count()
    finally:
        django_internals.set_statement_wrappers(connection, before)
    assert len(seen) == 1
    assert django_internals.statement_wrappers(connection) is before


def test_discarded_connection_is_as_new_whatever_was_left_on_it(own_connection):
    wrapper = own_connection
    wrapper.set_autocommit(False)
    wrapper.execute_wrappers.append(lambda execute, *args: execute(*args))
    wrapper.run_on_commit.append((set(), lambda: None, False))
    wrapper.needs_rollback = True
    wrapper.in_atomic_block = True

    django_internals.discard(wrapper)

    assert django_internals.driver_of(wrapper) is None
    wrapper.ensure_connection()
    state = {name: vars(wrapper)[name] for name in ATTRIBUTES if name != "close_at"}
    assert state == {name: value for name, value in ATTRIBUTES.items() if name != "close_at"}


class Transactions:
    """Notes what Django begins and ends."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def set_autocommit(self, autocommit: bool) -> None:
        self.calls.append(f"set_autocommit {autocommit}")

    def begin(self) -> None:
        self.calls.append("begin")

    def commit(self) -> None:
        self.calls.append("commit")

    def roll_back(self) -> None:
        self.calls.append("roll back")


def test_connection_pretends_to_be_new_and_is_afterwards_what_it_was(db):
    own = connections["default"]
    before = {name: vars(own)[name] for name in ATTRIBUTES}
    transactions = Transactions()
    with django_internals.pretending_to_be_new(own, transactions):
        assert not django_internals.is_in_transaction(own)
        assert django_internals.commit_hooks(own) == []
        with transaction.atomic():
            pass
        with suppress(ZeroDivisionError), transaction.atomic():
            raise ZeroDivisionError
        own.close()
    ends = [call for call in transactions.calls if call in ("commit", "roll back")]
    assert ends == ["commit", "roll back"]
    assert transactions.calls[0] in ("begin", "set_autocommit False")
    assert {name: vars(own)[name] for name in ATTRIBUTES} == before
    assert "close" not in vars(own)


def test_nobody_else_names_them():
    names = {*ATTRIBUTES, *METHODS, BEGIN}
    others = [
        f"{path.relative_to(PACKAGE)}:{node.lineno}: {ast.unparse(node)}"
        for path in PACKAGE.rglob("*.py")
        if path.name != "django_internals.py"
        for node in ast.walk(ast.parse(path.read_text()))
        if (isinstance(node, ast.Attribute) and node.attr in names)
        or (isinstance(node, ast.Constant) and node.value in names)
    ]
    assert not others
