"""Where an executor spends its time: a drain of one ORM insert each under py-spy. ``python -m benchmarks.own.profile``.

Prints the functions within which most samples were taken, and writes the stacks for a flame graph (``profile.txt``,
which speedscope and others read).
"""

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import databases
from benchmarks.arena import arena, prepare, variables_for
from benchmarks.environments import CHECKOUT, environment_for
from benchmarks.header import read_header
from benchmarks.processes import Process
from benchmarks.report import markdown

FUNCTIONS = 10_000
STACKS = Path("profile.txt")
SHOWN = 60

#: The threads that execute, and where they wait for the server.
WORKER, WAITING = "Worker.run", "Connection.wait"


def main(database: str = "postgresql") -> None:
    header = read_header("ours")
    environment = environment_for(header)
    with databases.start(database) as server, TemporaryDirectory() as name:
        directory = Path(name)
        prepare(header, environment, server, directory)
        with arena(header, environment, server, directory) as place:
            place.agent.ask("schedule_many", body="insert", first=0, count=FUNCTIONS)
            worker = environment.command(["python", "-m", "django", "runscheduler", "--once", "--concurrency", "1"])
            spy = [
                str(Path(sys.executable).with_name("py-spy")),
                "record",
                "--format",
                "raw",
                "--rate",
                "400",
                "--idle",
            ]
            variables = {**variables_for(header, place.database, directory), "BENCH_PROCESSES": "1"}
            process = Process([*spy, "--output", str(STACKS.absolute()), "--", *worker], variables, directory / "log")
            try:
                process.process.wait(120)
            except subprocess.TimeoutExpired:
                sys.exit(f"The executor has not ended. {process.last_words()}")
            finally:
                process.kill()
    print("\n".join(markdown(list(_table(STACKS.read_text())))))


def _table(stacks: str) -> Iterator[list[str]]:
    everything: Counter[str] = Counter()
    computing: Counter[str] = Counter()
    for line in stacks.splitlines():
        stack, _, count = line.rpartition(" ")
        frames = [_shortened(frame) for frame in stack.split(";")]
        if any(WORKER in frame for frame in frames):
            samples = dict.fromkeys(frames, int(count))
            everything.update(samples)
            if not frames[-1].startswith(WAITING):
                computing.update(samples)
    yield ["function", "% of the time", "% of the time without waiting for the server"]
    for frame, _ in computing.most_common(SHOWN):
        yield [f"`{frame}`", _share(frame, everything), _share(frame, computing)]


def _share(frame: str, counts: Counter[str]) -> str:
    return f"{100 * counts[frame] / max(counts.values()):.1f}"


def _shortened(frame: str) -> str:
    """Without the line, and the path above the package."""
    frame = frame.rsplit(":", 1)[0].rstrip(")")
    for above in (f"{CHECKOUT}/", "site-packages/"):
        frame = frame.replace(above, "")
    return frame


if __name__ == "__main__":
    main(*sys.argv[1:])
