"""Whatever one member of a group does, it reaches no other one: neither what they have done, nor what they see."""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection, connections, transaction

from django_scheduler import ctx
from django_scheduler.databases import django_internals
from django_scheduler.models import State
from tests.executor.grouping import functions
from tests.executor.grouping.functions import hooks
from tests.models import Entry
from tests.support.in_process import execute_with_one_worker
from tests.support.records import record
from tests.support.statements import statements_through

pytestmark = pytest.mark.usefixtures("backlog")


@pytest.fixture
def kept() -> Iterator[list[Any]]:
    kept: list[Any] = []
    yield kept
    for each in kept:
        each.close()


def test_members_that_keep_half_read_iterators_stay_in_the_group(execute_as_group, kept):
    def read() -> None:
        rows = Entry.objects.iterator(chunk_size=1)
        next(rows)
        kept.append(rows)

    for _ in range(3):
        Entry.objects.create(label="old")
    functions.interludes["read"] = read
    ids = [ctx.scheduler.run_after(0, functions.enter, label="read") for _ in range(4)]

    execute_as_group(ids)

    assert [record(each).state for each in ids] == [State.SUCCESS] * 4
    assert len(kept) == 4


def commit_by_the_driver() -> None:
    connection.connection.commit()


def commit_by_a_cursor_of_the_driver() -> None:
    connection.connection.cursor().execute("COMMIT")


def commit_by_the_connection_of_a_cursor() -> None:
    with connection.cursor() as cursor:
        cursor.connection.commit()


def commit_past_the_check_of_django() -> None:
    connection.in_atomic_block = False
    connection.commit()


def commit_by_the_private_method() -> None:
    connection._commit()  # type: ignore[attr-defined]


def turn_autocommit_on_past_the_check_of_django() -> None:
    connection.in_atomic_block = False
    connection.set_autocommit(True)


def connect_again() -> None:
    connection.connect()


def drop_the_driver() -> None:
    connection.connection = None
    Entry.objects.count()


def commit_by_sql() -> None:
    with connection.cursor() as cursor:
        cursor.execute("COMMIT")


def commit_behind_a_comment() -> None:
    with connection.cursor() as cursor:
        cursor.execute("/* SELECT */ COMMIT")


def commit_by_sql_behind_django() -> None:
    with connection.cursor() as cursor:
        cursor.cursor.execute("COMMIT")


def run_a_script() -> None:
    with connection.cursor() as cursor:
        cursor.executescript("UPDATE tests_entry SET executor = ''")


def call_a_procedure() -> None:
    with connection.cursor() as cursor:
        cursor.callproc("change_a_table")


def rewrite_a_statement() -> None:
    def rewrite(execute: Any, sql: Any, *arguments: Any) -> Any:
        return execute("COMMIT", None, *arguments[1:])

    connection.execute_wrappers.insert(0, rewrite)
    try:
        Entry.objects.first()
    finally:
        connection.execute_wrappers.remove(rewrite)


@pytest.fixture
def _procedure(transactional_db) -> Iterator[None]:
    if connection.vendor != "mysql":
        yield
        return
    with connection.cursor() as cursor:
        cursor.execute("CREATE PROCEDURE change_a_table() ALTER TABLE tests_line COMMENT 'changed by a procedure'")
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP PROCEDURE change_a_table")


WAYS_OUT: dict[Callable[[], None], set[str]] = {
    commit_by_the_driver: {"postgresql", "mysql", "sqlite"},
    commit_by_a_cursor_of_the_driver: {"postgresql", "mysql", "sqlite"},
    commit_by_the_connection_of_a_cursor: {"postgresql", "sqlite"},
    commit_past_the_check_of_django: {"postgresql", "mysql", "sqlite"},
    commit_by_the_private_method: {"postgresql", "mysql", "sqlite"},
    turn_autocommit_on_past_the_check_of_django: {"postgresql", "mysql"},
    connect_again: {"postgresql", "mysql", "sqlite"},
    drop_the_driver: {"postgresql", "mysql", "sqlite"},
    commit_by_sql: {"postgresql", "mysql", "sqlite"},
    commit_behind_a_comment: {"postgresql", "mysql", "sqlite"},
    commit_by_sql_behind_django: {"postgresql", "mysql", "sqlite"},
    run_a_script: {"sqlite"},
    call_a_procedure: {"mysql"},
    rewrite_a_statement: {"postgresql", "mysql", "sqlite"},
}


@pytest.mark.usefixtures("_procedure")
@pytest.mark.parametrize("leave", WAYS_OUT)
@pytest.mark.parametrize("catches", [False, True])
def test_member_that_ends_the_transaction_doubles_nothing_of_its_neighbors(execute_as_group, groups, leave, catches):
    if connection.vendor not in WAYS_OUT[leave]:
        pytest.skip(f"{connection.vendor} has no such way")

    def leave_and_catch() -> None:
        try:
            leave()
        except Exception:
            if not catches:
                raise

    functions.interludes["out"] = leave_and_catch
    around = [ctx.scheduler.run_after(0, functions.enter_under_another_name, label=label) for label in ("a", "b")]
    out = ctx.scheduler.run_after(0, functions.enter, label="out")
    around.append(ctx.scheduler.run_after(0, functions.enter_under_another_name, label="c"))

    execute_as_group([*around[:2], out, around[2]])

    assert [(record(each).state, record(each).attempts) for each in around] == [(State.SUCCESS, 1)] * 3
    entries = Counter(entry.label for entry in Entry.objects.exclude(label="out"))
    assert entries == {"a": 1, "b": 1, "c": 1}

    groups.clear()
    again = [ctx.scheduler.run_after(0, functions.enter, label="again") for _ in range(4)]
    execute_with_one_worker()
    assert record(again[-1]).state == State.SUCCESS


def end_unseen() -> None:
    vars(connections["default"])["connection"].commit()


@pytest.mark.only_on("postgresql", "sqlite")
def test_members_of_a_transaction_that_was_ended_unseen_are_not_run_again(execute_as_group):
    functions.interludes["b"] = end_unseen
    ids = [ctx.scheduler.run_after(0, functions.enter, label=label) for label in ("a", "b", "c")]

    execute_as_group(ids)

    assert [record(each).state for each in ids] == [State.FAILED, State.FAILED, State.SUCCESS]
    assert "schedule the function again if it is missing" in record(ids[0]).error
    assert [entry.label for entry in Entry.objects.order_by("label")] == ["a", "b", "c"]


SETTINGS = [
    "SELECT set_config('app.account', '7', true)",
    "SELECT set_config('app.account', '7', false)",
    """SELECT "set_config"('app.account', '7', false)""",
    "SELECT set_config /* of */ ('app.account', '7', false)",
    "SELECT pg_catalog.set_config('app.account', '7', false)",
    "SELECT become_user()",
    "SELECT * FROM become_user()",
    "UPDATE tests_entry SET label = label WHERE become_user() = '7'",
    "SELECT entry FROM tests_entry AS entry, LATERAL become_user()",
    "SET app.account = 7",
    "DO 'BEGIN PERFORM become_user(); END'",
]


#: Neither of them is a call of an unknown function by its words.
HIDDEN_SETTINGS = [
    "SELECT become('a', 'b'), 1",
    """SELECT U&"set!005Fconfig" UESCAPE '!' ('app.account', '7', true)""",
    "SELECT entry.become FROM tests_entry AS entry",
    "SELECT log('of the user'::text)",
    "SELECT st_become()",
]


@pytest.fixture
def _account(transactional_db) -> Iterator[None]:
    """Functions that set an account for the transaction, and a column that tells which one is set."""
    body = "RETURNS text LANGUAGE sql AS $$ SELECT set_config('app.account', '7', true) $$"
    signatures = ["become_user()", "become(a text, b text)", "become(entry tests_entry)", "log(a text)", "st_become()"]
    with connection.cursor() as cursor:
        for each in signatures:
            cursor.execute(f"CREATE FUNCTION {each} {body}")
        default = "coalesce(current_setting('app.account', true), '')"
        cursor.execute(f"ALTER TABLE tests_entry ALTER executor SET DEFAULT {default}")
    yield
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE tests_entry ALTER executor DROP DEFAULT")
        for each in signatures:
            cursor.execute(f"DROP FUNCTION {each}")


def tell_account() -> str:
    """Return which account is set, asked in words that do not end a group."""
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO tests_entry (label) VALUES ('asked') RETURNING executor")
        return str(cursor.fetchone()[0])


@pytest.mark.only_on("postgresql")
@pytest.mark.usefixtures("_account")
@pytest.mark.parametrize("sql", SETTINGS + HIDDEN_SETTINGS)
def test_setting_that_a_member_makes_in_any_words_reaches_no_neighbor(execute_as_group, sql):
    def leave() -> None:
        with connection.cursor() as cursor:
            cursor.execute(sql.replace("'a', 'b'", "%s, %s"), ["a", "b"] if "'a', 'b'" in sql else None)

    told: list[str] = []
    functions.interludes.update(a=leave, b=lambda: told.append(tell_account()))
    ids = [ctx.scheduler.run_after(0, functions.enter, label=label) for label in ("a", "b")]

    execute_as_group(ids)

    assert [record(each).state for each in ids] == [State.SUCCESS] * 2
    assert told[-1] == ""


def execute_sql(sql: str) -> Callable[[], None]:
    def execute() -> None:
        with connection.cursor() as cursor:
            cursor.execute(sql)

    return execute


def test_member_returns_to_no_savepoint_that_another_one_has_left(execute_as_group):
    functions.interludes.update(a=execute_sql("SAVEPOINT left_behind"), c=execute_sql("ROLLBACK TO left_behind"))
    ids = [ctx.scheduler.run_after(0, functions.enter, label=label) for label in ("a", "b", "c")]

    execute_as_group(ids)

    assert [record(each).state for each in ids] == [State.SUCCESS, State.SUCCESS, State.FAILED]
    assert [entry.label for entry in Entry.objects.order_by("label")] == ["a", "b"]


def test_member_returns_to_a_savepoint_of_its_own(execute_as_group, groups):
    def set_and_return() -> None:
        for sql in ("SAVEPOINT own", "SAVEPOINT within", "ROLLBACK TO SAVEPOINT own", "RELEASE SAVEPOINT own"):
            execute_sql(sql)()

    functions.interludes.update(a=set_and_return)
    ids = [ctx.scheduler.run_after(0, functions.enter, label=label) for label in ("a", "b")]

    execute_as_group(ids)

    assert [record(each).state for each in ids] == [State.SUCCESS] * 2
    assert functions.starts.count("a") == 1


@pytest.mark.only_on("postgresql")
@pytest.mark.usefixtures("_account")
def test_wrapper_that_adds_a_setting_to_each_statement_reaches_no_neighbor(execute_as_group):
    def as_user() -> None:
        def add(execute: Any, sql: str, *arguments: Any) -> Any:
            return execute(f"SELECT set_config('app.account', '7', true); {sql}", *arguments)

        with connection.execute_wrapper(add):
            Entry.objects.create(label="by the user")

    told: list[str] = []
    functions.interludes.update(a=as_user, b=lambda: told.append(tell_account()))
    ids = [ctx.scheduler.run_after(0, functions.enter, label=label) for label in ("a", "b")]

    execute_as_group(ids)

    assert [record(each).state for each in ids] == [State.SUCCESS] * 2
    assert told[-1] == ""


def test_wrapper_that_a_member_leaves_behind_reaches_no_neighbor(execute_as_group):
    def note(execute: Any, *arguments: Any) -> Any:
        noted.append(arguments[0])
        return execute(*arguments)

    noted: list[str] = []
    functions.interludes["a"] = lambda: connection.execute_wrappers.append(note)
    ids = [ctx.scheduler.run_after(0, functions.enter, label="a")]
    ids += [ctx.scheduler.run_after(0, functions.enter_under_another_name, label="b")]

    execute_as_group(ids)

    assert not [sql for sql in noted if "INSERT INTO" in sql]


@pytest.mark.only_on("postgresql")
def test_equal_notifications_of_members_are_not_merged(execute_as_group, new_session):
    import psycopg

    listener = psycopg.connect(**connection.get_connection_params() | {"autocommit": True})
    listener.execute("LISTEN payments")
    ids = [
        ctx.scheduler.run_after(0, functions.execute, sql="SELECT pg_notify('payments', '')", swallows=False)
        for _ in range(3)
    ]

    execute_as_group(ids)

    assert [record(each).state for each in ids] == [State.SUCCESS] * 3
    assert len(list(listener.notifies(timeout=5, stop_after=3))) == 3
    listener.close()


@pytest.fixture
def _audit(transactional_db) -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION number() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN NEW.executor = pg_current_xact_id()::text; RETURN NEW; END $$"
        )
        cursor.execute("CREATE TRIGGER number BEFORE INSERT ON tests_entry FOR EACH ROW EXECUTE FUNCTION number()")
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP FUNCTION number CASCADE")


@pytest.mark.only_on("postgresql")
@pytest.mark.usefixtures("_audit")
def test_trigger_that_numbers_by_transaction_sees_one_of_each_mutation(execute_as_group):
    ids = [ctx.scheduler.run_after(0, functions.enter, label=label) for label in ("a", "b", "c")]

    execute_as_group(ids)

    assert len({entry.executor for entry in Entry.objects.all()}) == 3


@pytest.mark.only_on("postgresql")
def test_trigger_that_is_made_while_executors_run_is_known_to_the_next_group(transactional_db, groups, request):
    first = [ctx.scheduler.run_after(0, functions.enter, label="before") for _ in range(4)]
    execute_with_one_worker()
    assert any(set(group) & set(first) for group in groups)

    request.getfixturevalue("_audit")
    for _ in range(4):
        ctx.scheduler.run_after(0, functions.enter, label="after")
    execute_with_one_worker()

    assert len({entry.executor for entry in Entry.objects.filter(label="after")}) == 4


def leave_autocommit_off() -> None:
    transaction.set_autocommit(False)


def begin_by_sql() -> None:
    with connection.cursor() as cursor:
        cursor.execute("BEGIN")


def begin_by_the_driver() -> None:
    django_internals.driver_of(connection).cursor().execute("BEGIN")


def leave_a_block_open() -> None:
    transaction.atomic().__enter__()


@pytest.mark.parametrize("leave", [leave_autocommit_off, begin_by_sql, leave_a_block_open])
def test_transaction_that_a_hook_leaves_open_takes_nothing_of_its_neighbors_along(execute_as_group, leave):
    hooks.clear()
    functions.interludes["a, after its commit"] = leave
    functions.interludes["b, after its commit"] = Entry(label="of the hook").save
    ids = [ctx.scheduler.run_after(0, functions.enter_with_a_hook, label=label) for label in ("a", "b")]

    execute_as_group(ids)

    assert [record(each).state for each in ids] == [State.SUCCESS] * 2
    assert Entry.objects.filter(label="of the hook").count() == 1


def test_wrapper_that_a_hook_leaves_behind_reaches_no_hook_of_a_neighbor(execute_as_group):
    def refuse(execute: Any, *arguments: Any) -> Any:
        raise ValueError("left behind")

    functions.interludes["a, after its commit"] = lambda: connection.execute_wrappers.append(refuse)
    functions.interludes["b, after its commit"] = Entry(label="of the hook").save
    ids = [ctx.scheduler.run_after(0, functions.enter_with_a_hook, label=label) for label in ("a", "b")]

    execute_as_group(ids)

    assert Entry.objects.filter(label="of the hook").count() == 1


def test_plain_members_stay_together_beside_wrappers_of_the_site(transactional_db, groups):
    seen: list[str] = []

    def note(execute: Any, sql: str, *arguments: Any) -> Any:
        seen.append(sql)
        return execute(sql, *arguments)

    ids = [ctx.scheduler.run_after(0, functions.enter, label=label) for label in ("a", "b", "c")]
    with statements_through(note):
        execute_with_one_worker()

    assert ids in groups
    assert [record(each).state for each in ids] == [State.SUCCESS] * 3
    assert seen
