"""Guests' user names, and the nicknames that they choose."""

from __future__ import annotations

import random

import pytest

from gateway.domain import guest
from gateway.domain.user_name import user_name


def test_a_guests_name_says_the_room_and_is_a_user_name() -> None:
    made = guest.new_guest(42, random.Random(1).choice)  # noqa: S311
    assert made.startswith("guest~42~")
    assert user_name(made) == made
    assert (guest.is_guest(made), guest.room_of(made)) == (True, 42)
    assert guest.room_of("anna") is None


@pytest.mark.parametrize("name", ["guest~", "guest~x~y", "guest~-1~y", "guest~042x~y"])
def test_a_guests_name_without_a_room_is_in_no_room(name: str) -> None:
    assert guest.room_of(name) == 0


@pytest.mark.parametrize("name", ["guest~42~x", "Guest~x", "ｇｕｅｓｔ~x"])
def test_nobody_else_is_called_as_guests_are(name: str) -> None:
    with pytest.raises(ValueError, match="guests are called so"):
        guest.account_name(name)
    assert guest.account_name("guest") == "guest"


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("  Mina   Kim ", "Mina Kim"),
        ("김민아", "김민아"),
        ("ＭＩＮＡ", "MINA"),
        ("😀 Juno", "😀 Juno"),
    ],
)
def test_a_nickname_is_shown_in_its_form(written: str, shown: str) -> None:
    assert guest.nickname(written) == shown


@pytest.mark.parametrize(
    "written", ["", "   ", "x" * 31, "a\u202eb", "\u2066a\u2069", "\u200b", "a\x07b", "\ud800", 7]
)
def test_what_hides_or_turns_text_is_no_nickname(written: object) -> None:
    with pytest.raises(ValueError, match="nickname"):
        guest.nickname(written)


def test_the_same_nickname_gets_the_first_free_number() -> None:
    taken = ["anna", "Mina", "MINA 2", "Ms. Kim"]
    assert guest.numbered("Juno", taken) == "Juno"
    assert guest.numbered("mina", taken) == "mina 3"
    assert guest.numbered("ＭＳ. kim", taken) == "ＭＳ. kim 2", "not the teacher's own"
