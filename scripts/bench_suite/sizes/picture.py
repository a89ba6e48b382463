"""The series as a picture: SVG, a panel for each series, both axes logarithmic. Pure."""

from collections.abc import Iterator, Sequence
from html import escape
from math import ceil, floor, log10
from typing import Final

from bench_suite.sizes.series import Growth, Series

_WIDTH: Final = 880
_PANEL: Final = 250
#: Space around a panel's lines: for numbers, names and the title.
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 410, 34, 30
_COLOURS: Final = ("#1f6feb", "#d1622b", "#2a8f4f", "#8250df", "#b08800", "#57606a")


def draw(all_of_them: Sequence[Series]) -> str:
    """The document; series without two sizes are left out."""
    shown = [series for series in all_of_them if len(series.points) > 1]
    height = _PANEL * max(1, len(shown))
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}"'
        ' font-family="sans-serif" font-size="12" fill="#24292f">',
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
    ]
    for number, series in enumerate(shown):
        lines += [f'<g transform="translate(0 {number * _PANEL})">', *_panel(series), "</g>"]
    return "\n".join([*lines, "</svg>", ""])


def _panel(series: Series) -> Iterator[str]:
    sizes = sorted(series.points)
    drawn = [
        (growth, [(size, value) for size in sizes if (value := _value(series, size, growth)) > 0])
        for growth in series.growths
    ]
    values = [value for _, points in drawn for _, value in points]
    if not values:
        return
    low, high = floor(log10(min(values))), max(ceil(log10(max(values))), 1)
    left, right = log10(sizes[0]), log10(sizes[-1])

    def x(size: float) -> float:
        return _LEFT + (log10(size) - left) / (right - left) * (_WIDTH - _LEFT - _RIGHT)

    def y(value: float) -> float:
        rest = _PANEL - _TOP - _BOTTOM
        return _TOP + rest * (1 - (log10(value) - low) / (high - low))

    title = escape(f"{series.name}: {series.of}")
    yield f'<text x="{_LEFT}" y="20" font-weight="bold">{title}</text>'
    for power in range(low, high + 1):
        at = y(10.0**power)
        yield f'<path d="M{_LEFT} {at:.1f}H{_WIDTH - _RIGHT}" stroke="#d0d7de"/>'
        yield f'<text x="{_LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{10.0**power:,g}</text>'
    for size in sizes:
        yield (f'<text x="{x(size):.1f}" y="{_PANEL - 10}" text-anchor="middle">{size:,}</text>')
    for (growth, points), colour, number in zip(drawn, _COLOURS, range(len(drawn)), strict=False):
        if not points:
            continue
        path = "L".join(f"{x(size):.1f} {y(value):.1f}" for size, value in points)
        slope = series.slope(growth)
        said = growth.title if slope is None else f"{growth.title}: slope {slope:.2f}"
        at = _TOP + 14 + 18 * number
        yield f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>'
        yield f'<text x="{_WIDTH - _RIGHT + 12}" y="{at}" fill="{colour}">{escape(said)}</text>'


def _value(series: Series, size: int, growth: Growth) -> float:
    return series.points[size].get(growth.key, 0.0)
