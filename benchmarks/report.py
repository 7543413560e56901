"""The report: a Markdown table for each workload, and what it was measured with."""

import os
import platform
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.header import Header
from benchmarks.results import Result
from benchmarks.run import Run
from benchmarks.targets import verdicts
from benchmarks.workloads import Column, Workload

DOCUMENT = Path(__file__).parent.parent / "docs" / "benchmarks.md"
NUMBER = re.compile(r"[-\d.,]*")

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
    yield (
        f"Measured on {when} with Python {platform.python_version()} on {platform.system()}, {os.cpu_count()} CPUs:"
        f" drains of {size.functions:,} functions, at most {size.seconds:g} s each."
    )


def _table(run: Run, database: str, workload: Workload) -> list[str]:
    results = {
        header.name: result
        for header in run.headers
        if (result := run.results.get((database, workload.name, header.name)))
    }
    floors = {header.name for header in run.headers if header.is_floor}
    first = workload.columns[0]
    measured = {name: result.figures[first.title] for name, result in results.items() if first.title in result.figures}
    peers = [figure for name, figure in measured.items() if name != "ours" and name not in floors]
    best = (max if first.more_is_better else min)(peers, default=None)
    titles = ["", *(column.title for column in workload.columns), "times the best peer", "remark"]
    rows = [
        [
            _shown(name, floors),
            *(_figure(result, column) for column in workload.columns),
            _ratio(measured.get(name), best, first),
            result.problem or result.remark,
        ]
        for name, result in sorted(results.items(), key=lambda item: _rank(measured.get(item[0]), first))
    ]
    return markdown([titles, *rows])


def _shown(name: str, floors: set[str]) -> str:
    if name == "ours":
        return "**django_scheduler**"
    return f"*{name}*" if name in floors else name


def _rank(figure: float | None, column: Column) -> float:
    if figure is None:
        return float("inf")
    return -figure if column.more_is_better else figure


def _figure(result: Result, column: Column) -> str:
    figure = result.figures.get(column.title)
    return "" if figure is None else f"{figure:,.{column.decimals}f}"


def _ratio(figure: float | None, best: float | None, column: Column) -> str:
    if column.more_is_better is None or figure is None or best is None:
        return ""
    over, under = (figure, best) if column.more_is_better else (best, figure)
    return f"{over / under:.2f}" if under > 0 and over > 0 else ""


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
