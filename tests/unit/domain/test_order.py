"""The keys by which hosts keep order: what each means, and what only looks like one."""

from __future__ import annotations

import pytest

from broker.topology import Audience
from gateway.domain.order import hidden_seq, is_order, muted_user


@pytest.mark.parametrize(
    ("key", "seq"),
    [
        ("hidden:7", 7),
        ("hidden:1", 1),
        ("hidden:0", None),
        ("hidden:07", None),
        ("hidden:-1", None),
        ("hidden:7:8", None),
        ("hidden:", None),
        ("hidden", None),
        ("hides:7", None),
        ("poll:7", None),
        ("7", None),
    ],
)
def test_a_message_is_hidden_by_its_number(key: str, seq: int | None) -> None:
    assert hidden_seq(key) == seq


@pytest.mark.parametrize(
    ("audience", "key", "wanted"),
    [
        (Audience.PUBLIC, "settings", True),
        (Audience.PUBLIC, "settings:chat", False),
        (Audience.PUBLIC, "muted:kim", False),
        (Audience.PRIVATE, "muted:kim", True),
        (Audience.PRIVATE, "muted", True),
        (Audience.PRIVATE, "muted:kim:lee", True),
        (Audience.PRIVATE, "mutedkim", False),
        # What participants may write to hosts must not order anything.
        (Audience.PRIVATE, "settings", False),
        (Audience.PRIVATE, "hand", False),
    ],
)
def test_orders_are_told_from_what_else_is_kept(audience: Audience, key: str, wanted: bool) -> None:
    assert is_order(audience, key) is wanted


@pytest.mark.parametrize(
    ("key", "of", "user"),
    [
        ("muted:kim", None, "kim"),
        # A name may have any characters.
        ("muted:guest~1~a:b", None, "guest~1~a:b"),
        ("muted:", None, None),
        ("muted", None, None),
        ("muted", "kim lee", "kim lee"),
        ("muted:kim", "lee", None),
        ("hand", "kim", None),
        ("hand:kim", None, None),
        ("hidden:7", None, None),
    ],
)
def test_who_is_muted_stands_in_the_key_or_beside_it(
    key: str, of: str | None, user: str | None
) -> None:
    assert muted_user(key, of) == user
