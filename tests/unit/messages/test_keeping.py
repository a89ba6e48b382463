"""Who may say which key: judged by the role, before anything is stored."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.domain.kept import KeyPatterns
from gateway.domain.message import Draft, Importance
from gateway.domain.room import MemberRole
from gateway.errors import Invalid, KeyRefused
from gateway.messages.keeping import check
from tests.unit.messages.fakes import draft

KEYS = KeyPatterns(["vote:*", "hand"])
HOST, PARTICIPANT = MemberRole.HOST, MemberRole.PARTICIPANT


def judge(
    role: MemberRole | None = HOST,
    *,
    importance: Importance = Importance.GUARANTEED,
    **said: str | None,
) -> None:
    made: Draft = replace(draft(), **said)  # type: ignore[arg-type]
    check(made, importance, role, KEYS)


@pytest.mark.parametrize("key", ["poll:1", "vote:1", "hand", "anything"])
def test_hosts_write_any_key_and_anybodys(key: str) -> None:
    judge(keep=key)
    judge(keep=key, of="kim")


@pytest.mark.parametrize("role", [PARTICIPANT, None])
def test_others_write_the_keys_that_are_theirs_for_themselves(role: MemberRole | None) -> None:
    for key in ("vote:1", "vote:", "hand"):
        judge(role, keep=key)
        with pytest.raises(KeyRefused, match="entries of others"):
            judge(role, keep=key, of="kim")
    for key in ("poll:1", "hands", "vote"):
        with pytest.raises(KeyRefused, match=f"write the key '{key}'"):
            judge(role, keep=key)


@pytest.mark.parametrize("role", [HOST, PARTICIPANT])
def test_anybody_may_depend_on_any_key(role: MemberRole) -> None:
    judge(role, only_while="voting:1")


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ({"keep": ""}, "keep: must have"),
        ({"keep": "a b"}, "keep: must have"),
        ({"only_while": "a/b"}, "while: must have"),
        ({"of": "kim"}, "needs keep"),
        ({"of": "kim", "only_while": "a"}, "needs keep"),
        ({"keep": "a", "of": ""}, "of: a user name"),
        ({"keep": "a", "of": "☺"}, "of: "),
        ({"keep": "a", "of": "ｋｉｍ"}, "of: must be the user's name in its form: kim"),
    ],
)
def test_what_makes_no_sense_is_refused(said: dict[str, Any], fault: str) -> None:
    with pytest.raises(Invalid, match=fault):
        judge(**said)


@pytest.mark.parametrize("said", [{"keep": "a"}, {"only_while": "a"}, {"of": "kim"}])
def test_an_instant_message_is_not_kept(said: dict[str, Any]) -> None:
    with pytest.raises(Invalid, match="for guaranteed messages"):
        judge(importance=Importance.INSTANT, **said)


@pytest.mark.parametrize("role", [PARTICIPANT, None])
def test_a_key_whose_pattern_names_another_one_depends_on_it_whatever_the_sender_says(
    role: MemberRole | None,
) -> None:
    keys = KeyPatterns(["vote:* while voting:*"])
    vote = replace(draft(), keep="vote:7")

    def judged(made: Draft, role: MemberRole | None = role) -> str | None:
        return check(made, Importance.GUARANTEED, role, keys)

    assert judged(vote) == "voting:7"
    assert judged(replace(vote, only_while="voting:7")) == "voting:7"
    with pytest.raises(KeyRefused, match="while 'voting:7' stands"):
        judged(replace(vote, only_while="settings"))
    # Clearing is free, and so are hosts.
    assert judged(replace(vote, body=None)) is None
    assert judged(vote, HOST) is None
    assert judged(replace(vote, keep=None, only_while="a")) == "a"
    with pytest.raises(Invalid, match="while: must have"):
        judged(replace(vote, keep="vote:" + "x" * 145))
