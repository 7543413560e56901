"""What ``importcrons`` has said and done, by the names of entries."""

import re
from typing import Any


def crons(run: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {cron["name"]: cron for cron in run["crons"]}


def refused(run: dict[str, Any]) -> dict[str, str]:
    """Why entries cannot be imported."""
    return dict(re.findall(r"^'(.+?)' cannot be imported\. (.+)$", run["errors"], re.MULTILINE))


def left_out(run: dict[str, Any]) -> dict[str, str]:
    return dict(re.findall(r"^'(.+?)' is left out\. (.+)$", run["output"], re.MULTILINE))


def said_of(run: dict[str, Any], name: str) -> str:
    """What is said of an entry that has been registered."""
    match = re.search(rf"^(?:Registered|Scheduled) '{name}'.*\n(?:  .*\n)*", run["output"], re.MULTILINE)
    return match[0] if match else ""
