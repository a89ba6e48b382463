"""Display names: what pages show beside, or instead of, a user's name.

A display name identifies nobody: two users may have the same one, and no right depends on it.
"""

from __future__ import annotations

import unicodedata
from typing import Final

MAX_CHARACTERS: Final = 100
#: Zero-width joiners belong to the spelling of Persian and Indic names, and to emoji. All other
#: format characters are refused, because they reverse or hide the text around them.
_JOINERS: Final = frozenset("\u200c\u200d")


def display_name(value: object) -> str:
    """The value in the form in which it is stored and shown: NFC, with single spaces.

    The ``ValueError`` says what a display name must be.
    """
    if not isinstance(value, str):
        raise ValueError("a display name must be a string")
    # Composing cannot shorten a text of more than four times the limit below it.
    if len(value) > 4 * MAX_CHARACTERS:
        raise ValueError(f"a display name must have at most {MAX_CHARACTERS} characters")
    name = unicodedata.normalize("NFC", " ".join(value.split()))
    if not name.strip("".join(_JOINERS)):
        raise ValueError("a display name must not be empty")
    if len(name) > MAX_CHARACTERS:
        raise ValueError(f"a display name must have at most {MAX_CHARACTERS} characters")
    if not all(sign.isprintable() or sign in _JOINERS for sign in name):
        raise ValueError("a display name must not have control characters")
    return name
