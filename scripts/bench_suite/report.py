"""The results, for people (a table with ratios to the best peer) and for programs (JSON)."""

import os
import platform
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from bench_suite.names import PEERS
from bench_suite.result import Figure, Row
from bench_suite.suite import SCENARIOS, Plan

NOTES = (
    "CPU: user and system time of the processes, from /proc; RabbitMQ: all nodes together, less "
    "what they take at rest.",
    "×: against the best of the peers (RabbitMQ itself and the proxies) of this run, plain and "
    "TLS apart.",
    "load: of one core, what the load generator takes.",
    "noise: by how much pieces of work took longer than the quickest, before the measurement; "
    "above 10 % somebody else used the machine.",
    "±: half of what a figure varied by over the rounds, of its median.",
)
_NOISE = Figure("noise", "noise %")


def tables(rows: Sequence[Row]) -> str:
    """A table for each scenario, then the failures."""
    parts = [table(name, [row for row in rows if row.scenario == name]) for name in SCENARIOS]
    wrong = [
        f"{row.scenario}: {row.name}: {row.failure or '; '.join(row.told)}"
        for row in rows
        if row.failed
    ]
    if wrong:
        parts.append("WRONG:\n" + "\n".join(wrong))
    return "\n".join(part for part in (*parts, *NOTES) if part)


def table(name: str, rows: Sequence[Row]) -> str:
    """The rows of one scenario with ratios; empty if there are none."""
    if not rows:
        return ""
    scenario = SCENARIOS[name]
    figures = [*scenario.figures, _NOISE]
    cells = [["", *(figure.title for figure in figures), ""]]
    for row in rows:
        verdict = "failed" if row.failure else f"{row.faults} faults" if row.faults else "ok"
        cells.append([row.name, *(_cell(figure, row, rows) for figure in figures), verdict])
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [f"\n{name}: {scenario.title}"]
    for line in cells:
        first, *others = (
            cell.ljust(width) if index == 0 else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        lines.append("  ".join([first, *others]).rstrip())
    return "\n".join(lines)


def best_peer(figure: Figure, row: Row, rows: Sequence[Row]) -> Row | None:
    """The peer for the row's ratio: the best of those that speak TLS, or not, as it does."""
    if not figure.better or _is_peer(row):
        return None
    pick = max if figure.better == "more" else min
    return pick(_peers(figure, row, rows), key=lambda peer: peer.values[figure.key], default=None)


def ratio(figure: Figure, row: Row, rows: Sequence[Row]) -> float | None:
    """The row's value divided by the best peer's."""
    best = best_peer(figure, row, rows)
    if best is None or figure.key not in row.values:
        return None
    return row.values[figure.key] / best.values[figure.key]


def document(rows: Sequence[Row], plan: Plan, at: datetime) -> dict[str, Any]:
    """All results as JSON."""
    return {
        "at": at.isoformat(timespec="seconds"),
        "machine": {"system": platform.platform(), "cores": os.cpu_count()},
        "rounds": plan.rounds,
        "scale": {"clients": plan.scale.clients, "many": plan.scale.many}
        | {"seconds": plan.scale.seconds, "load_processes": plan.workers},
        "rows": [row.as_json() | {"ratios": _ratios(row, rows)} for row in rows],
    }


def _ratios(row: Row, rows: Sequence[Row]) -> dict[str, float]:
    same = [other for other in rows if other.scenario == row.scenario]
    found = {figure.key: ratio(figure, row, same) for figure in SCENARIOS[row.scenario].figures}
    return {key: value for key, value in found.items() if value is not None}


def _is_peer(row: Row) -> bool:
    return row.system in PEERS or row.system in SCENARIOS[row.scenario].references


def _peers(figure: Figure, row: Row, rows: Sequence[Row]) -> Iterator[Row]:
    """The peers that have a value. The references do not speak TLS."""
    references = SCENARIOS[row.scenario].references
    peers = references[:1] or PEERS
    for other in rows:
        alike = references or other.tls == row.tls
        if other.system in peers and alike and not other.failure and other.values.get(figure.key):
            yield other


def _cell(figure: Figure, row: Row, rows: Sequence[Row]) -> str:
    if figure.key not in row.values:
        return "-"
    value = row.values[figure.key]
    text = f"{value:,.{figure.digits}f}"
    if figure.key in row.spread and value:
        low, high = row.spread[figure.key]
        text += f" ±{50 * (high - low) / abs(value):.0f} %"
    against = ratio(figure, row, rows)
    return text if against is None else f"{text} ({against:.3g}×)"
