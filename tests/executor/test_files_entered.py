"""Who follows a function from its call to its commit has few files to read: ``files_entered.py``, in a new process.

Within the suite a profile function kept Python 3.11 for ever at the beginning of a call, several times, and never in a
process that had just begun. Why is not known.
"""

import os
import subprocess
import sys
from pathlib import Path


def test_few_files_are_entered_from_the_call_to_the_commit():
    process = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", "tests/executor/files_entered.py"],
        env={**os.environ, "DATABASE_URL": "sqlite://:memory:"},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert process.returncode == 0, process.stdout
