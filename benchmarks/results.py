"""What has been measured so far, in files, so that a run that was cut short can be resumed."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.workloads import Measurement

DIRECTORY = Path(__file__).parent / ".results"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Of one contender and one workload: its figures, or why there are none."""

    figures: Mapping[str, float] = field(default_factory=dict)
    remark: str = ""
    problem: str = ""


class Results:
    """Of a run, by database, workload and contender."""

    def __init__(self, *, resume: bool) -> None:
        if not resume:
            shutil.rmtree(DIRECTORY, ignore_errors=True)

    def get(self, database: str, workload: str, contender: str) -> Result | None:
        path = _path(database, workload, contender)
        return Result(**json.loads(path.read_text())) if path.exists() else None

    def put(self, database: str, workload: str, contender: str, outcome: Measurement | str) -> Result:
        """Keep a measurement, or what went wrong."""
        if isinstance(outcome, str):
            result = Result(problem=outcome)
        else:
            result = Result(figures=outcome.figures, remark=outcome.remark)
        path = _path(database, workload, contender)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(result)))
        return result


def _path(database: str, workload: str, contender: str) -> Path:
    return DIRECTORY / database / workload / f"{contender}.json"
