"""What the rounds of a workload say together.

A machine is not equally fast from minute to minute, but all contenders of one round have met the same minutes. So a
figure is the median of its rounds, and a ratio of two contenders is taken round by round: the median of these ratios is
steadier than the ratio of the medians.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from statistics import median

from benchmarks.results import Result
from benchmarks.workloads import Column

#: A contender whose first figure is so many times worse than ours is measured once.
FAR = 3


@dataclass(frozen=True, slots=True)
class Figure:
    """The median of the rounds, and the least and the most of them."""

    median: float
    least: float
    most: float


@dataclass(frozen=True, slots=True)
class Rounds:
    """Of one workload on one database: the result of each contender in each round, by its number."""

    results: dict[str, dict[int, Result]] = field(default_factory=dict)

    def add(self, contender: str, number: int, result: Result) -> None:
        self.results.setdefault(contender, {})[number] = result

    def cannot(self, contender: str) -> bool:
        """Return whether a round has shown that it cannot do such a thing."""
        return any(result.not_supported for result in self.results.get(contender, {}).values())

    def is_far_behind(self, contender: str, column: Column) -> bool:
        """Return whether the first round leaves no doubt that it is worse than ours."""
        ours, theirs = (self._figures(each, column.title).get(0) for each in ("ours", contender))
        if ours is None or theirs is None or column.more_is_better is None:
            return False
        return theirs * FAR < ours if column.more_is_better else theirs > ours * FAR

    def figure(self, contender: str, title: str) -> Figure | None:
        figures = list(self._figures(contender, title).values())
        return Figure(median(figures), min(figures), max(figures)) if figures else None

    def times(self, contender: str, others: Collection[str], column: Column) -> float | None:
        """How many times better than the best of the others: the median over the rounds that measured both."""
        best = max if column.more_is_better else min
        theirs = [self._figures(other, column.title) for other in others]
        ratios: list[float] = []
        for number, figure in self._figures(contender, column.title).items():
            known = [figures[number] for figures in theirs if number in figures]
            if figure > 0 and known and (other := best(known)) > 0:
                ratios.append(figure / other if column.more_is_better else other / figure)
        return median(ratios) if ratios else None

    def remark(self, contender: str) -> str:
        """What the last round that was measured says, and how many were not."""
        results = list(self.results[contender].values())
        remarks = [result.remark for result in results if not result.problem]
        problems = [result.problem for result in results if result.problem]
        if not remarks:
            return problems[-1]
        failed = f"{len(problems)} of {len(results)} rounds failed: {problems[-1]}" if problems else ""
        return "; ".join(filter(None, [remarks[-1], failed]))

    def _figures(self, contender: str, title: str) -> dict[int, float]:
        """Of the rounds that have one."""
        results = self.results.get(contender, {})
        return {number: result.figures[title] for number, result in results.items() if title in result.figures}
