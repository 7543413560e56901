"""What every test may ask for: the test database, and the way to it from another process. And what none may leave."""

import gc
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.db import connection
from django.test import TransactionTestCase
from hypothesis import settings as hypothesis

from django_scheduler.executor.executor import Executor
from django_scheduler.executor.poller import Until
from django_scheduler.functions import registry
from django_scheduler.record import wakeup
from tests.support import forked_processes, leaks
from tests.support.emptying import quick_emptying
from tests.support.executor_processes import ExecutorProcesses, nothing_left_behind
from tests.support.gates import Gate
from tests.support.sessions import Session
from tests.support.supervised import Supervised

#: What Django does that ``start_django`` starts, unless a test says otherwise.
LIST_FUNCTIONS = """
import django; django.setup()
from django_scheduler.functions import registry; print(*sorted(function.name for function in registry))
"""

#: The tests that the quick suite runs on each database: what is written, claimed and executed there,
#: also where processes are killed, limits are shared and sessions are cut.
ON_EVERY_DATABASE = (
    *("crash", "databases", "executor", "fleet", "limits", "processes", "record", "transactions"),
    *("crons/test_executors.py", "scheduling/keys", "scheduling/test_ids.py"),
)

#: When the phase of a test began whose report is made next.
PHASE_BEGAN = pytest.StashKey[float]()

# Examples that talk to a database take as long as they take; CI tries the same ones every time.
hypothesis.register_profile("database", deadline=None, derandomize="CI" in os.environ)
hypothesis.load_profile("database")


@pytest.fixture(scope="session")
def django_db_modify_db_settings(tmp_path_factory):
    """Give this run a database of its own that other processes can open: with SQLite, a file."""
    test_settings = connection.settings_dict["TEST"]
    if connection.vendor == "sqlite":
        test_settings["NAME"] = str(tmp_path_factory.mktemp("database") / "test.sqlite3")
    else:
        test_settings["NAME"] = f"test_django_scheduler_{os.getpid()}"


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup, django_db_blocker):
    """Have the test database emptied quickly after each test that has committed."""
    with quick_emptying(django_db_blocker.unblock):
        yield


@pytest.fixture
def child_environment(transactional_db) -> dict[str, str]:
    """Return the environment in which a process that a test starts finds the tests' settings and the test database.

    ``forked_processes.start(["-m", "django", "runscheduler"], child_environment)``. Settings of the
    scheduler go to such a process as JSON in ``TEST_DJANGO_SCHEDULER``.
    """
    name = connection.settings_dict["NAME"]
    if connection.vendor == "sqlite":
        url = f"sqlite:///{name}"
    else:
        url = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{name}").geturl()
    return {**os.environ, **forked_processes.ENVIRONMENT, "DATABASE_URL": url}


@pytest.fixture
def growing_groups(child_environment) -> None:
    """Have the executors of the test form groups of one, two, four and so on, however busy the machine is."""
    constants = {f"django_scheduler.executor.{name}": 20.0 for name in ("grouping.GROUP_SECONDS", "claim_policy.LONG")}
    child_environment["TEST_CONSTANTS"] = json.dumps(constants)


@pytest.fixture(autouse=True)
def _nothing_is_left_behind(request, django_db_blocker):
    """Fail a test that leaves a thread, a process, a session, a lock or an open transaction behind."""
    with leaks.nothing_left_behind(
        look_into_database=lambda: "django_db_setup" in request.fixturenames, unblock=django_db_blocker.unblock
    ):
        yield


@pytest.fixture(autouse=True)
def _functions_of_a_test_end_with_it(monkeypatch):
    """Forget functions that are decorated within a test when it has ended."""
    for name in ("_functions", "_renamed", "_limits_of_source", "_rates_of_source"):
        monkeypatch.setattr(registry, name, dict(getattr(registry, name)))


@pytest.fixture(autouse=True)
def _log_is_waited_for(monkeypatch):
    """Have who ends executors in this process wait for their log, which a busy machine may keep for a second."""
    monkeypatch.setattr("django_scheduler.executor.threads.LOG_TIMEOUT", 20.0)


@pytest.fixture
def execute_due(transactional_db) -> Callable[[], None]:
    """Return what executes in this process all that is due, and what becomes due by it, one after the other."""

    def execute() -> None:
        executor = Executor(concurrency=1, until=Until.NOTHING_DUE)
        executor.start()
        if not executor.wait(timeout=30):
            executor.stop()
            raise AssertionError("What was due has not come to an end within 30 seconds.")

    return execute


@pytest.fixture
def rings() -> Iterator[list[None]]:
    """Yield a list with an entry for each time that executors of this process were woken."""
    rings: list[None] = []

    def ring(due_function: object) -> None:
        rings.append(None)

    wakeup.subscribe("default", ring)
    yield rings
    wakeup.unsubscribe("default", ring)


@pytest.fixture
def new_session(transactional_db) -> Iterator[Callable[[], Session]]:
    """Yield what opens sessions beside the test's own."""
    with ExitStack() as sessions:

        def new() -> Session:
            session = Session()
            sessions.callback(session.close)
            return session

        yield new


@pytest.fixture
def session(new_session: Callable[[], Session]) -> Session:
    """Return a session beside the test's own."""
    return new_session()


@pytest.fixture
def another_session(new_session: Callable[[], Session]) -> Session:
    return new_session()


@pytest.fixture
def retry_at_once(monkeypatch) -> None:
    """Have a mutation that is called directly and met a conflict repeated without a wait that matters."""
    monkeypatch.setattr("django_scheduler.scheduling.calls.FIRST_WAIT", 0.01)


@pytest.fixture
def even_backoff(monkeypatch) -> None:
    """Have the wait before each attempt be half of the longest one, instead of anything up to that by chance."""
    monkeypatch.setattr("random.random", lambda: 0.5)


@pytest.fixture
def python_clock(settings) -> None:
    """Have functions due by Python's clock."""
    settings.DJANGO_SCHEDULER = {"CLOCK": "python"}


@pytest.fixture
def no_grace(settings) -> None:
    """Leave nothing that the code of this process does not know to another one."""
    settings.DJANGO_SCHEDULER = {"UNKNOWN_FUNCTION_GRACE": timedelta(0)}


@pytest.fixture
def new_gate(tmp_path) -> Iterator[Callable[[], Gate]]:
    """Yield what builds gates, where functions of any process wait for the test. They open when it has ended."""
    gates: list[Gate] = []

    def build() -> Gate:
        gates.append(Gate.build(tmp_path / f"gate-{len(gates)}"))
        return gates[-1]

    yield build
    for gate in gates:
        gate.open()


@pytest.fixture
def gate(new_gate: Callable[[], Gate]) -> Gate:
    """Return a gate, where functions wait for the test."""
    return new_gate()


@pytest.fixture
def executors(transactional_db, child_environment, tmp_path) -> Iterator[ExecutorProcesses]:
    """Yield what starts executor processes, of which none may be left at the end of the test."""
    processes = ExecutorProcesses(child_environment, tmp_path)
    with nothing_left_behind(processes):
        yield processes


@pytest.fixture
def supervise(executors) -> Callable[..., Supervised]:
    """Return what starts ``runscheduler`` with its supervisor, and waits until so many processes execute."""

    def start(*arguments: str, processes: int = 1, **settings: Any) -> Supervised:
        supervised = Supervised(executors.launch(f"--processes={processes}", *arguments, **settings))
        supervised.wait_until_executing(processes)
        return supervised

    return start


@pytest.fixture
def start_django(tmp_path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return what starts Django with an app whose module ``functions`` has this source."""
    app = tmp_path / "bakery"
    (app / "recipes").mkdir(parents=True)
    (app / "__init__.py").touch()
    (app / "recipes" / "__init__.py").touch()
    (app / "recipes" / "bread.py").write_text("from django_scheduler import action\n@action\ndef bake(ctx): ...\n")

    def start(source, program=LIST_FUNCTIONS):
        (app / "functions.py").write_text("from django_scheduler import action, mutation\n" + source)
        (tmp_path / "bakery_settings.py").write_text(
            "INSTALLED_APPS = ['bakery', 'django_scheduler']\n"
            "DATABASES = {'default': {'ENGINE': 'django.db.backends.sqlite3', 'NAME': ':memory:'}}\n"
        )
        return forked_processes.run(
            ["-c", f"import warnings; warnings.simplefilter('error')\n{program}"],
            {
                **os.environ,
                **forked_processes.ENVIRONMENT,
                "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path]),
                "DJANGO_SETTINGS_MODULE": "bakery_settings",
            },
        )

    return start


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--only-with-database", action="store_true", help="run only what depends on the database")
    parser.addoption("--quick", action="store_true", help="leave out what is thorough")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what the suite on another database runs, and from the quick suite what is thorough."""
    chosen = items
    if config.getoption("only_with_database"):
        chosen = [item for item in chosen if depends_on_database(item)]
    if config.getoption("quick"):
        on_others = config.getoption("only_with_database")
        chosen = [item for item in chosen if not (is_thorough(item) or (on_others and is_only_for_first(item)))]
    if left_out := set(items).difference(chosen):
        config.hook.pytest_deselected(items=list(left_out))
        items[:] = chosen


def is_thorough(item: pytest.Item) -> bool:
    """Return whether the quick suite leaves it out."""
    return item.get_closest_marker("thorough") is not None


def is_only_for_first(item: pytest.Item) -> bool:
    """Return whether the quick suite has it on the first database alone, although it depends on the database."""
    tests = Path(__file__).parent
    is_there = any(item.path.is_relative_to(tests / each) for each in ON_EVERY_DATABASE)
    return not is_there and item.get_closest_marker("only_on") is None


def depends_on_database(item: pytest.Item) -> bool:
    """Return whether the result may be another one on another database.

    It may if the test asks for the test database, or says which databases it is for, unless it says that it gives the
    same result ``once``, as what is about pages, words, arguments and processes does.
    """
    if item.get_closest_marker("once"):
        return item.get_closest_marker("only_on") is not None
    test_class = getattr(item, "cls", None)
    return (
        "django_db_setup" in getattr(item, "fixturenames", ())
        or item.get_closest_marker("django_db") is not None
        or item.get_closest_marker("only_on") is not None
        or (test_class is not None and issubclass(test_class, TransactionTestCase))
    )


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable(report: pytest.CollectReport | pytest.TestReport) -> Any:
    """Make what a worker reports such that it can be sent: a test's log may have what no encoding has."""
    return encodable((yield))


def encodable(data: Any) -> Any:
    match data:
        case str():
            return data.encode(errors="backslashreplace").decode()
        case dict():
            return {key: encodable(value) for key, value in data.items()}
        case list() | tuple():
            return type(data)(encodable(each) for each in data)
        case _:
            return data


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """Measure how long each phase took by a clock that no test sets."""
    report = yield
    now = os.times().elapsed
    report.duration = now - item.stash.get(PHASE_BEGAN, now)
    item.stash[PHASE_BEGAN] = now
    return report


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Any:
    """Spare the garbage collector what is imported and collected: it stays, and would be looked at again and again."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.collect()
        gc.freeze()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say why tests were skipped: one line for each reason."""
    skipped = terminalreporter.stats.get("skipped", [])
    reasons = Counter(report.longrepr[2].removeprefix("Skipped: ") for report in skipped)
    for reason, number in sorted(reasons.items()):
        terminalreporter.line(f"SKIPPED [{number}] {reason}")


def pytest_unconfigure() -> None:
    for server in [*forked_processes.running_servers]:
        server.close()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    item.stash[PHASE_BEGAN] = os.times().elapsed
    for marker in item.iter_markers("only_on"):
        if connection.vendor not in marker.args:
            pytest.skip(f"only on {', '.join(marker.args)}")
