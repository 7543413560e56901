"""What has been measured so far, in files, so that a run that was cut short can be resumed."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

DIRECTORY = Path(__file__).parent / ".results"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Of one contender in one round of a workload: its figures, or why there are none."""

    figures: Mapping[str, float] = field(default_factory=dict)
    remark: str = ""
    problem: str = ""
    #: Whether the problem is that it cannot do such a thing, so that it need not be tried again.
    not_supported: bool = False


class Results:
    """Of a run, by database, workload, contender and round."""

    def __init__(self, *, resume: bool) -> None:
        if not resume:
            shutil.rmtree(DIRECTORY, ignore_errors=True)

    def get(self, database: str, workload: str, contender: str, number: int) -> Result | None:
        path = _path(database, workload, contender, number)
        return Result(**json.loads(path.read_text())) if path.exists() else None

    def put(self, database: str, workload: str, contender: str, number: int, result: Result) -> None:
        path = _path(database, workload, contender, number)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(result)))


def _path(database: str, workload: str, contender: str, number: int) -> Path:
    return DIRECTORY / database / workload / f"{contender}.{number}.json"
