"""Class codes: six letters that stand on the wall and let people into one room.

The letters are spelled aloud, in Korean and in English, and read from the back of a classroom. So
there are no vowels (nothing is spelled by accident), and of letters that look or sound alike only
one: no I, L, O, Q, U, V, Y beside J, R, B; no M beside N's sound, no G beside Z (``지``). The ones
that are left out are read as the one that they are mistaken for.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

#: 15 letters: eleven million codes.
LETTERS: Final = "BCDFGHJKMPRSTWX"
LENGTH: Final = 6
#: Characters that may be typed: with blanks, hyphens and a longer spelling around them.
LONGEST_INPUT: Final = 64

#: What is typed for what was read or heard.
_MISTAKEN: Final = str.maketrans({"V": "B", "N": "M", "Z": "G", "L": "R", "8": "B", "5": "S"})
#: Abbreviations, in English and German; and what the same keys spell on a Korean keyboard.
_UGLY: Final = (
    *("BTCH", "BDSM", "BSTRD", "CCK", "CKS", "CRP", "DCK", "DKS", "DMB", "FCK", "FGT", "FKK"),
    *("FRT", "HH", "JRK", "KKK", "KMS", "PRCK", "PRK", "PSS", "RTRD", "SHT", "SS", "STD", "STFW"),
    *("SXX", "TRD", "TTS", "TWT", "WTF", "XXX"),
    *("CKD", "RJW", "RKW", "TKR", "TPR", "WHS", "WHW"),
)


class Guests(StrEnum):
    """The use of a code to people without an account: none, a knock at the door, or the way in."""

    NO = "no"
    KNOCK = "knock"
    YES = "yes"


@dataclass(frozen=True, slots=True)
class ClassCode:
    """A room's code, and whom it lets in."""

    room: int
    code: str
    guests: Guests


@dataclass(frozen=True, slots=True)
class Door:
    """The open room that a code leads to."""

    room: int
    title: str
    guests: Guests


class KnockState(StrEnum):
    """The fate of a knock."""

    WAITING = "waiting"
    ADMITTED = "admitted"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Knock:
    """Somebody without an account who waits at the door of a room. ``id`` is the proof of who
    knocked, and nobody else's business; ``number`` names the knock to hosts."""

    id: str
    number: int
    room: int
    nickname: str
    since: datetime
    state: KnockState = KnockState.WAITING


def new_code(choose: Callable[[str], str]) -> str:
    """A code that spells nothing that a teacher would not want on the wall. ``choose`` draws a
    letter."""
    while True:
        code = "".join(choose(LETTERS) for _ in range(LENGTH))
        if is_fit(code):
            return code


def is_fit(code: str) -> bool:
    """Whether nobody minds to have the code on the wall."""
    return not any(word in code for word in _UGLY)


def class_code(written: str) -> str | None:
    """The code that somebody has typed, in any case, width and grouping; None: it can be none."""
    if len(written) > LONGEST_INPUT:
        return None
    shown = unicodedata.normalize("NFKC", written).upper()
    code = "".join(each for each in shown if each.isalnum()).translate(_MISTAKEN)
    return code if len(code) == LENGTH and set(code).issubset(LETTERS) else None
