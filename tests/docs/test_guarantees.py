"""The tests that prove the guarantees are there."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_tests_that_prove_what_is_guaranteed_are_there():
    named = re.findall(r"`(tests/[\w/.]+)`", (ROOT / "docs" / "proofs.md").read_text())

    assert len(named) > 15
    assert [path for path in named if not (ROOT / path).exists()] == []
