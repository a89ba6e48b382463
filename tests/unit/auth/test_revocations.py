"""The revocation list in memory: whom its entries refuse, and how many there are."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from gateway.auth.ended import EndedSessions
from gateway.auth.passcodes import Passcodes
from gateway.auth.revocations import Revocations
from gateway.auth.shared_secret import SharedSecret
from gateway.domain.broker_login import BrokerLogin
from gateway.domain.identity import Identity
from gateway.domain.revocation import LONGEST_VALUE, Revocation, Target, TokenMark, listed
from gateway.errors import KeptOut, SessionEnded
from tests.fake_clock import FakeClock

HOUR = 3600.0
MINA = Identity("mina", frozenset(), math.inf)


def by_token(id: str | None = "t1", *, at: float = 0.0, user: str = "mina") -> Identity:
    return replace(MINA, user=user, token=TokenMark(id, f"{user}'s", at))


def entry(
    value: str = "mina",
    target: Target = Target.USER,
    *,
    at: float = 100.0,
    kept_out: float | None = None,
    until: float = 1e6,
    reason: str = "",
) -> Revocation:
    def moment(seconds: float) -> datetime:
        return datetime.fromtimestamp(seconds, UTC)

    return Revocation(
        target=target,
        value=value,
        since=moment(at),
        until=moment(until),
        kept_out_until=None if kept_out is None else moment(kept_out),
        reason=reason,
    )


def made(*entries: Revocation, now: float = 100.0) -> tuple[Revocations, FakeClock]:
    clock = FakeClock(now)
    found = Revocations(EndedSessions(clock=clock), clock=clock)
    for each in entries:
        assert found.add(each)
    return found, clock


def refuses(revocations: Revocations, identity: Identity) -> type[Exception] | None:
    try:
        revocations.check(identity)
    except (KeptOut, SessionEnded) as error:
        return type(error)
    return None


@pytest.mark.parametrize(
    ("named", "identity", "refused"),
    [
        # A user's end is for what they have, not for the user.
        (entry(), MINA, None),
        (entry(), replace(MINA, session="s"), None),
        (entry(), by_token(at=99.0), SessionEnded),
        (entry(), by_token(at=100.0), SessionEnded),
        (entry(), by_token(at=100.1), None),
        (entry(), by_token(user="paul"), None),
        # Somebody who is kept out comes by no way.
        (entry(kept_out=200.0), MINA, KeptOut),
        (entry(kept_out=200.0), replace(MINA, session="s"), KeptOut),
        (entry(kept_out=200.0), by_token(at=150.0), KeptOut),
        (entry(kept_out=100.0), MINA, None),
        (entry("paul", kept_out=200.0), MINA, None),
        # Claims.
        (entry("t1", Target.TOKEN), by_token(at=150.0), SessionEnded),
        (entry("t1", Target.TOKEN), by_token("t2"), None),
        (entry("t1", Target.TOKEN), by_token(None), None),
        (entry("t1", Target.TOKEN), MINA, None),
        (entry("mina's", Target.SUBJECT), by_token(None, at=99.0), SessionEnded),
        (entry("mina's", Target.SUBJECT), by_token(at=150.0), None),
        (entry("mina's", Target.SUBJECT, kept_out=200.0), by_token(at=150.0), KeptOut),
        (entry("mina", Target.SUBJECT, kept_out=200.0), MINA, None),
    ],
)
def test_an_entry_refuses_whom_it_names(
    named: Revocation, identity: Identity, refused: type[Exception] | None
) -> None:
    revocations, _ = made(named)
    assert refuses(revocations, identity) is refused


def test_what_is_told_says_until_when_and_why() -> None:
    revocations, _ = made(
        entry(kept_out=HOUR, reason="too loud"), entry("t1", Target.TOKEN, reason="lost")
    )
    with pytest.raises(KeptOut, match=r"until 1970-01-01T01:00:00Z: too loud$") as kept_out:
        revocations.check(MINA)
    assert kept_out.value.retry_after == HOUR - 100
    with pytest.raises(SessionEnded, match=r"revoked \(lost\)"):
        revocations.check(by_token(user="paul"))


def test_being_kept_out_is_told_before_an_end() -> None:
    revocations, _ = made(entry("t1", Target.TOKEN), entry(kept_out=200.0))
    assert refuses(revocations, by_token()) is KeptOut


def test_the_last_word_about_a_user_counts_and_only_more_of_an_end_is_news() -> None:
    revocations, _ = made(entry(kept_out=200.0))
    assert not revocations.add(entry(kept_out=200.0)), "the same again"
    assert revocations.add(entry(kept_out=300.0))
    assert not revocations.add(entry()), "an admission"
    assert refuses(revocations, MINA) is None
    assert revocations.add(entry(at=101.0))
    assert len(revocations) == 1


def test_entries_that_are_over_are_forgotten() -> None:
    revocations, clock = made(*(entry(f"u{n}", until=150.0) for n in range(1023)))
    clock.now = 150.0
    assert revocations.add(entry("lasting"))
    assert len(revocations) == 1
    assert refuses(revocations, by_token(user="lasting")) is SessionEnded


def test_a_session_that_has_ended_is_refused_too() -> None:
    clock = FakeClock()
    ended = EndedSessions(clock=clock)
    revocations = Revocations(ended, clock=clock)
    ended.add("s", until=1e9, reason="too loud")
    with pytest.raises(SessionEnded, match="too loud"):
        revocations.check(replace(MINA, session="s"))
    revocations.check(replace(MINA, session="other"))


def test_a_relay_of_a_token_that_was_revoked_cannot_log_in_to_the_broker() -> None:
    clock = FakeClock(100.0)
    revocations = Revocations(EndedSessions(clock=clock), clock=clock)
    passcodes = Passcodes(SharedSecret("s" * 32), clock=clock, ended=revocations)
    first, second = (passcodes.issue(by_token(id)) for id in ("t1", "t2"))
    passcodes.verify("mina", first)
    revocations.add(entry("t1", Target.TOKEN))
    with pytest.raises(SessionEnded):
        passcodes.verify("mina", first)
    passcodes.verify("mina", second)
    revocations.add(entry(kept_out=200.0))
    with pytest.raises(KeptOut):
        passcodes.verify("mina", second)


@pytest.mark.parametrize("claim", ["x" * (LONGEST_VALUE + 1), "a\0b", "\ud800", "a\nb"])
def test_a_claim_that_cannot_be_stored_is_listed_by_its_hash(claim: str) -> None:
    assert listed(claim).startswith("sha256:")
    assert len(listed(claim)) < LONGEST_VALUE
    assert listed(claim) == listed(claim) != listed(claim + "x")
    assert listed("x" * LONGEST_VALUE) == "x" * LONGEST_VALUE


@pytest.mark.parametrize("user", ["ｋｉｍ", "kim"])
def test_an_order_names_users_of_rabbitmqs_own_in_whatever_form_they_are_written(user: str) -> None:
    login = BrokerLogin(user, "secret", vhost="/", mark=b"", payer="one")
    kim = replace(MINA, user=user, login=login)
    revocations, _ = made(entry("kim", kept_out=200.0))
    assert refuses(revocations, kim) is KeptOut
    assert refuses(revocations, replace(kim, user="ｌｅｅ")) is None
