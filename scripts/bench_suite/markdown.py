"""The README's comparison, made from a run's JSON: the gateway beside the best of the others."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from bench_suite import rounds
from bench_suite.report import best_peer
from bench_suite.result import Figure, Row
from bench_suite.suite import SCENARIOS

_HEAD = (
    "| | the best of the others | gateway | ratio |",
    "|---|---|---|---|",
)
#: Whose rows are shown.
_SHOWN = "shared"


def comparison(document: Mapping[str, Any]) -> str:
    """``document`` as `report.document` made it. Failed rows are left out and named below."""
    rows = rounds.read(document)
    lines = [line for row in rows if row.system == _SHOWN for line in _lines(row, rows)]
    notes = [_note(document)]
    notes += [f"{row.scenario}, {row.name}: {_fault(row)}" for row in rows if row.failed]
    return "\n".join([*_HEAD, *lines, "", *notes])


def _lines(row: Row, rows: Sequence[Row]) -> Iterator[str]:
    scenario = SCENARIOS[row.scenario]
    same = [other for other in rows if other.scenario == row.scenario]
    for figure in scenario.figures:
        if figure.better and not row.failure:
            best = best_peer(figure, row, same)
            cells = [
                f"{scenario.title}{', TLS' if row.tls else ''}: {figure.title}",
                f"{best.name} {_value(figure, best)}" if best else "",
                _value(figure, row),
                f"{row.values[figure.key] / best.values[figure.key]:.3g}×" if best else "",
            ]
            yield f"| {' | '.join(cells)} |"


def _value(figure: Figure, row: Row) -> str:
    return f"{row.values[figure.key]:,.{figure.digits}f}"


def _fault(row: Row) -> str:
    return row.failure or f"{row.faults} faults: {'; '.join(row.told)}"


def _note(document: Mapping[str, Any]) -> str:
    scale = document["scale"]
    return (
        f"Measured on {datetime.fromisoformat(document['at']):%Y-%m-%d}, "
        f"{document['machine']['cores']} cores, {scale['clients']:,} clients "
        f"({scale['many']:,} idle ones), {scale['seconds']:g} s each."
    )
