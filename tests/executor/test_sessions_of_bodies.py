"""What a body does to its session ends with it: the next function meets one that is as new."""

import gc
import zoneinfo
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib import import_module
from typing import Any

import pytest
from django.db import IntegrityError, connection, connections, transaction
from django.db.backends.signals import connection_created

from django_scheduler import Context, action, ctx, mutation
from django_scheduler.databases import database_for, django_internals
from django_scheduler.executor.session import executor_session, replace_session, tidy_connections
from django_scheduler.models import ScheduledFunction, State
from tests.functions import write
from tests.models import Entry
from tests.support.elsewhere import elsewhere
from tests.support.in_process import execute_with_one_worker, threads_may_connect
from tests.support.records import record

#: What a test has bodies do, and what they have seen.
interludes: dict[str, Callable[[], Any]] = {}
kept: list[Any] = []


@pytest.fixture(autouse=True)
def _nothing_is_kept():
    yield
    interludes.clear()
    for each in kept:
        if hasattr(each, "close"):
            each.close()
    kept.clear()


@mutation
def do_in_a_mutation(ctx: Context, *, what: str) -> Any:
    return interludes[what]()


@action
def do_in_an_action(ctx: Context, *, what: str) -> Any:
    return interludes[what]()


@mutation
def do_in_a_hook(ctx: Context, *, what: str) -> None:
    transaction.on_commit(interludes[what])


@mutation
def do_and_fail(ctx: Context, *, what: str) -> None:
    interludes[what]()
    raise ValueError("after it")


PLACES = [do_in_a_mutation, do_in_an_action, do_in_a_hook, do_and_fail]


def sql(*statements: str) -> Callable[[], Any]:
    def execute() -> Any:
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return cursor.fetchone()[0] if cursor.description else None

    return execute


def script(statements: str) -> Callable[[], Any]:
    def execute() -> None:
        with connection.cursor() as cursor:
            cursor.executescript(statements)

    return execute


def by_the_driver(statement: str) -> Callable[[], Any]:
    return lambda: connection.connection.cursor().execute(statement)


def keep_a_half_read_iterator() -> None:
    rows = Entry.objects.iterator(chunk_size=1)
    next(rows)
    kept.append(rows)


def keep_an_error_with_a_half_read_cursor() -> None:
    """Only a cycle holds the cursor: the error, its traceback, the frame and the error again."""
    cursor = connection.cursor()
    cursor.execute("SELECT id FROM tests_entry")
    cursor.fetchone()
    try:
        raise ValueError("kept")
    except ValueError as error:
        kept_error = error
        kept.append(kept_error)


#: What is left behind, how the next function asks for it, and what it sees in a session that is as new; by vendor.
LEFT_BEHIND: dict[str, list[tuple[Callable[[], Any], str]]] = {
    "postgresql": [
        (
            sql("SELECT set_config('app.tenant', '7', false)"),
            "SELECT COALESCE(current_setting('app.tenant', true), '')",
        ),
        (sql("""SELECT 1, "set_config"('app.tenant', '7', false)"""), "SELECT current_setting('app.tenant', true)"),
        (sql("SET search_path = pg_temp"), "SHOW search_path"),
        (sql("SET SESSION synchronous_commit = off"), "SHOW synchronous_commit"),
        (sql("SET session_replication_role = replica"), "SHOW session_replication_role"),
        (sql("SET ROLE pg_monitor"), "SELECT current_user::text"),
        (sql("SET TIME ZONE 'Asia/Tokyo'"), "SHOW TimeZone"),
        (sql("SET statement_timeout = '59s'"), "SHOW statement_timeout"),
        (sql("UPDATE pg_settings SET setting = '59000' WHERE name = 'statement_timeout'"), "SHOW statement_timeout"),
        (
            sql("SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE"),
            "SHOW default_transaction_isolation",
        ),
        (sql("SELECT pg_advisory_lock(7)"), "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"),
        (sql("CREATE TEMPORARY TABLE staging (id int)"), "SELECT to_regclass('staging')::text"),
        (sql("SELECT 1 AS id INTO TEMPORARY TABLE staging"), "SELECT to_regclass('staging')::text"),
        (sql("PREPARE seven AS SELECT 7"), "SELECT count(*) FROM pg_prepared_statements WHERE name = 'seven'"),
        (sql("LISTEN somebody"), "SELECT count(*) FROM pg_listening_channels()"),
        (by_the_driver("SET statement_timeout = '59s'"), "SHOW statement_timeout"),
    ],
    "mysql": [
        (sql("SET @tenant = '7'"), "SELECT @tenant"),
        (sql("SELECT @tenant := '7'"), "SELECT @tenant"),
        (sql("SELECT '7' INTO @tenant"), "SELECT @tenant"),
        (sql("SET FOREIGN_KEY_CHECKS = 0"), "SELECT @@foreign_key_checks"),
        (sql("SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE"), "SELECT @@tx_isolation"),
        (sql("SET autocommit = 0"), "SELECT @@autocommit"),
        (sql("SET sql_mode = 'ANSI_QUOTES'"), "SELECT @@sql_mode"),
        (sql("SET timestamp = 1"), "SELECT UNIX_TIMESTAMP() < 10"),
        (sql("SET time_zone = '+09:00'"), "SELECT @@time_zone"),
        (sql("USE information_schema"), "SELECT DATABASE()"),
        (sql("SELECT GET_LOCK('seven', 0)"), "SELECT IS_USED_LOCK('seven')"),
        (sql("CREATE TEMPORARY TABLE tests_line (id int)"), "SELECT COUNT(entry_id) FROM tests_line"),
        (sql("LOCK TABLES tests_entry READ"), "SELECT COUNT(*) FROM tests_line"),
        (by_the_driver("SET @tenant = '7'"), "SELECT @tenant"),
    ],
    "sqlite": [
        (sql("CREATE TEMPORARY TABLE staging (id int)"), "SELECT COUNT(*) FROM sqlite_temp_master"),
        (sql("PRAGMA foreign_keys = OFF"), "PRAGMA foreign_keys"),
        (sql("PRAGMA query_only = ON"), "PRAGMA query_only"),
        (sql("PRAGMA synchronous = OFF"), "PRAGMA synchronous"),
        (sql("PRAGMA cache_size = 7"), "PRAGMA cache_size"),
        (sql("ATTACH ':memory:' AS other"), "SELECT COUNT(*) FROM pragma_database_list WHERE name = 'other'"),
        (script("PRAGMA cache_size = 7"), "PRAGMA cache_size"),
        (by_the_driver("PRAGMA cache_size = 7"), "PRAGMA cache_size"),
    ],
}


def numbered(vendor: str) -> list[Any]:
    return [
        pytest.param(*each, marks=pytest.mark.only_on(vendor), id=f"{vendor}-{number}")
        for number, each in enumerate(LEFT_BEHIND[vendor])
    ]


def ask_in_both() -> list[int]:
    return [ctx.scheduler.run_after(0, each, what="ask") for each in (do_in_an_action, do_in_a_mutation)]


@pytest.mark.parametrize(("leave", "question"), [each for vendor in LEFT_BEHIND for each in numbered(vendor)])
def test_what_a_body_does_to_its_session_reaches_nobody(transactional_db, leave, question):
    ask = sql(question)
    interludes.update(ask=ask, leave=leave)
    before = ask_in_both()
    after = {}
    for place in PLACES:
        ctx.scheduler.run_after(0, place, what="leave")
        after[place.name] = ask_in_both()

    execute_with_one_worker()

    as_new = [record(each).decoded_result() for each in before]
    for name, ids in after.items():
        assert [record(each).state for each in ids] == [State.SUCCESS] * 2, (name, record(ids[0]).error)
        assert [record(each).decoded_result() for each in ids] == as_new, name


def begin(statement: str) -> Callable[[], Any]:
    return sql(statement, "INSERT INTO tests_entry (label, executor) VALUES ('never committed', '')")


BEGUN: dict[str, list[Callable[[], Any]]] = {
    "postgresql": [begin("BEGIN"), begin("START TRANSACTION"), begin("/* a report */ BEGIN")],
    "mysql": [begin("BEGIN"), begin("SET autocommit = 0"), begin("/* a report */ START TRANSACTION")],
    "sqlite": [
        begin("BEGIN"),
        begin("SAVEPOINT outermost"),
        script("BEGIN; INSERT INTO tests_entry (label, executor) VALUES ('never committed', '');"),
    ],
}


@pytest.mark.parametrize("place", [do_in_an_action, do_in_a_hook])
@pytest.mark.parametrize(
    "leave",
    [
        pytest.param(each, marks=pytest.mark.only_on(vendor), id=f"{vendor}-{number}")
        for vendor in BEGUN
        for number, each in enumerate(BEGUN[vendor])
    ],
)
def test_transaction_that_a_body_begins_by_sql_is_rolled_back_and_blocks_nobody(transactional_db, caplog, place, leave):
    interludes.update(leave=leave, write=lambda: Entry(label="next").save())
    function_id = ctx.scheduler.run_after(0, place, what="leave")
    ids = [ctx.scheduler.run_after(0, each, what="write") for each in (do_in_an_action, do_in_a_mutation, do_in_a_hook)]

    execute_with_one_worker()

    assert [record(each).state for each in ids] == [State.SUCCESS] * 3
    assert [entry.label for entry in Entry.objects.all()] == ["next"] * 3
    assert record(function_id).state == State.SUCCESS
    who = "its body" if place is do_in_an_action else "an on_commit hook"
    assert caplog.text.count(f"{who} has returned with a transaction open") == 1


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("keep", [keep_a_half_read_iterator, keep_an_error_with_a_half_read_cursor])
def test_half_read_cursor_that_a_body_keeps_hides_nothing_from_later_functions(transactional_db, place, keep):
    for _ in range(3):
        Entry.objects.create(label="old")

    interludes.update(keep=keep, see=lambda: Entry.objects.filter(label="new").count())
    ctx.scheduler.run_after(0, place, what="keep")
    execute_with_one_worker()
    Entry.objects.create(label="new")
    seen = ctx.scheduler.run_after(0, do_in_an_action, what="see")
    execute_with_one_worker()

    assert record(seen).decoded_result() == 1


@pytest.mark.only_on("postgresql")
@pytest.mark.parametrize("place", PLACES)
def test_garbage_of_a_body_is_collected_at_the_worst_moment(transactional_db, monkeypatch, place):
    """While the driver has its lock. An iterator that is collected closes its cursor, which takes that lock."""
    psycopg = pytest.importorskip("psycopg")
    wait = psycopg.Connection.wait

    def collect_and_wait(*arguments: Any, **options: Any) -> Any:
        gc.collect()
        return wait(*arguments, **options)

    def leave_garbage() -> None:
        for _ in range(2):
            rows = Entry.objects.iterator(chunk_size=1)
            next(rows)
            kept_by_itself = [rows]
            kept_by_itself.append(kept_by_itself)  # type: ignore[arg-type]
        monkeypatch.setattr(psycopg.Connection, "wait", collect_and_wait)

    for _ in range(3):
        Entry.objects.create(label="old")
    interludes["leave"] = leave_garbage
    gc.disable()
    gc.collect()
    gc.freeze()  # what the body leaves is looked at again and again, and all the rest no more
    try:
        function_id = ctx.scheduler.run_after(0, place, what="leave")
        execute_with_one_worker()
    finally:
        gc.enable()

    assert record(function_id).state == (State.FAILED if place is do_and_fail else State.SUCCESS)


def test_function_of_plain_statements_keeps_its_session_and_pays_no_statement(transactional_db):
    def work() -> int:
        entry = Entry.objects.create(label="plain")
        Entry.objects.filter(label__icontains="plain", pk__in=[1, 2, entry.pk]).order_by("-pk").first()
        Entry.objects.filter(pk=entry.pk).update(label="changed")
        with transaction.atomic():
            Entry.objects.bulk_create([Entry(label="many"), Entry(label="more")])
        with connection.cursor() as cursor:
            cursor.execute("SELECT label, COUNT(*) FROM tests_entry GROUP BY label")
            cursor.fetchall()
        return id(django_internals.driver_of(connection))

    interludes["work"] = work
    ids = [ctx.scheduler.run_after(0, each, what="work") for each in (do_in_a_mutation, do_in_an_action) * 2]

    execute_with_one_worker()

    assert [record(each).state for each in ids] == [State.SUCCESS] * 4
    assert len({record(each).decoded_result() for each in ids}) == 1


def test_cursor_of_the_driver_can_be_set_up_as_elsewhere(transactional_db):
    def set_up() -> int:
        with connection.cursor() as cursor:
            cursor.cursor.arraysize = 7
            return int(cursor.cursor.arraysize)

    interludes["set up"] = set_up
    ids = [ctx.scheduler.run_after(0, each, what="set up") for each in (do_in_a_mutation, do_in_an_action)]

    execute_with_one_worker()

    assert [record(each).decoded_result() for each in ids] == [7, 7]


def test_function_that_catches_an_error_of_the_database_leaves_nothing(transactional_db):
    def fail() -> None:
        entry = Entry.objects.create(label="once")
        with pytest.raises(IntegrityError), transaction.atomic():
            Entry.objects.create(pk=entry.pk, label="twice")

    interludes.update(fail=fail, see=Entry.objects.count)
    ids = [ctx.scheduler.run_after(0, do_in_an_action, what=what) for what in ("fail", "see", "fail", "see")]

    execute_with_one_worker()

    assert [record(each).state for each in ids] == [State.SUCCESS] * 4
    assert record(ids[-1]).decoded_result() == 2


@pytest.mark.only_on("mysql")
def test_clock_that_a_mutation_sets_in_its_session_is_not_that_of_its_record(transactional_db):
    interludes["leave"] = sql("SET timestamp = 1")
    function_id = ctx.scheduler.run_after(0, do_in_a_mutation, what="leave")

    execute_with_one_worker()

    row = record(function_id)
    assert row.state == State.SUCCESS
    assert row.completed_time is not None
    assert row.started_time is not None
    assert row.creation_time <= row.started_time <= row.completed_time


def become_tenant() -> None:
    connections["default"].tenant = 7  # type: ignore[attr-defined]


def become_tenant_and_have_no_more_attributes() -> None:
    become_tenant()
    del vars(connections["default"])["health_check_done"]


def change_the_time_zone() -> None:
    connection.timezone = zoneinfo.ZoneInfo("Asia/Tokyo")


def lose_its_creation() -> None:
    del vars(connections["default"])["creation"]


def use_another_database() -> None:
    connection.settings_dict["NAME"] = "nowhere"
    connection.close()


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    "leave",
    [
        become_tenant,
        become_tenant_and_have_no_more_attributes,
        change_the_time_zone,
        lose_its_creation,
        use_another_database,
    ],
)
def test_what_a_body_makes_of_the_connection_itself_reaches_nobody(transactional_db, place, leave):
    def ask() -> str:
        own = connections["default"]
        is_whole = hasattr(own, "creation")
        return f"{own.settings_dict['NAME']} of {getattr(own, 'tenant', 'nobody')} in {own.timezone}, {is_whole}"

    interludes.update(leave=leave, ask=ask)
    before = ask_in_both()
    ctx.scheduler.run_after(0, place, what="leave")
    after = ask_in_both()

    execute_with_one_worker()

    assert [record(each).state for each in after] == [State.SUCCESS] * 2
    assert [record(each).decoded_result() for each in after] == [record(each).decoded_result() for each in before]


@pytest.mark.only_on("postgresql")
def test_what_a_sites_own_connection_knows_of_its_session_ends_with_that(transactional_db, monkeypatch):
    """As that of django-tenants, which sets the search path once per session, and notes on itself that it has."""
    module = import_module(f"{connection.settings_dict['ENGINE']}.base")

    class DatabaseWrapper(module.DatabaseWrapper):  # type: ignore[misc, name-defined]
        is_set = False

        def close(self) -> None:
            self.is_set = False
            super().close()

        def _cursor(self, name: str | None = None) -> Any:
            cursor = super()._cursor(name)
            if not self.is_set:
                self.connection.execute("SET search_path = public, pg_temp")
                self.is_set = True
            return cursor

    monkeypatch.setattr(module, "DatabaseWrapper", DatabaseWrapper)
    interludes.update(ask=sql("SHOW search_path"), leave=sql("SET statement_timeout = '59s'"))
    ids = ask_in_both()
    ctx.scheduler.run_after(0, do_in_an_action, what="leave")
    ids += ask_in_both()

    execute_with_one_worker()

    assert [record(each).decoded_result() for each in ids] == ["public, pg_temp"] * 4


def test_what_a_receiver_notes_on_the_connection_when_it_is_made_ends_with_the_session(transactional_db):
    def note(connection: Any, **kwargs: object) -> None:
        connection.is_set = True

    def use_and_replace() -> list[bool]:
        own = connections["default"]
        own.ensure_connection()  # as a fleet's thread may have done
        connection_created.connect(note)
        noted = []
        with executor_session(database_for("default")):
            for leave in (tidy_connections, tidy_connections, replace_session):
                select("default")
                noted.append(hasattr(own, "is_set"))
                leave("default")
            noted.append(hasattr(own, "is_set"))
        return noted

    try:
        assert elsewhere(use_and_replace) == [True, True, True, False]
    finally:
        connection_created.disconnect(note)


@pytest.fixture
def another_alias(transactional_db) -> Iterator[str]:
    connections.databases["another"] = {**connections.databases["default"], "CONN_MAX_AGE": 600}
    with threads_may_connect():
        yield "another"
    del connections.databases["another"]


def select(alias: str) -> None:
    with connections[alias].cursor() as cursor:
        cursor.execute("SELECT 1")


def take_another_for_its_own() -> None:
    select("another")
    connections["default"] = connections["another"]


def take_its_own_for_another() -> None:
    connections["another"] = connections["default"]


def take_a_stranger_for_another() -> None:
    own = connections["default"]
    connections["another"] = type(own)(own.settings_dict, "of nobody")


def take_no_connections() -> None:
    nothing: Any = object()
    connections["default"] = connections["another"] = nothing


def take_a_proxy() -> None:
    connections["default"] = connections["another"] = connection


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    "leave",
    [
        take_another_for_its_own,
        take_its_own_for_another,
        take_a_stranger_for_another,
        take_no_connections,
        take_a_proxy,
    ],
)
def test_connection_that_a_body_puts_in_the_place_of_another_one_does_not_stay(another_alias, place, leave):
    def ask() -> list[str]:
        select(another_alias)
        return [connections[alias].alias for alias in ("default", another_alias)]

    interludes.update(leave=leave, ask=ask)
    ctx.scheduler.run_after(0, place, what="leave")
    ids = [ctx.scheduler.run_after(0, each, what="ask") for each in (do_in_a_mutation, do_in_an_action)]

    execute_with_one_worker()

    assert [record(each).state for each in ids] == [State.SUCCESS] * 2, record(ids[0]).error
    assert [record(each).decoded_result() for each in ids] == [["default", "another"]] * 2


@pytest.mark.parametrize("place", [do_in_an_action, do_in_a_hook])
def test_on_a_connection_that_a_body_has_made_its_transactions_are_what_they_are(transactional_db, place):
    def connect_anew() -> None:
        del connections["default"]
        with suppress(ValueError), transaction.atomic():
            Entry.objects.create(label="rolled back")
            ctx.scheduler.run_after(3_600, write, label="later")
            raise ValueError("after it")
        ctx.run_mutation(write, label="by a mutation")

    interludes["leave"] = connect_anew
    function_id = ctx.scheduler.run_after(0, place, what="leave")

    execute_with_one_worker()

    assert record(function_id).state == State.SUCCESS, record(function_id).error
    assert [entry.label for entry in Entry.objects.all()] == ["by a mutation"]
    assert not ScheduledFunction.objects.filter(name=write.name).exists()


@pytest.mark.parametrize("place", [do_in_an_action, do_in_a_mutation])
def test_drivers_cursor_may_be_set_as_it_may_elsewhere(transactional_db, place):
    def read() -> object:
        with connection.cursor() as cursor:
            driver: Any = cursor
            driver.cursor.arraysize = 7
            if connection.vendor != "mysql":
                driver.cursor.row_factory = lambda *row: None
            cursor.execute("SELECT 1")
            return driver.cursor.arraysize

    interludes["read"] = read
    function_id = ctx.scheduler.run_after(0, place, what="read")

    execute_with_one_worker()

    assert record(function_id).decoded_result() == 7, record(function_id).error


@pytest.mark.parametrize("place", PLACES)
def test_wrapper_that_a_body_leaves_on_another_connection_reaches_nobody(transactional_db, place):
    """A connection that bodies make, as those of other databases are."""

    def refuse(execute: Any, *arguments: Any) -> Any:
        raise ValueError("left behind")

    def leave() -> None:
        with connections["another"].cursor() as cursor:
            cursor.execute("SELECT 1")
        connections["another"].execute_wrappers.append(refuse)

    def ask() -> None:
        with connections["another"].cursor() as cursor:
            cursor.execute("SELECT 1")

    interludes.update(leave=leave, ask=ask)
    connections.databases["another"] = connections.databases["default"]
    try:
        ctx.scheduler.run_after(0, place, what="leave")
        ids = ask_in_both()
        with threads_may_connect():
            execute_with_one_worker()
    finally:
        del connections.databases["another"]

    assert [record(each).state for each in ids] == [State.SUCCESS] * 2


def test_wrapper_through_which_a_body_connects_again_does_not_come_back(transactional_db):
    seen: list[str] = []

    def note(execute: Any, sql: str, *arguments: Any) -> Any:
        seen.append(sql)
        return execute(sql, *arguments)

    def connect_again() -> None:
        with connection.execute_wrapper(note):
            connection.close()
            Entry.objects.count()
        seen.clear()

    interludes.update(leave=connect_again, ask=Entry.objects.count)
    ctx.scheduler.run_after(0, do_in_an_action, what="leave")
    ids = ask_in_both()

    execute_with_one_worker()

    assert [record(each).state for each in ids] == [State.SUCCESS] * 2
    assert not seen


class Mixin:
    pass


#: What a body may make of Django's own connection, which every library can reach.
MISUSES: dict[str, Callable[[], tuple[str, object]]] = {
    "another class": lambda: ("__class__", type("Mine", (type(connections["default"]),), {})),
    "a class with a base of its own": lambda: ("__class__", type("Mine", (Mixin, type(connections["default"])), {})),
    "another alias": lambda: ("alias", "another"),
    "closed, it says": lambda: ("closed_in_transaction", True),
    "in no block, it says": lambda: ("in_atomic_block", False),
    "other savepoints": lambda: ("savepoint_ids", ["another"]),
}


@pytest.mark.parametrize("how", MISUSES)
@pytest.mark.parametrize("function", [do_in_a_mutation, do_in_an_action])
def test_whatever_a_body_makes_of_djangos_connection_its_end_is_on_record_and_the_next_one_runs(
    transactional_db, function, how
):
    def misuse() -> None:
        Entry.objects.create(label="misuse")
        setattr(connections["default"], *MISUSES[how]())

    interludes["misuse"] = misuse
    misusing = ctx.scheduler.run_after(0, function, what="misuse")
    after = ctx.scheduler.run_after(0, write, label="after")
    execute_with_one_worker()
    has_written = Entry.objects.filter(label="misuse").exists()
    assert record(misusing).state == (State.SUCCESS if has_written else State.FAILED), record(misusing).error
    assert record(after).state == State.SUCCESS
