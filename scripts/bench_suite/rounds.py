"""Several rounds of one measurement as one row, and what got worse since an earlier run."""

from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import Any, Final

from bench_suite.result import Figure, Row

#: What a figure may be worse without a word where one of the two runs had a single round: then
#: nobody knows how much it varies.
_UNKNOWN: Final = 0.1


def together(rows: Sequence[Row]) -> Row:
    """The row of all rounds: of each value the median, and from where to where it went.

    A round that failed makes the row fail; its values do not count.
    """
    first = rows[0]
    row = Row(first.scenario, first.system, first.tls)
    good = [each for each in rows if not each.failure] or rows
    for key in dict.fromkeys(key for each in good for key in each.values):
        values = [each.values[key] for each in good if key in each.values]
        row.values[key] = median(values)
        if len(values) > 1:
            row.spread[key] = (min(values), max(values))
    for number, each in enumerate(rows, start=1):
        row.faults += each.faults
        row.told += each.told
        if each.failure and not row.failure:
            row.failure = f"round {number}: {each.failure}" if len(rows) > 1 else each.failure
    return row


def worse(
    rows: Sequence[Row], before: Sequence[Row], figures: Mapping[str, Sequence[Figure]]
) -> Iterator[str]:
    """A line for each figure that got worse by more than it varied between the rounds of both runs.

    ``figures``: by scenario.
    """
    known = {(each.scenario, each.system, each.tls): each for each in before}
    for row in rows:
        earlier = known.get((row.scenario, row.system, row.tls))
        if earlier is None or row.failure or earlier.failure:
            continue
        for figure in figures[row.scenario]:
            if figure.better and figure.key in row.values and figure.key in earlier.values:
                yield from _line(figure, row, earlier)


def _line(figure: Figure, row: Row, earlier: Row) -> Iterator[str]:
    now, then = row.values[figure.key], earlier.values[figure.key]
    widths = [_width(each, figure.key) for each in (row, earlier)]
    known = [width for width in widths if width is not None]
    varies = max(known) if len(known) == len(widths) else max([*known, _UNKNOWN * then])
    worse_by = then - now if figure.better == "more" else now - then
    if worse_by > varies:
        place = f"{row.scenario}, {row.name}: {figure.title}"
        was = f"{then:,.{figure.digits}f} → {now:,.{figure.digits}f}"
        yield f"{place} {was} (it varies by {varies:,.{max(1, figure.digits)}f})"


def _width(row: Row, key: str) -> float | None:
    if key not in row.spread:
        return None
    low, high = row.spread[key]
    return high - low


def read(document: Mapping[str, Any]) -> list[Row]:
    """The rows of a run's JSON; see :func:`bench_suite.report.document`."""
    rows = []
    for given in document["rows"]:
        row = Row(**{key: value for key, value in given.items() if key != "ratios"})
        row.spread = {key: (low, high) for key, (low, high) in row.spread.items()}
        rows.append(row)
    return rows
