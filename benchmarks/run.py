"""A run: every contender through every workload, on every database."""

import signal
import time
import traceback
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import databases
from benchmarks.arena import arena, prepare
from benchmarks.contender import NotSupported
from benchmarks.databases import Database
from benchmarks.environments import Environment, environment_for
from benchmarks.errors import ContenderError, TooSlow, Unavailable
from benchmarks.header import Header, read_header
from benchmarks.options import Options
from benchmarks.redis import redis_answers
from benchmarks.results import Result, Results
from benchmarks.workloads import Workload

#: How long one contender may take for one workload, whatever happens, in seconds.
LIMIT = 120


@dataclass
class Run:
    """What a report is made of."""

    options: Options
    headers: list[Header]
    results: dict[tuple[str, str, str], Result] = field(default_factory=dict)
    #: Why a contender was not measured at all, on a database.
    absent: dict[tuple[str, str], str] = field(default_factory=dict)
    versions: dict[str, dict[str, str]] = field(default_factory=dict)
    descriptions: dict[str, str] = field(default_factory=dict)


def run(options: Options) -> Run:
    begin = time.monotonic()
    this = Run(options, [read_header(name) for name in options.contenders])
    environments = _environments(this)
    kept = Results(resume=options.resume)
    deadline = begin + options.minutes * 60
    with ExitStack() as servers:
        fields = [
            _prepared(this, servers.enter_context(databases.start(name)), environments) for name in options.databases
        ]
        for workload in options.workloads:
            for database, headers in fields:
                if database.name in workload.databases:
                    _say(f"\n{workload.title} ({database.name})")
                    for header in headers:
                        if workload.with_floors or not header.is_floor:
                            _measure(this, kept, database, workload, header, environments[header.name], deadline)
    _say(f"\nIt took {(time.monotonic() - begin) / 60:.0f} minutes.")
    return this


def _environments(this: Run) -> dict[str, Environment]:
    environments = {}
    for header in this.headers:
        _say(f"Environment of {header.name}")
        try:
            if header.needs_redis and not redis_answers():
                raise Unavailable("no Redis answers on 127.0.0.1:6379")
            environments[header.name] = environment_for(header)
        except Unavailable as error:
            for name in this.options.databases:
                _leave_out(this, name, header, str(error))
    return environments


def _prepared(this: Run, database: Database, environments: dict[str, Environment]) -> tuple[Database, list[Header]]:
    """A database, and the contenders that can take part on it."""
    this.descriptions[database.name] = database.description
    _say(f"\n{database.description}")
    prepared = []
    for header in this.headers:
        if header.name not in environments:
            continue
        if database.name not in header.databases:
            this.absent[database.name, header.name] = f"it does not run on {database.name}"
            continue
        try:
            with TemporaryDirectory() as directory:
                this.versions[header.name] = prepare(header, environments[header.name], database, Path(directory))
        except ContenderError as error:
            _leave_out(this, database.name, header, f"its tables cannot be made: {error}")
        else:
            prepared.append(header)
    return database, prepared


def _leave_out(this: Run, database: str, header: Header, reason: str) -> None:
    this.absent[database, header.name] = reason
    _say(f"  {header.name} is left out: {reason}")


def _measure(
    this: Run,
    kept: Results,
    database: Database,
    workload: Workload,
    header: Header,
    environment: Environment,
    deadline: float,
) -> None:
    key = database.name, workload.name, header.name
    begin = time.monotonic()
    result = kept.get(*key)
    if result is None or result.problem:
        if time.monotonic() > deadline:
            result = Result(problem="not measured: the time of the run was up")
        else:
            result = _measured(kept, key, database, workload, header, environment, this.options)
    this.results[key] = result
    figures = ", ".join(f"{figure:,.2f} {title}" for title, figure in result.figures.items())
    remark = f" ({result.remark})" if result.remark else ""
    _say(f"  {header.name:16} {figures or result.problem}{remark} [{time.monotonic() - begin:.0f} s]")


def _measured(
    kept: Results,
    key: tuple[str, str, str],
    database: Database,
    workload: Workload,
    header: Header,
    environment: Environment,
    options: Options,
) -> Result:
    with TemporaryDirectory() as directory:
        try:
            with _time_limit(LIMIT), arena(header, environment, database, Path(directory)) as place:
                return kept.put(*key, workload.measure(place, options.size))
        except (NotSupported, ContenderError) as error:
            return kept.put(*key, str(error))
        except Exception as error:  # ours, perhaps, but the others are to be measured all the same
            traceback.print_exc()
            return kept.put(*key, f"the harness failed: {type(error).__name__}: {' '.join(str(error).split())}")


@contextmanager
def _time_limit(seconds: int) -> Iterator[None]:
    def stop(*_: object) -> None:
        raise TooSlow(f"it took longer than {seconds} s")

    signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)


def _say(line: str) -> None:
    print(line, flush=True)
