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


def test_a_pattern_names_the_key_that_must_stand() -> None:
    keys = KeyPatterns(["vote:* while voting:*", "vote:x:*", "hand while open", "a:* while open"])
    assert keys.condition("vote:7") == "voting:7"
    # The pattern that says most decides.
    assert keys.condition("vote:x:1") is None
    assert (keys.condition("hand"), keys.condition("a:1")) == ("open", "open")
    assert keys.condition("other") is None
    assert "vote:7" in keys
    assert "voting:7" not in keys


@pytest.mark.parametrize("bad", ["vote:* while", "vote:* while ", " while a", "hand while open:*"])
def test_what_names_no_such_key_is_refused(bad: str) -> None:
    with pytest.raises(ValueError, match=r"must be a key|there is none"):
        pattern(bad)
