"""Colors, where there is a terminal to show them and nobody has asked for none (https://no-color.org)."""

import os
import sys
from enum import Enum

colorful = sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


class Color(Enum):
    BOLD = 1
    FAINT = 2
    RED = 31
    GREEN = 32
    YELLOW = 33
    BLUE = 34
    CYAN = 36


def paint(text: str, color: Color) -> str:
    return f"\033[{color.value}m{text}\033[0m" if colorful else text
