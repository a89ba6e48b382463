"""The figures as a picture: the first comparable figure of each scenario, with a bar per system."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure as Canvas

from bench_suite.names import PEERS
from bench_suite.result import Row
from bench_suite.suite import SCENARIOS

_PEER, _OURS = "#9aa5b1", "#1f6feb"
#: Systems that are so many times apart need a logarithmic scale.
_APART = 20.0
_WIDTH, _HEIGHT = 8.0, 2.4


def draw(rows: Sequence[Row], file: Path) -> None:
    """Draw a PNG (or another format, by the name's ending)."""
    measured = {row.scenario for row in rows if row.values}
    names = [name for name in SCENARIOS if name in measured]
    canvas = Canvas(figsize=(_WIDTH, _HEIGHT * len(names)), layout="constrained")
    for index, name in enumerate(names):
        figure = next(figure for figure in SCENARIOS[name].figures if figure.better)
        shown = [row for row in rows if row.scenario == name and row.values.get(figure.key)]
        values = [row.values[figure.key] for row in shown]
        axes = canvas.add_subplot(len(names), 1, index + 1)
        bars = axes.barh(
            [row.name for row in shown],
            values,
            color=[_PEER if row.system in PEERS else _OURS for row in shown],
        )
        axes.bar_label(bars, fmt=f"{{:,.{figure.digits}f}}", padding=3)
        if max(values, default=0.0) > _APART * min(values, default=1.0):
            axes.set_xscale("log")
        axes.margins(x=0.15)
        axes.invert_yaxis()
        axes.set_title(f"{name}: {figure.title} ({figure.better} is better)", loc="left")
    canvas.savefig(file, dpi=150)
