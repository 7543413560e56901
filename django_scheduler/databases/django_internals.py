"""Use what ``BaseDatabaseWrapper`` has that Django does not document. Nobody else uses it.

Executors keep their connections between functions, so they have to see what a function has left on one, and to undo
it. Django offers no way to do that but the attributes of ``BaseDatabaseWrapper``. ``test_django_internals.py`` says for
each of them what we rely on, and fails clearly with a Django that has changed it. (What only one vendor's connection
has is in that vendor's file.)
"""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any, Protocol, TypeVar, cast

from django.db import DatabaseError, InterfaceError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Model, QuerySet
from django.db.models.sql.datastructures import BaseTable
from django.utils.functional import cached_property

from django_scheduler.databases.session_guard import SessionGuard

M = TypeVar("M", bound=Model)

#: What ``connection.execute_wrapper`` takes.
StatementWrapper = Callable[..., Any]

#: What a connection is that is new, and in no transaction.
_NEW: dict[str, Callable[[], Any]] = {
    "in_atomic_block": bool,
    "savepoint_ids": list,
    "atomic_blocks": list,
    "run_on_commit": list,
    "needs_rollback": bool,
    "closed_in_transaction": bool,
}

#: What Django changes as a connection is used. All other attributes say what the connection is.
_CHANGING = frozenset(_NEW) | {
    *("_named_cursor_idx", "autocommit", "close_at", "commit_on_exit", "connection", "errors_occurred"),
    *("execute_wrappers", "health_check_done", "health_check_enabled", "queries_log", "rollback_exc"),
    *("run_commit_hooks_on_set_autocommit_on", "savepoint_state", "scheduler_guard", "settings_dict"),
}


class _HintedTable(BaseTable):
    """Is the table of a query with a hint for the planner behind its name."""

    hint = ""

    def as_sql(self, compiler: Any, connection: Any) -> Any:
        sql, params = super().as_sql(compiler, connection)
        return f"{sql} {self.hint}", params


def with_hint(rows: QuerySet[M], hint: str) -> QuerySet[M]:
    """Return the query with a hint for the planner behind the name of its table."""
    hinted = rows.all()
    query: Any = hinted.query
    alias = query.get_initial_alias()
    table = query.alias_map[alias] = _HintedTable(query.alias_map[alias].table_name, alias)
    table.hint = hint
    return hinted


def driver_of(connection: BaseDatabaseWrapper) -> Any:
    """Return the driver's own connection, or ``None`` while there is none."""
    try:
        return vars(connection)["connection"]  # past the guard: this is asked around every statement of a body
    except KeyError:  # it is Django's proxy
        return connection.connection


def is_in_atomic_block(connection: BaseDatabaseWrapper) -> bool:
    """Return whether an ``atomic`` block is open."""
    return connection.in_atomic_block


def is_in_transaction(connection: BaseDatabaseWrapper) -> bool:
    """Return whether a transaction is open, also one that was begun by hand (``set_autocommit(False)``)."""
    return connection.in_atomic_block or not (driver_of(connection) is None or connection.get_autocommit())


def open_blocks(connection: BaseDatabaseWrapper) -> Sequence[object]:
    """Return the ``atomic`` blocks that are open, from the outside to the inside: each is an object of its own."""
    return connection.atomic_blocks


def has_transaction_state(connection: BaseDatabaseWrapper) -> bool:
    """Return whether there is anything of a transaction, also of one that Django no longer knows to be open."""
    return is_in_transaction(connection) or any(vars(connection)[name] != new() for name, new in _NEW.items())


def savepoints(connection: BaseDatabaseWrapper) -> tuple[str | None, ...]:
    """Return the savepoints of the ``atomic`` blocks that are open, from the outside to the inside."""
    return tuple(connection.savepoint_ids)


def is_marked_for_rollback(connection: BaseDatabaseWrapper) -> bool:
    """Return whether Django will roll the innermost block back, and refuses statements until then."""
    return connection.needs_rollback


def refuse_statements(connection: BaseDatabaseWrapper) -> None:
    """Have Django refuse every statement until the innermost block has been rolled back."""
    connection.needs_rollback = True


def was_closed_in_transaction(connection: BaseDatabaseWrapper) -> bool:
    """Return whether somebody has closed the connection inside of the transaction that is open."""
    return connection.closed_in_transaction


def restore_savepoints(connection: BaseDatabaseWrapper, before: Sequence[str | None]) -> None:
    """Reset the savepoints and the mark for rollback to what they were: nothing has reached the database since."""
    wrapper: Any = connection
    wrapper.savepoint_ids = list(before)
    wrapper.needs_rollback = False


def commit_hooks(connection: BaseDatabaseWrapper) -> list[Callable[[], object]]:
    """Return the hooks of ``on_commit`` that the open transaction has, in the order in which they run."""
    return [hook for _, hook, *_ in connection.run_on_commit]


def take_commit_hooks(connection: BaseDatabaseWrapper) -> list[Callable[[], object]]:
    """Return the hooks of ``on_commit``, and have Django run none of them."""
    if not connection.run_on_commit:
        return []
    hooks = commit_hooks(connection)
    connection.run_on_commit = []
    return hooks


def statement_wrappers(connection: BaseDatabaseWrapper) -> list[StatementWrapper]:
    """Return the wrappers through which every statement goes, as the list that Django itself uses."""
    return connection.execute_wrappers


def set_statement_wrappers(connection: BaseDatabaseWrapper, wrappers: Sequence[StatementWrapper]) -> None:
    """Have every statement go through these wrappers, and no others.

    A list is used as it is, so that the code that has added a wrapper can remove it.
    """
    connection.execute_wrappers = wrappers if isinstance(wrappers, list) else list(wrappers)


def has_seen_errors(connection: BaseDatabaseWrapper) -> bool:
    """Return whether a statement has failed since the connection was last found to be usable."""
    return connection.errors_occurred


def keep_open(connection: BaseDatabaseWrapper) -> None:
    """Keep a connection for as long as it works, whatever ``CONN_MAX_AGE`` says to web requests."""
    connection.close_at = None


def add_options(connection: BaseDatabaseWrapper, options: Mapping[str, Any]) -> None:
    """Have this connection, and no other one of its alias, made with options that the site has not set itself."""
    settings = connection.settings_dict
    connection.settings_dict = {**settings, "OPTIONS": {**options, **settings["OPTIONS"]}}


@contextmanager
def made_with(connection: BaseDatabaseWrapper, options: Mapping[str, Any]) -> Iterator[None]:
    """Have this connection made with such options within the block."""
    settings = connection.settings_dict
    add_options(connection, options)
    try:
        yield
    finally:
        connection.settings_dict = settings


def settings_of(connection: BaseDatabaseWrapper) -> dict[str, Any]:
    """Return a copy of the settings with which the connection is made."""
    return _copy(connection.settings_dict)


def _copy(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: dict(value) if isinstance(value, dict) else value for name, value in settings.items()}


def restore_settings(connection: BaseDatabaseWrapper, settings: dict[str, Any]) -> bool:
    """Reset with what the connection is made, and return whether that was something else."""
    if connection.settings_dict == settings:
        return False
    connection.settings_dict = _copy(settings)
    return True


def end_driver(driver: Any) -> None:
    """End the session of a driver's connection, whatever state it is in."""
    with suppress(Exception):
        driver.rollback()  # SQLite's close keeps the transaction of a statement that was not read to its end
    with suppress(Exception):
        driver.close()


def put_back(connection: BaseDatabaseWrapper, using: str) -> bool:
    """Make it this thread's connection to that database again, and return whether another one had taken its place."""
    wrapper: Any = connection
    wrapper.alias = using
    _restore_class(connection)
    stranger = connections[using]
    if stranger is connection:
        return False
    connections[using] = connection
    if isinstance(stranger, BaseDatabaseWrapper):  # a body may have put anything there
        end_driver(driver_of(stranger))
        discard(stranger)  # it may be that of another alias
    return True


def drop_misplaced() -> list[BaseDatabaseWrapper]:
    """Have Django make those connections of this thread anew that are in the place of another one; return the rest."""
    handler: Any = connections
    made = handler._connections
    own: list[BaseDatabaseWrapper] = []
    strangers: dict[str, Any] = {}
    for alias in handler.settings:
        each = getattr(made, alias, None)
        if isinstance(each, BaseDatabaseWrapper) and each.alias == alias:
            own.append(each)
        elif each is not None:
            strangers[alias] = each
    for alias, stranger in strangers.items():
        del connections[alias]
        if isinstance(stranger, BaseDatabaseWrapper) and not any(stranger is each for each in own):
            end_driver(driver_of(stranger))
    return own


def discard(connection: BaseDatabaseWrapper) -> None:
    """Close a connection, whatever state it is in. The next use makes a new one, and nothing of this one is left."""
    wrapper: Any = connection
    with suppress(Exception):  # it may be broken
        wrapper._close()  # close() would keep it for the end of the transaction that it may be in
    wrapper.connection = None
    # Connecting resets some of this, but what a function has left could act before or meanwhile.
    for name, new in _NEW.items():
        setattr(wrapper, name, new())
    wrapper.run_commit_hooks_on_set_autocommit_on = False
    wrapper.rollback_exc = None
    wrapper.execute_wrappers = []
    if isinstance(connection, _Guarded):
        connection.scheduler_guard.end_session()
        restore_attributes(connection)  # a site's own class may note here what it has set in the session


@contextmanager
def closed_again(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Close a connection at the end of the block that was not open at its beginning."""
    was_open = driver_of(connection) is not None
    try:
        yield
    finally:
        if not was_open:
            connection.close()


def forget_driver(connection: BaseDatabaseWrapper) -> None:
    """Leave the driver's connection as it is, and have Django make a new one when it is needed."""
    wrapper: Any = connection
    wrapper.connection = None
    discard(connection)


def take_pools(connection: BaseDatabaseWrapper) -> list[Any]:
    """Return the pools in which Django keeps connections of this kind, and have it make new ones."""
    pools: dict[str, Any] = getattr(type(connection), "_connection_pools", {})
    taken = list(pools.values())
    pools.clear()
    return taken


#: The modules in which Django defines connections.
_OF_CONNECTIONS = frozenset(
    f"django.db.backends.{backend}.base" for backend in ("base", "postgresql", "mysql", "sqlite3", "oracle")
)


class _Guarded(BaseDatabaseWrapper):
    """Tells the guard of a connection what is done to its session. It comes before the vendor's own class."""

    scheduler_guard: SessionGuard

    def __init__(self, *arguments: Any, **options: Any) -> None:
        # Django makes copies of a connection. They have sessions of their own, which nobody keeps.
        wrapper: Any = self
        wrapper.__class__ = _original(type(self))
        wrapper.__init__(*arguments, **options)

    def connect(self) -> None:
        self.scheduler_guard.forbid("a new session")
        if vars(self)["connection"] is not None:
            end_driver(vars(self)["connection"])  # a body has asked for another one
        attributes, wrappers = _attributes(self), list(self.execute_wrappers)
        # As what it was, because receivers of ``connection_created`` may be there for one class only.
        guarded = type(self)
        original = _original(guarded)
        guard = self.scheduler_guard
        wrapper: Any = self

        def get_new_connection(params: dict[str, Any]) -> Any:
            driver = original.get_new_connection(self, params)
            guard.has_connected(driver)
            return driver

        wrapper.__class__ = original
        wrapper.get_new_connection = get_new_connection
        try:
            original.connect(self)
        finally:
            del wrapper.get_new_connection
            wrapper.__class__ = guarded
        made = {name: value for name, value in _attributes(self).items() if attributes.get(name, self) is not value}
        self.scheduler_guard.begin_session([each for each in self.execute_wrappers if each not in wrappers], made)

    def close_if_health_check_failed(self) -> None:
        # Django calls it before it opens a cursor or begins a transaction.
        if not self.scheduler_guard.has_to_be_checked():
            super().close_if_health_check_failed()
        elif not (vars(self)["connection"] is None or is_in_transaction(self) or self.is_usable()):
            with suppress(DatabaseError, InterfaceError):
                self.close()  # Django then makes a new one

    def create_cursor(self, name: str | None = None) -> Any:
        return self.scheduler_guard.cursor(super().create_cursor(name))

    def _commit(self) -> None:
        self.scheduler_guard.forbid("a commit")
        own: Any = super()
        own._commit()

    def _rollback(self) -> None:
        self.scheduler_guard.forbid("a rollback")
        own: Any = super()
        own._rollback()

    def _set_autocommit(self, autocommit: bool) -> None:
        self.scheduler_guard.forbid("a change of autocommit")
        own: Any = super()
        own._set_autocommit(autocommit)

    def _driver(self) -> Any:
        caller = sys._getframe(1)
        if caller.f_globals.get("__name__") not in _OF_CONNECTIONS:  # who ask several times for each statement
            self.scheduler_guard.let_use("the driver's connection", caller)
        return vars(self)["connection"]

    def _set_driver(self, driver: Any) -> None:
        if not self.scheduler_guard.let_use("the driver's connection", sys._getframe(1)):
            end_driver(vars(self)["connection"])  # a body has dropped it: it would keep its transaction
        vars(self)["connection"] = driver

    connection = property(_driver, _set_driver)


class _GuardedAndBeginning(_Guarded):
    """The same, where Django begins transactions by a statement."""

    def _start_transaction_under_autocommit(self) -> None:
        own: Any = super()
        with leaving_nothing(self):
            own._start_transaction_under_autocommit()


@cache
def _guarded(connection_class: type[BaseDatabaseWrapper]) -> type[BaseDatabaseWrapper]:
    # Django looks whether there is such a method.
    begins = hasattr(connection_class, "_start_transaction_under_autocommit")
    return type(connection_class.__name__, (_GuardedAndBeginning if begins else _Guarded, connection_class), {})


def _original(guarded: type[BaseDatabaseWrapper]) -> type[BaseDatabaseWrapper]:
    # A body may have made another class of it.
    made_here = next(each for each in guarded.__mro__ if each.__bases__[:1] in ((_Guarded,), (_GuardedAndBeginning,)))
    return cast("type[BaseDatabaseWrapper]", made_here.__bases__[1])


def guard_session(connection: BaseDatabaseWrapper, wrappers: Sequence[StatementWrapper] | None = None) -> SessionGuard:
    """Put a guard before the sessions of a connection, if there is none yet, and return it.

    ``wrappers``: the wrappers of statements that are the site's. ``None``: those may be there that a body has left.
    """
    guard: SessionGuard | None = vars(connection).get("scheduler_guard")
    if guard is None:  # while it connects, it has one, but not the class
        wrapper: Any = connection
        _ = wrapper.wrap_database_errors  # Django keeps it from the first use on: an attribute like all others then
        guard = wrapper.scheduler_guard = SessionGuard(connection.vendor, wrappers, _attributes(connection))
        guard.guarded_class = wrapper.__class__ = _guarded(wrapper.__class__)
    return guard


def _restore_class(connection: BaseDatabaseWrapper) -> None:
    """Make a guarded connection what it was, if a body has made it one of another class."""
    guard: SessionGuard | None = vars(connection).get("scheduler_guard")
    if guard is not None and type(connection) is not guard.guarded_class:
        wrapper: Any = connection
        wrapper.__class__ = guard.guarded_class


@contextmanager
def leaving_nothing(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Execute our own statements within the block that a guard would take for more than they are."""
    guard: SessionGuard | None = vars(connection).get("scheduler_guard")
    was_plain = guard is None or guard.is_plain
    try:
        yield
    finally:
        if guard is not None:
            guard.is_plain = was_plain


def has_cursors(connection: BaseDatabaseWrapper) -> bool:
    """Return whether there are cursors that nobody has closed, of a connection that is guarded."""
    guard: SessionGuard | None = vars(connection).get("scheduler_guard")
    return guard is not None and guard.has_cursors


def close_cursors(connection: BaseDatabaseWrapper) -> None:
    """Close the cursors that a body has left on a connection that is guarded."""
    guard: SessionGuard | None = vars(connection).get("scheduler_guard")
    if guard is not None:
        guard.close_cursors()


def end_guard(connection: BaseDatabaseWrapper) -> None:
    """Take the guard away, if there is one."""
    if isinstance(connection, _Guarded):
        wrapper: Any = connection
        wrapper.__class__ = _original(type(connection))
        del wrapper.scheduler_guard


def _attributes(connection: BaseDatabaseWrapper) -> dict[str, Any]:
    return {
        name: value
        for name, value in vars(connection).items()
        if not (name in _CHANGING or name.startswith("django_scheduler"))
    }


def restore_attributes(connection: BaseDatabaseWrapper) -> None:
    """Reset what a body has made of the connection itself, a guarded one: its tenant, say, or its settings."""
    guard, attributes = guard_session(connection), vars(connection)
    _restore_class(connection)
    if attributes.keys() != guard.known_names:  # asked after each body: what follows takes three times as long
        for name in attributes.keys() - guard.attributes.keys() - guard.kept_attributes:
            # What a vendor keeps may cost a statement; what all have, such as the time zone, is that of the settings.
            is_kept_by_vendor = isinstance(_of_class(connection, name), cached_property) and not _is_of_all(name)
            if name in _CHANGING or name.startswith("django_scheduler") or is_kept_by_vendor:
                guard.kept_attributes.add(name)
            else:
                del attributes[name]
        guard.known_names = attributes.keys() | guard.attributes.keys()
    attributes.update(guard.attributes)


def _of_class(connection: BaseDatabaseWrapper, name: str) -> Any:
    return getattr(type(connection), name, None)


def _is_of_all(name: str) -> bool:
    return hasattr(BaseDatabaseWrapper, name)


class Transactions(Protocol):
    """Begins and ends transactions in place of those of the database."""

    def set_autocommit(self, autocommit: bool) -> None: ...

    def begin(self) -> None: ...

    def commit(self) -> None: ...

    def roll_back(self) -> None: ...


@contextmanager
def pretending_to_be_new(connection: BaseDatabaseWrapper, transactions: Transactions) -> Iterator[None]:
    """Let Django treat the connection within the block as one that is in no transaction; afterwards all is as before.

    ``transactions`` are those that Django begins and ends meanwhile. Closing the connection does nothing: the
    transaction that it really is in would be gone.
    """
    methods = {
        "_set_autocommit": transactions.set_autocommit,
        "_start_transaction_under_autocommit": transactions.begin,
        "_commit": transactions.commit,
        "_rollback": transactions.roll_back,
        "close": lambda: None,
    }
    attributes = vars(connection)
    pretended = {**{name: new() for name, new in _NEW.items()}, "autocommit": True, "close_at": None}
    before = {name: attributes[name] for name in pretended}
    attributes.update({**pretended, **methods})
    try:
        yield
    finally:
        for name in methods:
            del attributes[name]
        attributes.update(before)
