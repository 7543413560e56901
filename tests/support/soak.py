"""How much of what looks for rare things is done: little in the suite, and much with ``make soak``."""

import os

#: How many times as much as is usual.
SOAK = int(os.environ.get("SOAK", "1"))

IS_SOAK = "SOAK" in os.environ


def examples(few: int, full: int) -> int:
    """Return how many examples to try: few of them in the suite."""
    return full * SOAK if IS_SOAK else few
