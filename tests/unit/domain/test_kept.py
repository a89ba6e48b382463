"""Keys of kept state, and the patterns of keys that participants may write."""

from __future__ import annotations

import pytest

from gateway.domain.kept import KEY_LENGTH, KeyPatterns, key, pattern


@pytest.mark.parametrize("good", ["a", "7", "vote:7", "a.b_c~d-e:f", "x" * KEY_LENGTH])
def test_a_key_is_what_it_is(good: str) -> None:
    assert key(good) == pattern(good) == good


@pytest.mark.parametrize(
    "bad", ["", "-a", ":a", " a", "a ", "a b", "a/b", "é", "가", "a\n", "x" * (KEY_LENGTH + 1)]
)
def test_anything_else_is_none(bad: str) -> None:
    with pytest.raises(ValueError, match="must have 1 to 150"):
        key(bad)
    with pytest.raises(ValueError, match="must be a key"):
        pattern(bad)


@pytest.mark.parametrize("bad", ["**", "a*b", "*a", "a**", "-*", "x" * (KEY_LENGTH + 1) + "*"])
def test_a_pattern_has_one_star_at_its_end(bad: str) -> None:
    with pytest.raises(ValueError, match="must be a key"):
        KeyPatterns([bad])


def test_a_pattern_is_a_key_or_the_beginning_of_keys() -> None:
    keys = KeyPatterns(["hand", "vote:*", "x*"])
    for inside in ("hand", "vote:", "vote:1", "x", "xyz"):
        assert inside in keys
    for outside in ("hands", "han", "vote", "votes:1", "avote:1", ""):
        assert outside not in keys
    assert "anything" in KeyPatterns(["*"])
    assert "anything" not in KeyPatterns([])
