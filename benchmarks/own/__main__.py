"""``python -m benchmarks.own [--write]``."""

import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks import databases
from benchmarks.arena import arena, prepare, prepared_name, variables_for
from benchmarks.databases.postgresql import PostgreSQL
from benchmarks.environments import CHECKOUT, Environment, environment_for
from benchmarks.header import Header, read_header
from benchmarks.own import claim, starts
from benchmarks.report import OWN, markdown, write
from benchmarks.workloads import DEFAULT
from benchmarks.workloads.costs import Idle

#: What the project sets itself: see ``benchmarks/targets.py`` for what is measured against others.
BESIDE_A_ROW, RUN_DUE, IDLE = 1.45, 5.0, 0.5


def main(arguments: list[str]) -> None:
    header = read_header("ours")
    environment = environment_for(header)
    with databases.start("postgresql") as server:
        assert isinstance(server, PostgreSQL)
        with TemporaryDirectory() as directory:
            prepare(header, environment, server, Path(directory))
        sections = [
            claim.measure(header, environment, server).rstrip(),
            "#### Scheduling beside a business row",
            beside(header, environment, server),
            "#### Scheduling, and a test",
            scheduling(header, environment, server),
            "#### A rate limit",
            starts.measure(header, environment, server),
        ]
        text = "\n\n".join([f"### Our own, on {server.description}", *sections]) + "\n"
    print(f"\n{text}")
    if "--write" in arguments:
        write(text, OWN)


def beside(header: Header, environment: Environment, server: PostgreSQL) -> str:
    """The table of ``beside.py``."""
    times: dict[str, float] = _output("benchmarks.own.beside", header, environment, server)
    rows = [["a transaction that inserts a business row", "median ms", "times alone"]]
    rows += [[title, f"{time:.3f}", f"{time / times['alone']:.2f}"] for title, time in times.items()]
    return "\n".join([*markdown(rows), "", f"The target is {BESIDE_A_ROW} times for the function."])


def scheduling(header: Header, environment: Environment, server: PostgreSQL) -> str:
    """The table of ``scheduling.py``, and the statements of an idle executor."""
    measured = _output("benchmarks.own.scheduling", header, environment, server)
    rows = [["", "µs of CPU", "µs"]]
    rows += [[title, f"{cpu:.1f}", f"{clock:.1f}"] for title, (cpu, clock) in measured["microseconds"].items()]
    with TemporaryDirectory() as directory, arena(header, environment, server, Path(directory)) as place:
        idle = Idle().measure(place, DEFAULT).figures["statements/s"]
    return "\n".join(
        [
            *markdown(rows),
            "",
            f"`run_due()` of 5,000 functions in a test takes {measured['run_due']:.1f} s (target: {RUN_DUE:g}), and an"
            f" idle executor sends {idle:.2f} statements a second (target: {IDLE:g}).",
        ]
    )


def _output(module: str, header: Header, environment: Environment, server: PostgreSQL) -> Any:
    """What a module prints that runs in our environment, with a database of its own."""
    with TemporaryDirectory() as directory, server.copy(prepared_name(header), "arena") as copy:
        variables = {**os.environ, **variables_for(header, copy, Path(directory)), "BENCH_PROCESSES": "1"}
        command = environment.command(["python", "-m", module])
        output = subprocess.check_output(command, cwd=CHECKOUT, env=variables, text=True)
    return json.loads(output.splitlines()[-1])


if __name__ == "__main__":
    main(sys.argv[1:])
