"""The header of a contender's file: inline script metadata, as PEP 723 defines it.

It says what to install and how the worker is started, and the harness reads it without importing the file. Its
``settings`` are Django's, and its ``apps`` are added to INSTALLED_APPS. In a setting and in the worker command,
``$PROCESSES`` stands for the number of processes that a workload asks for; a worker command without it is started
so many times.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CONTENDERS = Path(__file__).parent / "contenders"

BLOCK = re.compile(r"^# /// script$\n(?P<content>(^#(| .*)$\n)+)^# ///$", re.MULTILINE)

PROCESSES = "$PROCESSES"


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What is known of a contender without running it."""

    name: str
    #: The first one is the contender itself.
    dependencies: tuple[str, ...]
    requires_python: str
    databases: tuple[str, ...]
    #: The command of a worker, as it is typed in the contender's environment; empty: it has none.
    worker: str
    #: In a sentence: what was set, and why.
    remark: str
    #: Whether it competes, or shows what is possible.
    is_floor: bool = False
    needs_redis: bool = False
    #: Whether it has actions: bodies whose names end in ``_action``.
    has_actions: bool = False
    #: How many jobs at most a commit of its claims takes, where it commits what it has claimed before it executes it;
    #: 0: many, or there is no such commit.
    claim: int = 0
    #: The table in which functions wait that are due later, and its column that says when; empty: none.
    future_table: str = ""
    due_column: str = ""
    apps: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def module(self) -> str:
        return f"benchmarks.contenders.{module_name(self.name)}"

    @property
    def uses_django(self) -> bool:
        return "Django" in self.dependencies


def module_name(name: str) -> str:
    return name.replace("-", "_")


def names() -> list[str]:
    """Every contender: this project first."""
    files = (path.stem for path in CONTENDERS.glob("*.py") if path.stem != "__init__")
    return sorted((stem.replace("_", "-") for stem in files), key=lambda name: (name != "ours", name))


def read_header(name: str) -> Header:
    path = CONTENDERS / f"{module_name(name)}.py"
    block = BLOCK.search(path.read_text())
    if block is None:
        raise ValueError(f"{path} has no header: a block of comments from `# /// script` to `# ///`.")
    lines = block["content"].splitlines()
    content = tomllib.loads("\n".join(line.removeprefix("#").removeprefix(" ") for line in lines))
    benchmark = content["tool"]["benchmark"]
    return Header(
        name=name,
        dependencies=tuple(content["dependencies"]),
        requires_python=content.get("requires-python", ""),
        databases=tuple(benchmark["databases"]),
        worker=benchmark.get("worker", ""),
        remark=benchmark.get("remark", ""),
        is_floor=benchmark.get("floor", False),
        needs_redis=benchmark.get("redis", False),
        has_actions=benchmark.get("actions", False),
        claim=benchmark.get("claim", 0),
        future_table=benchmark.get("future", {}).get("table", ""),
        due_column=benchmark.get("future", {}).get("due", ""),
        apps=tuple(benchmark.get("apps", ())),
        settings=benchmark.get("settings", {}),
    )


def fill_in(value: Any, processes: int) -> Any:
    """A setting, with the number of processes where it is asked for."""
    if isinstance(value, dict):
        return {key: fill_in(item, processes) for key, item in value.items()}
    if isinstance(value, list):
        return [fill_in(item, processes) for item in value]
    return processes if value == PROCESSES else value
