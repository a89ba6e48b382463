"""Passwords that are read from a slip of paper and spoken, in Korean and in English."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

#: Syllables of one consonant and one vowel, of which no two sound alike: 50 of them.
_CONSONANTS: Final = "bdghjkmnps"
_VOWELS: Final = "aeiou"
_DIGITS: Final = "23456789"
#: ``bagu-tedo-mipa-47``: six syllables and two digits, some 40 bits. They are guessed at only
#: through the gateway, which slows an account down after ten wrong ones.
_GROUPS: Final = 3
_SYLLABLES: Final = 2
#: Spoken, in both languages.
_UGLY: Final = (
    *("babo", "boji", "bogi", "gase", "homo", "jaji", "jipo", "kaka", "kike", "niga", "nigo"),
    *("nigu", "pene", "pipi", "popo", "pusi", "puse", "seki", "sibu", "sibo", "sika", "suka"),
)


def spoken_password(choose: Callable[[str], str]) -> str:
    """A password that spells nothing ugly. ``choose`` draws a letter."""
    while True:
        groups = [
            "".join(choose(_CONSONANTS) + choose(_VOWELS) for _ in range(_SYLLABLES))
            for _ in range(_GROUPS)
        ]
        if not any(word in "".join(groups) for word in _UGLY):
            return "-".join([*groups, choose(_DIGITS) + choose(_DIGITS)])
