"""A run: every contender through every workload, on every database, round by round."""

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
from benchmarks.rounds import Rounds
from benchmarks.workloads import Workload


@dataclass
class Run:
    """What a report is made of."""

    options: Options
    headers: list[Header]
    #: By database and workload.
    results: dict[tuple[str, str], Rounds] = field(default_factory=dict)
    #: Why a contender was not measured at all, on a database.
    absent: dict[tuple[str, str], str] = field(default_factory=dict)
    versions: dict[str, dict[str, str]] = field(default_factory=dict)
    descriptions: dict[str, str] = field(default_factory=dict)
    minutes: float = 0.0


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
                taking_part = [header for header in headers if workload.takes_part(header)]
                if database.name in workload.databases and taking_part:
                    _measure(this, kept, database, workload, taking_part, environments, deadline)
    this.minutes = (time.monotonic() - begin) / 60
    _say(f"\nIt took {this.minutes:.0f} minutes.")
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
        except Exception as error:  # whatever it is, the others are to be measured
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
    headers: list[Header],
    environments: dict[str, Environment],
    deadline: float,
) -> None:
    """Every contender once a round, unless the first one has said enough; each round begins with another one."""
    rounds = this.results[database.name, workload.name] = Rounds()
    number_of_rounds = min(this.options.rounds, workload.most_rounds or this.options.rounds)
    for number in range(number_of_rounds):
        _say(f"\n{workload.title} ({database.name}), round {number + 1} of {number_of_rounds}")
        for header in in_turn(headers, number, number_of_rounds):
            begin = time.monotonic()
            result = kept.get(database.name, workload.name, header.name, number)
            if result is None or result.problem:
                if rounds.cannot(header.name) or rounds.is_far_behind(header.name, workload.columns[0]):
                    continue
                if begin > deadline:
                    result = Result(problem="not measured: the time of the run was up")
                else:
                    result = _measured(database, workload, header, environments[header.name], this.options)
                    kept.put(database.name, workload.name, header.name, number, result)
            rounds.add(header.name, number, result)
            figures = ", ".join(f"{figure:,.2f} {title}" for title, figure in result.figures.items())
            remark = f" ({result.remark})" if result.remark else ""
            _say(f"  {header.name:16} {figures or result.problem}{remark} [{time.monotonic() - begin:.1f} s]")


def in_turn(headers: list[Header], number: int, rounds: int) -> list[Header]:
    """Return those of a round in its order: each round begins at another place, so that none is always first."""
    first = number * len(headers) // rounds
    return headers[first:] + headers[:first]


def _measured(
    database: Database, workload: Workload, header: Header, environment: Environment, options: Options
) -> Result:
    with TemporaryDirectory() as directory:
        try:
            with (
                _time_limit(workload.limit),
                arena(header, environment, database, Path(directory), workload.queues(options.size)) as place,
            ):
                measurement = workload.measure(place, options.size)
            return Result(figures=measurement.figures, remark=measurement.remark)
        except NotSupported as error:
            return Result(problem=str(error), not_supported=True)
        except ContenderError as error:
            return Result(problem=str(error))
        except Exception as error:  # ours, perhaps, but the others are to be measured all the same
            traceback.print_exc()
            return Result(problem=f"the harness failed: {type(error).__name__}: {' '.join(str(error).split())}")


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
