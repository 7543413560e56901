"""The report: a Markdown table for each workload, and what it was measured with."""

import os
import platform
import re
from collections.abc import Collection, Iterable, Iterator
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from benchmarks.header import Header
from benchmarks.rounds import Figure, Rounds
from benchmarks.run import Run
from benchmarks.targets import ORM_FLOOR, verdicts
from benchmarks.workloads import Column, Workload
from benchmarks.workloads.drain import NOOP_FACTOR

DOCUMENT = Path(__file__).parent.parent / "docs" / "benchmarks.md"
NUMBER = re.compile(r"[-\d.,]*( \([-\d.,]+-[-\d.,]+\))?")

PEERS, OWN = "make bench", "make bench-own"


def report(run: Run) -> str:
    """The whole report."""
    lines = [*_setting(run)]
    for database, description in run.descriptions.items():
        lines += ["", f"### On {description}"]
        for workload in run.options.workloads:
            if database in workload.databases:
                lines += ["", f"#### {workload.title}", "", workload.explanation, "", *_table(run, database, workload)]
        lines += ["", *_absent(run, database)]
    if judged := list(verdicts(run)):
        lines += ["", "### Our targets", "", *markdown([["what", "target", "measured", "met"], *judged])]
    lines += ["", "### Versions and settings", "", *_contenders(run)]
    return "\n".join(lines) + "\n"


def write(text: str, command: str = PEERS) -> None:
    """Put what a command has measured into the document, in place of the last time's."""
    begin, end = f"<!-- `{command}` writes what follows. -->", f"<!-- Here ends what `{command}` writes. -->"
    document = DOCUMENT.read_text()
    before, _, rest = document.partition(begin)
    _, _, after = rest.partition(end)
    DOCUMENT.write_text(f"{before}{begin}\n\n{text}\n{end}{after}")


def _setting(run: Run) -> Iterator[str]:
    when = datetime.now(UTC).strftime("%Y-%m-%d")
    size = run.options.size
    software = f"Python {platform.python_version()} and Django {metadata.version('Django')} on {platform.system()}"
    yield (
        f"Measured on {when} with {software}, {os.cpu_count()} CPUs: {run.options.rounds} rounds in {run.minutes:.0f}"
        f" minutes. Drains are of {size.functions:,} functions ({size.functions * NOOP_FACTOR:,} that do nothing), and"
        f" of {size.seconds:g} s at most."
    )


def _table(run: Run, database: str, workload: Workload) -> list[str]:
    rounds = run.results.get((database, workload.name), Rounds())
    floors = {header.name for header in run.headers if header.is_floor}
    peers = rounds.results.keys() - floors - {"ours"}
    first = workload.columns[0]
    ratios = {"times the best peer": peers} if peers else {}
    if workload.with_floors and ORM_FLOOR in rounds.results:
        ratios[f"times {ORM_FLOOR}"] = {ORM_FLOOR}
    rows = [
        [
            _shown(name, floors),
            *(_figure(rounds, name, column) for column in workload.columns),
            *(_ratio(rounds, name, others, first) for others in ratios.values()),
            rounds.remark(name),
        ]
        for name in sorted(rounds.results, key=lambda name: _rank(rounds.figure(name, first.title), first))
    ]
    return markdown([["", *(column.title for column in workload.columns), *ratios, "remark"], *rows])


def _shown(name: str, floors: Collection[str]) -> str:
    if name == "ours":
        return "**django_scheduler**"
    return f"*{name}*" if name in floors else name


def _rank(figure: Figure | None, column: Column) -> float:
    if figure is None:
        return float("inf")
    return -figure.median if column.more_is_better else figure.median


def _figure(rounds: Rounds, name: str, column: Column) -> str:
    figure = rounds.figure(name, column.title)
    if figure is None:
        return ""
    median, least, most = (f"{each:,.{column.decimals}f}" for each in (figure.median, figure.least, figure.most))
    return median if least == most else f"{median} ({least}-{most})"


def _ratio(rounds: Rounds, name: str, others: Collection[str], column: Column) -> str:
    ratio = None if column.more_is_better is None else rounds.times(name, others, column)
    return "" if ratio is None else f"{ratio:.2f}"


def markdown(rows: list[list[str]]) -> list[str]:
    """The lines of a table, the first of which are its titles. Numbers stand on the right."""
    columns = list(zip(*rows, strict=True))
    widths = [max(map(len, column)) for column in columns]
    numeric = [all(map(NUMBER.fullmatch, column[1:])) and any(column[1:]) for column in columns]

    def line(cells: Iterable[str]) -> str:
        aligned = zip(cells, widths, numeric, strict=True)
        return f"| {' | '.join(cell.rjust(width) if right else cell.ljust(width) for cell, width, right in aligned)} |"

    rule = ["-" * (width - 1) + (":" if right else "-") for width, right in zip(widths, numeric, strict=True)]
    return [line(rows[0]), line(rule), *map(line, rows[1:])]


def _absent(run: Run, database: str) -> list[str]:
    absent = {name: reason for (where, name), reason in run.absent.items() if where == database}
    if not absent:
        return []
    return ["Not measured:", "", *(f"* {name}: {reason}." for name, reason in absent.items())]


def _contenders(run: Run) -> list[str]:
    rows = [["", "version", "worker", "remark"]]
    rows += [
        [
            _shown(header.name, set()),
            _version(run, header),
            f"`{header.worker}`" if not header.is_floor else "",
            header.remark,
        ]
        for header in run.headers
    ]
    return markdown(rows)


def _version(run: Run, header: Header) -> str:
    versions = run.versions.get(header.name)
    if not versions:
        return ""
    known = {name.lower().replace("_", "-"): version for name, version in versions.items()}
    return known.get(header.dependencies[0].split("[")[0].lower().replace("_", "-"), "")
