"""The printable page of a room: HTML that needs no script, in pieces. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

from gateway.reports.cells import Cell, Row, Style
from gateway.reports.print_style import STYLE

MEDIA_TYPE: Final = "text/html; charset=utf-8"


def begin(title: str, lines: Iterable[str], *, language: str) -> str:
    """The beginning of the page: its head, its title and some lines of text."""
    said = "".join(f"<p>{escape(line)}</p>" for line in lines)
    return (
        f'<!doctype html>\n<html lang="{language}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>"
        f'<body><header><h1 dir="auto">{escape(title)}</h1>{said}</header>\n'
    )


def table(title: str, columns: Sequence[str], kind: str) -> str:
    """The beginning of a section with its table."""
    heads = "".join(f'<th scope="col">{escape(column)}</th>' for column in columns)
    return (
        f'<section class="{kind}"><h2>{escape(title)}</h2>'
        f"<table><thead><tr>{heads}</tr></thead><tbody>\n"
    )


def lines(rows: Iterable[Row], style: Style) -> str:
    """Rows of a table. Each cell has the direction of its own text."""
    return "".join(f"<tr>{''.join(_cell(cell, style) for cell in row)}</tr>\n" for row in rows)


def _cell(cell: Cell, style: Style) -> str:
    """A cell; its class says how narrow it may become."""
    if isinstance(cell, int):
        return f'<td class="number">{cell}</td>'
    said = ' class="said"' if isinstance(cell, str) else ""
    return f'<td{said} dir="auto">{escape(style.text(cell))}</td>'


def table_end(nothing: str | None) -> str:
    """The end of a section; ``nothing`` is said under a table without rows."""
    return f"</tbody></table>{'' if nothing is None else f'<p>{escape(nothing)}</p>'}</section>\n"


def end() -> str:
    """The end of the page."""
    return "</body></html>\n"
