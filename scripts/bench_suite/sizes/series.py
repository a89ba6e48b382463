"""A series: the same thing measured at growing sizes, and the power of the size by which it grows.
Pure.

A slope is the exponent: with 0 each one costs the same however many there are, with 1 twice as many
cost twice as much, with 2 four times as much.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import log
from typing import Any, Final

#: What a slope may be above the one that is meant, until it is called an exception: sizes are
#: powers of ten, and machines are noisy.
TOLERANCE: Final = 0.2


@dataclass(frozen=True)
class Growth:
    """One figure of a series. ``most``: the slope that is meant: 0 for what one of many costs, 1
    for what all of them cost together."""

    key: str
    title: str
    most: float = 0.0
    digits: int = 1


@dataclass
class Series:
    """``points``: by size, the figures' values by their keys. ``failures``: by size, why there are
    none."""

    name: str
    of: str
    growths: Sequence[Growth]
    points: dict[int, Mapping[str, float]] = field(default_factory=dict)
    failures: dict[int, str] = field(default_factory=dict)

    def slope(self, growth: Growth) -> float | None:
        """The exponent, by least squares of the logarithms; None with fewer than two sizes."""
        found = [
            (log(size), log(values[growth.key]))
            for size, values in self.points.items()
            if values.get(growth.key, 0.0) > 0
        ]
        if len(found) < 2:
            return None
        x = sum(each for each, _ in found) / len(found)
        y = sum(each for _, each in found) / len(found)
        spread = sum((each - x) ** 2 for each, _ in found)
        return sum((a - x) * (b - y) for a, b in found) / spread

    def is_exception(self, growth: Growth) -> bool:
        """Whether the figure grows faster than is meant."""
        slope = self.slope(growth)
        return slope is not None and slope > growth.most + TOLERANCE

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "of": self.of,
            "points": {str(size): dict(values) for size, values in self.points.items()},
            "slopes": {growth.key: self.slope(growth) for growth in self.growths},
            "failures": {str(size): why for size, why in self.failures.items()},
        }


def table(series: Series) -> str:
    """The series as a table of Markdown: a line for each figure."""
    sizes = sorted(series.points)
    lines = [
        f"| {series.name}: {series.of} | {' | '.join(f'{size:,}' for size in sizes)} | slope |",
        f"|---|{'---:|' * (len(sizes) + 1)}",
    ]
    for growth in series.growths:
        cells = [_cell(series.points[size].get(growth.key), growth.digits) for size in sizes]
        slope = series.slope(growth)
        said = "" if slope is None else f"{slope:.2f}"
        if series.is_exception(growth):
            said = f"**{said}** (meant: {growth.most:g})"
        lines.append(f"| {growth.title} | {' | '.join(cells)} | {said} |")
    lines += [f"\n{size:,}: {why}" for size, why in sorted(series.failures.items())]
    return "\n".join(lines)


def _cell(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:,.{digits}f}"
