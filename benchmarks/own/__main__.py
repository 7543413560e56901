"""``python -m benchmarks.own [--write]``."""

import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import databases
from benchmarks.arena import prepared_name, variables_for
from benchmarks.databases.postgresql import PostgreSQL
from benchmarks.environments import CHECKOUT, Environment, environment_for
from benchmarks.header import Header, read_header
from benchmarks.own import claim
from benchmarks.report import OWN, markdown, write


def beside(header: Header, environment: Environment, server: PostgreSQL) -> str:
    """The table of ``beside.py``."""
    with TemporaryDirectory() as directory, server.copy(prepared_name(header), "arena") as copy:
        variables = {**os.environ, **variables_for(header, copy, Path(directory)), "BENCH_PROCESSES": "1"}
        command = environment.command(["python", "-m", "benchmarks.own.beside"])
        output = subprocess.check_output(command, cwd=CHECKOUT, env=variables, text=True)
    times: dict[str, float] = json.loads(output.splitlines()[-1])
    rows = [["a transaction that inserts a business row", "median ms", "times alone"]]
    rows += [[title, f"{time:.3f}", f"{time / times['alone']:.2f}"] for title, time in times.items()]
    return "\n".join(markdown(rows))


def main(arguments: list[str]) -> None:
    header = read_header("ours")
    environment = environment_for(header)
    with databases.start("postgresql") as server:
        assert isinstance(server, PostgreSQL)
        text = f"### Our own, on {server.description}\n\n{claim.measure(header, environment, server)}\n"
        text += f"#### Scheduling beside a business row\n\n{beside(header, environment, server)}\n"
    print(f"\n{text}")
    if "--write" in arguments:
        write(text, OWN)


if __name__ == "__main__":
    main(sys.argv[1:])
