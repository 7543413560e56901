"""What can be asked for on the command line."""

from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from benchmarks import databases, header
from benchmarks.workloads import DEFAULT, QUICK, WORKLOADS, Size, Workload

#: Enough for a median, and to see how far the figures lie apart.
ROUNDS = 3

#: Who takes part in a quick run that names nobody: one peer of each kind.
QUICK_PEERS = ["ours", "huey", "orm-floor", "pgqueuer", "procrastinate"]
ALL = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    contenders: list[str]
    workloads: list[Workload]
    databases: list[str]
    size: Size
    rounds: int
    minutes: float
    resume: bool
    write: bool

    @property
    def is_complete(self) -> bool:
        """Whether it is the run whose figures are published."""
        everything = self.contenders == header.names() and self.workloads == list(WORKLOADS)
        all_sizes = self.size == DEFAULT and self.rounds >= ROUNDS
        return everything and all_sizes and self.databases == list(databases.NAMES)


def parse(arguments: Sequence[str]) -> Options:
    parser = ArgumentParser(
        prog="python -m benchmarks",
        description="Measure this checkout and its peers side by side. A complete run takes an hour.",
    )
    names = {workload.name: workload for workload in WORKLOADS}
    parser.add_argument(
        "--peers",
        type=_some_of(header.names()),
        help=f"contenders, as in ours,huey (default: {ALL}, with --quick {','.join(QUICK_PEERS)})",
    )
    parser.add_argument("--workloads", type=_some_of(names), help="as in drain-insert,latency (default: all)")
    parser.add_argument("--databases", type=_some_of(databases.NAMES), help="postgresql,sqlite (default: both)")
    parser.add_argument("--functions", type=int, metavar="N", help=f"in a drain (default: {DEFAULT.functions})")
    parser.add_argument("--quick", action="store_true", help="small sizes: to see that it works, not how fast")
    parser.add_argument(
        "--patience",
        type=float,
        metavar="SECONDS",
        help=f"nothing happens for so long after kill -9: stuck (default: {DEFAULT.recovery_seconds:g})",
    )
    parser.add_argument(
        "--rounds", type=int, metavar="N", help=f"how often each is measured (default: {ROUNDS}, with --quick 1)"
    )
    parser.add_argument("--minutes", type=float, default=90, help="begin nothing new after that (default: 90)")
    parser.add_argument("--resume", action="store_true", help="keep what the last run has measured")
    parser.add_argument(
        "--write", action="store_true", help="write into docs/benchmarks.md also what is not a complete run"
    )
    options = parser.parse_args(arguments)
    size = QUICK if options.quick else DEFAULT
    if options.functions:
        size = replace(size, functions=options.functions)
    if options.patience:
        size = replace(size, recovery_seconds=options.patience)
    return Options(
        contenders=options.peers or (QUICK_PEERS if options.quick else header.names()),
        workloads=[names[name] for name in options.workloads] if options.workloads else list(WORKLOADS),
        databases=options.databases or list(databases.NAMES),
        size=size,
        rounds=options.rounds or (1 if options.quick else ROUNDS),
        minutes=options.minutes,
        resume=options.resume,
        write=options.write,
    )


def _some_of(known: Sequence[str] | dict[str, Workload]) -> Callable[[str], list[str]]:
    def parse_names(text: str) -> list[str]:
        asked = list(known) if text == ALL else text.split(",")
        if unknown := [name for name in asked if name not in known]:
            raise ArgumentTypeError(f"unknown: {', '.join(unknown)}; there are {', '.join(known)}")
        return [name for name in known if name in asked]

    return parse_names
