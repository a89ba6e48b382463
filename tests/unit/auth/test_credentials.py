"""A proof is checked once a minute, and never counts for longer than it says."""

import asyncio
import math
from typing import NoReturn, cast

from tornado.httputil import HTTPConnection, HTTPHeaders, HTTPServerRequest, RequestStartLine

from gateway.auth.credentials import CAPACITY, LIFETIME, Credentials, Verified
from gateway.auth.ended import EndedSessions
from gateway.auth.session_cookie import SESSION_COOKIE
from gateway.auth.sessions import Sessions
from gateway.auth.shared_secret import SharedSecret
from gateway.domain.identity import Identity
from tests.fake_clock import FakeClock


def identity(expires_at: float = 5000.0) -> Identity:
    return Identity("ann", frozenset(), expires_at)


def test_verified_credentials_are_known_for_a_while() -> None:
    clock = FakeClock(1000.0)
    verified = Verified(clock=clock)
    assert verified.get("proof") is None
    verified.add("proof", identity())
    assert verified.get("proof") == identity()
    assert verified.get("another") is None
    clock.now += LIFETIME
    assert verified.get("proof") is None


def test_a_proof_ends_when_it_says() -> None:
    clock = FakeClock(1000.0)
    verified = Verified(clock=clock)
    verified.add("proof", identity(clock.now + 10))
    clock.now += 9.9
    assert verified.get("proof") is not None
    clock.now += 0.1
    assert verified.get("proof") is None


def test_the_memory_is_bounded() -> None:
    verified = Verified(clock=FakeClock(1000.0))
    for number in range(CAPACITY + 1):
        verified.add(str(number), identity())
    assert verified.get("0") is None
    assert verified.get(str(CAPACITY)) is not None


def test_a_lone_surrogate_is_only_another_proof() -> None:
    assert Verified(clock=FakeClock(1000.0)).get("\udc80") is None


class Unread(HTTPServerRequest):
    """A request whose cookies must not be made into objects."""

    @property
    def cookies(self) -> NoReturn:
        raise AssertionError("all cookies were read")


class AllKnown:
    """A database that has every session."""

    async def recognise(self, identity: Identity) -> None: ...

    def see(self, id: str) -> None: ...


def asking(cookies: str) -> Unread:
    headers = HTTPHeaders({"Host": "x", "Cookie": cookies})
    return Unread(
        headers=headers,
        connection=cast("HTTPConnection", None),
        start_line=RequestStartLine("GET", "/", "HTTP/1.1"),
    )


def test_a_session_is_found_among_thousands_of_cookies_which_are_not_read_one_by_one() -> None:
    clock = FakeClock(1000.0)
    ended = EndedSessions(clock=clock)
    sessions = Sessions(SharedSecret("s" * 32), lifetime=60, clock=clock, ended=ended)
    identity = sessions.open(Identity("mina", frozenset(), math.inf))
    credentials = Credentials(
        sessions=sessions, known_sessions=AllKnown(), ended=ended, tokens=None, clock=clock
    )

    many = "; ".join(f"c{n}=1" for n in range(2000))
    request = asking(f"{many}; {SESSION_COOKIE}={sessions.sign(identity)}; last=1")
    assert credentials.given(request)
    assert asyncio.run(credentials.session(request)) == identity
    assert not credentials.given(asking(many))
    assert asyncio.run(credentials.session(asking(many))) is None
    assert not credentials.given(asking(f"x{SESSION_COOKIE}=1"))


def test_a_secret_that_is_withdrawn_while_a_session_is_looked_up_counts_no_more() -> None:
    clock = FakeClock(1000.0)
    ended = EndedSessions(clock=clock)
    secret = SharedSecret("s" * 32)
    sessions = Sessions(secret, lifetime=60, clock=clock, ended=ended)

    class Meanwhile(AllKnown):
        """A database that answers when the secret has been replaced."""

        async def recognise(self, identity: Identity) -> None:
            secret.replace("t" * 32)
            credentials.forget_sessions()

    credentials = Credentials(
        sessions=sessions, known_sessions=Meanwhile(), ended=ended, tokens=None, clock=clock
    )
    identity = sessions.open(Identity("mina", frozenset(), math.inf))
    request = asking(f"{SESSION_COOKIE}={sessions.sign(identity)}")
    assert asyncio.run(credentials.session(request)) == identity, "it was valid when it came"
    assert asyncio.run(credentials.session(request)) is None
