"""The guard of a session sees each statement right before the driver does, and all that goes past Django.

An executor keeps its sessions, so what a body sets in one would reach every later body of that thread; and members of a
group share a transaction. What no setting, lock, table or transaction can come from is known (``statements.py``); the
guard notes whether anything else has happened since the session was made. Then the session is not *plain*, and is
replaced. In a group the same is refused before it is executed.

For that the guard stands where nothing lies between it and the driver: inside of the cursor that Django wraps, after
all wrappers of statements, which may rewrite what they are given. A body that uses the driver itself, or what only
the driver's cursor has (``executescript``, ``callproc``, ``copy``), is noticed when it asks for it. Django's own code
may ask, and so may libraries that are known to only read: who asks is the module of the calling frame.

While an action waits for something else, its connection may die: a server restarts, a firewall forgets. So there a
session that was idle is checked before the next statement, and replaced if it is dead; but not if it is no longer
plain, because what follows may rely on what was set, nor within a transaction, because what came before would be
missed. Then the action meets the error of the database.
"""

import re
import sys
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, NoReturn
from weakref import ref

from django.db.backends.base.base import BaseDatabaseWrapper

from django_scheduler.databases.statements import UNKNOWN, Reach, Statement, examine

#: What a driver's cursor has that does nothing to its session.
HARMLESS = {
    *(
        "_executed",
        "_query",
        "arraysize",
        "closed",
        "description",
        "fetchall",
        "fetchmany",
        "fetchone",
        "itersize",
        "lastrowid",
    ),
    *("mogrify", "nextset", "query", "rowcount", "rownumber", "scroll", "statusmessage"),
}

#: For how long a connection may be idle without being checked, in seconds.
IDLE = 2.0

#: How many characters the statements have that are remembered, and how many one of them may have. What is known of a
#: statement takes four times as many bytes as its text has characters.
MOST_REMEMBERED = 4_000_000
LONGEST_REMEMBERED = 10_000

#: Parameters that follow another one, and rows of them that follow another one.
SAME_AGAIN = re.compile(r"(?<=%s)(?:, %s)+|(?<=%s\))(?:, \(%s(?:, %s)*\))+")

#: How statements begin, of Django's and of ours, that are never the same again.
NAMED_ANEW = ('SAVEPOINT "', "SAVEPOINT `", "RELEASE SAVEPOINT", "ROLLBACK TO SAVEPOINT", "NOTIFY ")

#: Who may use the driver: their names, and how those of their modules begin.
TRUSTED = ("django", "django_scheduler", "sentry_sdk", "opentelemetry", "debug_toolbar")
_PREFIXES = tuple(f"{name}." for name in TRUSTED)

#: Modules of Django that get for others what these ask for.
PASSING_ON = ("django.utils.connection", "django.db.backends.utils")


class KnownStatements(dict[str, Statement]):
    """Remembers what is known of statements, by their texts, and forgets all of it before that takes much memory."""

    _characters = 0

    def remember(self, sql: str, statement: Statement) -> None:
        self._characters += len(sql)
        if self._characters > MOST_REMEMBERED:
            self.clear()
            self._characters = len(sql)
        self[sql] = statement


#: What is known of the statements of each vendor, for all threads.
_known: dict[str, KnownStatements] = {}


class SessionGuard:
    """Notes what has been done to the sessions of one connection of a thread, one after the other."""

    def __init__(
        self,
        vendor: str,
        wrappers: Sequence[Callable[..., Any]] | None = None,
        attributes: dict[str, Any] | None = None,
    ) -> None:
        self._vendor = vendor
        #: Whether the session is as it was when it was made.
        self.is_plain = True
        self._refuse: Callable[[str], NoReturn] | None = None
        self._special_relations: Collection[str] = ()
        #: The savepoints that were set since, and are still there.
        self._savepoints: list[str] = []
        #: Whether the connection is checked before a statement that follows a pause.
        self.checks_when_idle = False
        self._used_at = 0.0
        #: The wrappers of statements that were there, and those that the site adds when a connection is made; ``None``:
        #: nobody knows which of them a body has left.
        self.wrappers: list[Callable[..., Any]] | None = None
        self._wrappers_before = wrappers
        #: The class that tells it what is done.
        self.guarded_class: type[BaseDatabaseWrapper] | None = None
        #: Is told the driver's connection when there is a new one, before anything is asked through it.
        self.has_connected: Callable[[Any], None] = lambda driver: None
        #: What the connection is, as far as Django does not change it; and what it is while it has no session.
        self.attributes = self._attributes_without_session = attributes or {}
        #: The names of further attributes that no body has set.
        self.kept_attributes: set[str] = set()
        #: The names of all that the connection had when it was last restored.
        self.known_names: set[str] = set()
        self._cursors: set[ref[GuardedCursor]] = set()
        self._known = _known.setdefault(vendor, KnownStatements())

    def begin_session(self, wrappers: list[Callable[..., Any]], attributes: dict[str, Any]) -> None:
        """Note that the connection has got a new session, and that what was done to it until now belongs to it.

        ``wrappers`` and ``attributes`` are those that the connection has got with it.
        """
        self.is_plain = True
        self._used_at = time.monotonic()
        self.attributes = {**self.attributes, **attributes}
        if self.wrappers is None:
            self.wrappers = [*(self._wrappers_before or []), *wrappers]

    def end_session(self) -> None:
        """Note that the connection has no session any more, nor what it got with it."""
        self.attributes = self._attributes_without_session
        self.known_names = set()

    def check_when_idle(self, *, used_at: float) -> None:
        """Have the connection checked from now on; it was used last at that time, by ``time.monotonic()``."""
        self.checks_when_idle = True
        self._used_at = used_at

    def has_to_be_checked(self) -> bool:
        """Return whether the session was idle, so that it may be dead, and nobody would miss anything of it."""
        if not (self.checks_when_idle and self.is_plain):
            return False
        now = time.monotonic()
        was_idle, self._used_at = now - self._used_at > IDLE, now
        return was_idle

    @contextmanager
    def refusing(self, refuse: Callable[[str], NoReturn], special_relations: Collection[str]) -> Iterator[None]:
        """Call ``refuse``, with what is about to happen, before anything but rows of ordinary tables is touched."""
        self._refuse, self._special_relations = refuse, special_relations
        try:
            yield
        finally:
            self._refuse, self._special_relations = None, ()

    def forget_savepoints(self) -> None:
        """Refuse from now on to return to a savepoint that is there by now."""
        self._savepoints.clear()

    def let_pass(self, sql: object) -> None:
        """Note or refuse a statement that is about to be executed."""
        if self.checks_when_idle:
            self._used_at = time.monotonic()
        statement = (self._known.get(sql) or self._examine(sql)) if isinstance(sql, str) else UNKNOWN
        if self._refuse is not None:
            if statement.reach:
                self._refuse("a statement that may do more than read and write rows")
            if not statement.names.isdisjoint(self._special_relations):
                self._refuse("a statement on a table with triggers, rules or policies, a view or a function of yours")
            if statement.savepoint is not None:
                self._follow_savepoints(*statement.savepoint)
        elif statement.reach is Reach.SESSION:
            self.is_plain = False

    def _follow_savepoints(self, verb: str, name: str) -> None:
        """Refuse to return to a savepoint that was there before: what others have done since would be gone."""
        if verb == "SAVEPOINT":
            self._savepoints.append(name)
            return
        while self._savepoints and self._savepoints[-1] != name:
            self._savepoints.pop()
        if not self._savepoints and self._refuse is not None:
            self._refuse("a return to a savepoint that others have set")
        if verb == "RELEASE":
            self._savepoints.pop()

    def _examine(self, sql: str) -> Statement:
        # Rows of many parameters are known by one of each. The first one stays: it may be what a function is given.
        with_one_of_each = SAME_AGAIN.sub("", sql)
        statement = self._known.get(with_one_of_each) or examine(with_one_of_each, self._vendor)
        for text in {sql, with_one_of_each}:
            if len(text) <= LONGEST_REMEMBERED and not text.startswith(NAMED_ANEW):
                self._known.remember(text, statement)
        return statement

    def let_use(self, what: str, caller: FrameType) -> bool:
        """Note or refuse that somebody uses what lies behind Django's connection; return whether they are trusted."""
        frame: FrameType | None = caller
        while frame is not None and frame.f_globals.get("__name__") in PASSING_ON:
            frame = frame.f_back
        module = str(frame.f_globals.get("__name__")) if frame else ""
        is_trusted = module in TRUSTED or module.startswith(_PREFIXES)
        if not is_trusted:
            self.note(what)
        return is_trusted

    def note(self, what: str) -> None:
        """Note or refuse something that may do anything to the session."""
        if self._refuse is not None:
            self._refuse(what)
        self.is_plain = False

    def forbid(self, what: str) -> None:
        """Refuse what Django itself does to the transaction, while anything is refused."""
        if self._refuse is not None:
            self._refuse(what)

    def cursor(self, cursor: Any) -> "GuardedCursor":
        """Return the driver's cursor, guarded."""
        guarded = GuardedCursor(cursor, self)
        self._cursors.add(ref(guarded, self._cursors.discard))
        return guarded

    @property
    def has_cursors(self) -> bool:
        """Return whether there are cursors that nobody has closed."""
        return bool(self._cursors)

    def close_cursors(self) -> None:
        """Close the cursors that are still there.

        On SQLite one that is read half-way keeps what it sees. On PostgreSQL the garbage collector may close one while
        this thread is within the driver, whose lock it cannot take twice. So from now on nobody else closes them.
        """
        if not self._cursors:
            return
        left = []
        while self._cursors:
            with suppress(Exception):  # another thread may have collected the last one as garbage meanwhile
                cursor = self._cursors.pop()()
                if cursor is not None and (of_driver := cursor.take()) is not None:
                    left.append(of_driver)
        for of_driver in left:
            with suppress(Exception):
                of_driver.close()


#: Sets what is the guarded cursor's own.
_set = object.__setattr__


class GuardedCursor:
    """Stands in for a driver's cursor."""

    __slots__ = ("__weakref__", "_cursor", "_guard", "_is_closed")

    def __init__(self, cursor: Any, guard: SessionGuard) -> None:
        _set(self, "_cursor", cursor)
        _set(self, "_guard", guard)
        _set(self, "_is_closed", False)

    def execute(self, sql: Any, *params: Any, **options: Any) -> Any:
        self._guard.let_pass(sql)
        returned = self._cursor.execute(sql, *params, **options)
        return self if returned is self._cursor else returned  # so that nobody gets hold of that one

    def executemany(self, sql: Any, *params: Any, **options: Any) -> Any:
        self._guard.let_pass(sql)
        returned = self._cursor.executemany(sql, *params, **options)
        return self if returned is self._cursor else returned

    def close(self) -> None:
        cursor = self.take()
        if cursor is not None:  # or its connection may be gone by now
            cursor.close()

    def take(self) -> Any:
        """Return the driver's cursor to the one who is to close it, and ``None`` to whoever comes later."""
        if self._is_closed:
            return None
        _set(self, "_is_closed", True)
        return self._cursor

    def __iter__(self) -> Iterator[Any]:
        return iter(self._cursor)

    def __getattr__(self, name: str) -> Any:
        if name == "connection":
            self._guard.let_use("the driver's connection", sys._getframe(1))
        elif name not in HARMLESS:
            self._guard.note(f"{name}() of the driver's cursor")
        return getattr(self._cursor, name)

    def __setattr__(self, name: str, value: object) -> None:
        if name not in HARMLESS:
            self._guard.note(f"{name} of the driver's cursor")
        setattr(self._cursor, name, value)
