"""Signing of identities: session cookies and passcodes."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any
from unicodedata import normalize

import jwt
import pytest

from gateway.auth.ended import EndedSessions
from gateway.auth.passcodes import LEEWAY, LIFETIME, Passcodes
from gateway.auth.sessions import Sessions
from gateway.auth.shared_secret import SharedSecret
from gateway.auth.signing import MAX_BYTES, IdentitySigner
from gateway.domain.identity import Identity
from gateway.errors import SessionEnded, TokenExpired, TokenInvalid
from tests.fake_clock import FakeClock

SECRET = "s" * 32
FOREVER = math.inf


def identity(*, expires_at: float = FOREVER, user: str = "김하나") -> Identity:
    return Identity(user, frozenset({"host", "service"}), expires_at)


def passcodes(clock: FakeClock, secret: str = SECRET) -> Passcodes:
    return Passcodes(SharedSecret(secret), clock=clock)


def sessions(clock: FakeClock, *, lifetime: float = 100.0) -> Sessions:
    return Sessions(
        SharedSecret(SECRET), lifetime=lifetime, clock=clock, ended=EndedSessions(clock=clock)
    )


def cookie_of(made: Sessions, who: Identity) -> str:
    return made.sign(made.open(who))


def test_a_passcode_gives_its_user_the_roles_back() -> None:
    clock = FakeClock()
    passcode = passcodes(clock).issue(identity())
    assert passcodes(clock).verify("김하나", passcode) == {"host", "service"}


def test_a_passcode_is_good_for_its_user_only() -> None:
    clock = FakeClock()
    with pytest.raises(TokenInvalid, match="belongs to another user"):
        passcodes(clock).verify("somebody", passcodes(clock).issue(identity()))


def test_a_session_keeps_the_display_name_and_a_passcode_does_not_have_it() -> None:
    clock = FakeClock()
    named = replace(identity(), display_name="하나 (3반)")
    made = sessions(clock)
    assert made.verify(cookie_of(made, named)).display_name == "하나 (3반)"
    plain, signed = (passcodes(clock).issue(who) for who in (identity(), named))
    assert len(signed) == len(plain)


def test_a_passcode_ends_after_a_minute_and_the_clocks_difference() -> None:
    clock = FakeClock()
    passcode = passcodes(clock).issue(identity())
    clock.now += LIFETIME + LEEWAY - 0.01
    passcodes(clock).verify("김하나", passcode)
    clock.now += 0.01
    with pytest.raises(TokenExpired, match="the passcode has ended"):
        passcodes(clock).verify("김하나", passcode)


def test_a_passcode_does_not_outlive_the_proof() -> None:
    clock = FakeClock()
    passcode = passcodes(clock).issue(identity(expires_at=clock.now + 1))
    clock.now += 1 + LEEWAY
    with pytest.raises(TokenExpired):
        passcodes(clock).verify("김하나", passcode)


def test_no_two_passcodes_are_the_same() -> None:
    issue = passcodes(FakeClock()).issue
    assert issue(identity()) != issue(identity())


def test_a_passcode_of_another_secret_is_refused() -> None:
    clock = FakeClock()
    with pytest.raises(TokenInvalid):
        passcodes(clock).verify("김하나", passcodes(clock, "t" * 32).issue(identity()))


def test_a_session_tells_who_it_is_and_until_when() -> None:
    clock = FakeClock()
    found = sessions(clock).verify(cookie_of(sessions(clock), identity()))
    assert found.session
    assert replace(found, session=None) == identity(expires_at=clock.now + 100)


def test_no_two_logins_are_the_same_session() -> None:
    made = sessions(FakeClock())
    assert made.open(identity()).session != made.open(identity()).session


def test_a_cookie_of_a_session_that_has_ended_is_refused_also_where_it_was_verified_before() -> (
    None
):
    clock = FakeClock()
    ended = EndedSessions(clock=clock)
    made = Sessions(SharedSecret(SECRET), lifetime=100, clock=clock, ended=ended)
    first, second = made.open(identity()), made.open(identity())
    assert first.session
    assert made.verify(made.sign(first)) == first
    ended.add(first.session, until=clock.now + 100)
    for refused in (lambda: made.verify(made.sign(first)), lambda: made.check(first)):
        with pytest.raises(SessionEnded, match="log in again"):
            refused()
    assert made.verify(made.sign(second)) == second
    made.check(identity())


def test_a_cookie_from_before_sessions_had_names_is_refused_with_what_to_do() -> None:
    clock = FakeClock()
    old = signer(clock).sign(identity(expires_at=clock.now + 100))
    with pytest.raises(TokenExpired, match="log in again"):
        sessions(clock).verify(old)


def test_a_relay_of_a_session_that_has_ended_cannot_log_in_to_the_broker() -> None:
    clock = FakeClock()
    ended = EndedSessions(clock=clock)
    made = Passcodes(SharedSecret(SECRET), clock=clock, ended=ended)
    of_session = replace(identity(), session="one")
    passcode, other = made.issue(of_session), made.issue(identity())
    made.verify("김하나", passcode)
    ended.add("one", until=clock.now + 100)
    with pytest.raises(SessionEnded):
        made.verify("김하나", passcode)
    made.verify("김하나", other)


def test_ended_sessions_are_known_until_they_would_have_ended_anyway_and_no_longer() -> None:
    clock = FakeClock()
    ended = EndedSessions(clock=clock)
    for number in range(100_000):
        clock.now += 1
        assert ended.add(str(number), until=clock.now + 1000)
        assert str(max(0, number - 998)) in ended
        assert len(ended) <= 2 * 1024
    assert not ended.add("99999", until=clock.now)


def test_a_session_ends_with_its_lifetime() -> None:
    clock = FakeClock()
    cookie = cookie_of(sessions(clock), identity())
    clock.now += 99.9
    sessions(clock).verify(cookie)
    clock.now += 0.1
    with pytest.raises(TokenExpired, match="the session has ended"):
        sessions(clock).verify(cookie)


def test_a_session_does_not_outlive_the_token_it_was_traded_for() -> None:
    clock = FakeClock()
    cookie = cookie_of(sessions(clock), identity(expires_at=clock.now + 10))
    assert sessions(clock).verify(cookie).expires_at == clock.now + 10


def test_a_session_is_no_passcode_and_a_passcode_no_session() -> None:
    clock = FakeClock()
    with pytest.raises(TokenInvalid):
        passcodes(clock).verify("김하나", cookie_of(sessions(clock), identity()))
    with pytest.raises(TokenInvalid):
        sessions(clock).verify(passcodes(clock).issue(identity()))


def signer(clock: FakeClock, purpose: str = "session") -> IdentitySigner:
    return IdentitySigner(SharedSecret(SECRET), purpose, clock=clock)


def signing_key(purpose: str = "session") -> bytes:
    return SharedSecret(SECRET).keys(purpose)[0]


def test_each_purpose_has_a_key_of_its_own() -> None:
    assert signing_key() != signing_key("passcode")


@pytest.mark.parametrize(
    "change",
    [
        {"aud": "passcode"},
        {"aud": None},
        {"sub": None},
        {"exp": None},
    ],
)
def test_claims_that_do_not_fit_are_refused_whatever_the_signature(change: dict[str, Any]) -> None:
    clock = FakeClock()
    claims = {"aud": "session", "sub": "kim", "roles": [], "exp": clock.now + 1, **change}
    claims = {name: value for name, value in claims.items() if value is not None}
    with pytest.raises(TokenInvalid, match="not a valid session"):
        signer(clock).verify(jwt.encode(claims, signing_key(), algorithm="HS256"))


def test_an_unsigned_or_otherwise_signed_identity_is_refused() -> None:
    clock = FakeClock()
    claims = {"aud": "session", "sub": "kim", "roles": ["admin"], "exp": clock.now + 1}
    unsigned = jwt.encode(claims, "", algorithm="none")
    otherwise = jwt.encode(claims, signing_key() + signing_key(), algorithm="HS512")
    for forged in (unsigned, otherwise):
        with pytest.raises(TokenInvalid):
            signer(clock).verify(forged)


@pytest.mark.parametrize("text", ["", "a", "a.b.c", "é.b.c", "\ud800", "a" * (MAX_BYTES + 1)])
def test_nonsense_is_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(TokenInvalid) as caught:
        signer(FakeClock()).verify(text)
    assert caught.value.detail == "this is not a valid session of this gateway"


def test_tokens_that_are_too_long_are_not_even_parsed() -> None:
    clock = FakeClock()
    long = signer(clock).sign(identity(user="u" * MAX_BYTES, expires_at=clock.now + 1))
    with pytest.raises(TokenInvalid):
        signer(clock).verify(long)


def test_the_clock_that_was_passed_in_decides_and_no_other() -> None:
    long_ago = FakeClock(1000.0)
    cookie = cookie_of(sessions(long_ago), identity())
    assert sessions(long_ago).verify(cookie).expires_at == 1100.0


def test_a_changed_cookie_is_refused() -> None:
    clock = FakeClock()
    cookie = cookie_of(sessions(clock), identity())
    other = cookie_of(sessions(clock), identity(user="admin"))
    head, _, signature = cookie.split(".")
    with pytest.raises(TokenInvalid):
        sessions(clock).verify(f"{head}.{other.split('.')[1]}.{signature}")


def test_the_longest_name_fits_into_a_cookie() -> None:
    assert len(cookie_of(sessions(FakeClock()), identity(user="😀" * 63))) < 4000


@pytest.mark.parametrize("name", ["ｋｉｍ", "김하나", "😀"])
def test_a_cookie_from_before_names_had_one_form_is_nobodys(name: str) -> None:
    """Its name in that form may be another user's."""
    clock = FakeClock()
    written = normalize("NFD", name)
    cookie = cookie_of(sessions(clock), identity(user=written))
    with pytest.raises(TokenExpired, match="before an upgrade: log in again"):
        sessions(clock).verify(cookie)
