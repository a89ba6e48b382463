"""Log-in slips: a page to print and cut, with the address, a user's name and a new password."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Final

import segno

from gateway.cli.running import Unusable
from gateway.domain.new_account import NewAccount

_PAGE: Final = """<!doctype html>
<html lang="ko">
<meta charset="utf-8">
<title>Log-in slips · 로그인 쪽지</title>
<style>
  body {{ margin: 1rem; font: 11pt system-ui, sans-serif; }}
  main {{ display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); }}
  article {{ display: grid; grid-template-columns: minmax(0, 1fr) auto; gap: 0 .75rem;
    padding: .75rem; overflow-wrap: anywhere; border: 1px dashed #888; break-inside: avoid; }}
  svg {{ grid-row: span 4; width: 2.6cm; height: 2.6cm; }}
  b {{ font: bold 13pt ui-monospace, monospace; }}
  p {{ margin: .15rem 0; }}
</style>
<main>
{slips}
</main>
</html>
"""
_SLIP: Final = """<article>
<p dir="auto">{shown}</p>{code}
<p>{address}</p>
<p>Name · 아이디 <b dir="auto">{user}</b></p>
<p>Password · 비밀번호 <b dir="auto">{password}</b></p>
</article>"""


def slips(new: Sequence[NewAccount], address: str) -> str:
    """The page, as HTML that needs nothing else."""
    code = segno.make(address, micro=False).svg_inline(border=2, omitsize=True)
    return _PAGE.format(
        slips="\n".join(
            _SLIP.format(
                shown=escape(each.display_name or each.user),
                code=code,
                address=escape(address),
                user=escape(each.user),
                password=escape(each.password),
            )
            for each in new
        )
    )


def write_slips(file: Path, new: Sequence[NewAccount], address: str) -> None:
    """Write the page, for its owner alone to read. Raises :class:`Unusable`, also if the file
    exists: it may be an earlier class."""
    try:
        file.touch(mode=0o600, exist_ok=False)
        file.write_text(slips(new, address), encoding="utf-8")
    except OSError as error:
        raise Unusable(f"{file}: cannot be written: {error}") from error
