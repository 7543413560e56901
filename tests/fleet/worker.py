"""A worker of the fleet whose queue is a directory: ``python -m tests.fleet.worker DIRECTORY``."""

import json
import sys
import time
from pathlib import Path
from typing import Any

import django
from django.utils.module_loading import import_string


def take(directory: Path) -> Any:
    """The next message, which nobody else gets."""
    for message in sorted(directory.glob("*.message")):
        taken = message.with_suffix(".taken")
        try:
            message.rename(taken)
        except FileNotFoundError:  # another worker was quicker
            continue
        return json.loads(taken.read_text())
    return None


def work(directory: Path) -> None:
    while True:
        if message := take(directory):
            import_string(message["task"]).call(*message["args"], **message["kwargs"])
        else:
            time.sleep(0.01)


if __name__ == "__main__":
    django.setup()
    work(Path(sys.argv[1]))
