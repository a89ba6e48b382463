"""Natural numbers in names, headers and paths, each with exactly one spelling. Pure."""

from __future__ import annotations

import re
from typing import Final

_NATURAL: Final = re.compile(r"0|[1-9][0-9]{0,17}")


def natural(text: str) -> int | None:
    """The number that the text spells, or None.

    ASCII digits only: no sign, no leading zero, no blanks, and at most 18 of them, so that it fits
    into a signed 64-bit integer. ``int`` takes far more (``+7``, ``0007``, ``1_0``, other scripts'
    digits) and raises ValueError for more than 4,300 digits.
    """
    return int(text) if _NATURAL.fullmatch(text) else None
