"""Passwords that are spoken."""

from __future__ import annotations

import random
import re

from gateway.domain.spoken_password import spoken_password


def test_a_password_is_syllables_and_two_digits() -> None:
    draw = random.Random(3)  # noqa: S311 - the same ones each time
    made = {spoken_password(draw.choice) for _ in range(500)}
    assert len(made) == 500
    for password in made:
        assert re.fullmatch(
            r"([bdghjkmnps][aeiou]){2}(-([bdghjkmnps][aeiou]){2}){2}-[2-9]{2}", password
        )


def test_an_ugly_one_is_drawn_again() -> None:
    letters = iter("babo" + "dedededede"[:8] + "deba" * 3 + "47")
    assert spoken_password(lambda _: next(letters)) == "deba-deba-deba-47"
