"""Charts as SVG that the server renders: geometry only, in units of the view box; colors are the style sheet's."""

from collections.abc import Sequence
from dataclasses import dataclass

#: The height of the part above the base line, and of the whole.
WIDTH, HEIGHT = 600.0, 120.0

#: How much of its column a bar fills.
FILLED = 0.72


@dataclass(frozen=True, slots=True)
class Bar:
    x: str
    width: str
    up_y: str
    up_height: str
    down_y: str
    down_height: str
    title: str


@dataclass(frozen=True, slots=True)
class Chart:
    """Bars that go up from a base line, and others of the same columns that go down from it."""

    bars: tuple[Bar, ...]
    width: str
    height: str
    base: str
    highest: int
    lowest: int
    up_total: int
    down_total: int

    @property
    def is_empty(self) -> bool:
        return not self.up_total and not self.down_total


def chart(up: Sequence[int], down: Sequence[int], titles: Sequence[str]) -> Chart:
    """A chart of numbers, with what each column says when one points at it."""
    highest, lowest = max(up, default=0), max(down, default=0)
    unit = HEIGHT / max(1, _round_number(highest) + _round_number(lowest))
    base = unit * _round_number(highest) if highest or lowest else HEIGHT
    column = WIDTH / max(1, len(up))
    bars = tuple(
        Bar(
            x=_units(column * number + column * (1 - FILLED) / 2),
            width=_units(column * FILLED),
            up_y=_units(base - _visible(unit * above)),
            up_height=_units(_visible(unit * above)),
            down_y=_units(base),
            down_height=_units(_visible(unit * below)),
            title=title,
        )
        for number, (above, below, title) in enumerate(zip(up, down, titles, strict=True))
    )
    return Chart(bars, _units(WIDTH), _units(HEIGHT), _units(base), highest, lowest, sum(up), sum(down))


def _visible(height: float) -> float:
    """One function among thousands is to be seen too."""
    return max(height, 1.5) if height else 0.0


def _round_number(number: int) -> int:
    """The next number of the form 1, 2, 5, 10, 20, 50, ... up to which an axis goes."""
    step = 1
    while True:
        for factor in (1, 2, 5):
            if number <= factor * step:
                return factor * step if number else 0
        step *= 10


def _units(number: float) -> str:
    # Not as a number: a template would write it with the comma of the language.
    return f"{number:.2f}"
