"""An issuer's published keys: when they are fetched, and which are taken."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from gateway.auth.documents import KeySetUnavailable
from gateway.auth.jwks import (
    GRACE,
    MEMORY,
    Jwks,
    PublishedKey,
    read_key_set,
)
from gateway.errors import TokenInvalid, Unavailable
from tests.fake_clock import FakeClock

BOTH = ("RS256", "ES256")
RSA = rsa.generate_private_key(65537, 2048)
EC = ec.generate_private_key(ec.SECP256R1())
RSA_JWK = RSAAlgorithm.to_jwk(RSA.public_key(), as_dict=True)
EC_JWK = ECAlgorithm.to_jwk(EC.public_key(), as_dict=True)
RSA_PRIVATE_JWK = RSAAlgorithm.to_jwk(RSA, as_dict=True)
LIFETIME, COOLDOWN = 3600.0, 30.0


def document(*keys: Any) -> bytes:
    return json.dumps({"keys": list(keys)}).encode()


def rsa_key(kid: str, **more: Any) -> dict[str, Any]:
    return {**RSA_JWK, "kid": kid, **more}


class Issuer:
    """Publishes ``body``, or is away when there is none."""

    def __init__(self, body: bytes | None) -> None:
        self.body = body
        self.asked = 0
        self.busy = True
        self.reached = asyncio.Event()
        self.answering = asyncio.Event()
        self.answering.set()

    async def __call__(self) -> bytes:
        self.asked += 1
        self.reached.set()
        try:
            await self.answering.wait()
        finally:
            self.busy = False
        if self.body is None:
            raise KeySetUnavailable("nobody there")
        return self.body


Scene = Callable[[Jwks, Issuer, FakeClock], Awaitable[None]]


def play(scene: Scene, body: bytes | None, algorithms: tuple[str, ...] = BOTH) -> None:
    async def run() -> None:
        issuer, clock = Issuer(body), FakeClock()
        jwks = Jwks(issuer, algorithms, lifetime=LIFETIME, cooldown=COOLDOWN, clock=clock)
        await scene(jwks, issuer, clock)
        await jwks.close()

    asyncio.run(run())


def test_keys_are_fetched_once_and_remembered_for_their_lifetime() -> None:
    async def scene(jwks: Jwks, issuer: Issuer, clock: FakeClock) -> None:
        assert await jwks.key("RS256", "a") == RSA.public_key()
        clock.now += LIFETIME - 1
        await jwks.key("RS256", "a")
        assert issuer.asked == 1
        clock.now += 1
        await jwks.key("RS256", "a")
        assert issuer.asked == 2

    play(scene, document(rsa_key("a")))


def test_a_key_that_is_no_longer_published_ends_with_the_lifetime() -> None:
    async def scene(jwks: Jwks, issuer: Issuer, clock: FakeClock) -> None:
        await jwks.key("RS256", "a")
        issuer.body = document(rsa_key("b"))
        clock.now += LIFETIME
        with pytest.raises(TokenInvalid):
            await jwks.key("RS256", "a")

    play(scene, document(rsa_key("a")))


def test_an_unknown_kid_is_looked_for_once_per_cooldown_and_cannot_be_judged_before() -> None:
    async def scene(jwks: Jwks, issuer: Issuer, clock: FakeClock) -> None:
        await jwks.key("RS256", "a")
        # A new key, a moment after the last fetch: its tokens are good, though nobody knows yet.
        issuer.body = document(rsa_key("a"), rsa_key("b"))
        clock.now += COOLDOWN - 1
        with pytest.raises(Unavailable) as caught:
            await jwks.key("RS256", "b")
        assert caught.value.retry_after == 1
        assert issuer.asked == 1
        clock.now += 1
        await jwks.key("RS256", "b")
        for _ in range(100):
            with pytest.raises(Unavailable):
                await jwks.key("RS256", "c")
        assert issuer.asked == 2

    play(scene, document(rsa_key("a")))


def test_a_key_is_invalid_once_a_fetch_that_was_made_for_it_lacks_it() -> None:
    async def scene(jwks: Jwks, issuer: Issuer, clock: FakeClock) -> None:
        for _ in range(3):
            with pytest.raises(TokenInvalid, match="does not publish"):
                await jwks.key("RS256", "b")
        assert issuer.asked == 1
        with pytest.raises(Unavailable):
            await jwks.key("ES256", "b")
        clock.now += COOLDOWN
        for algorithm in BOTH:
            with pytest.raises(TokenInvalid):
                await jwks.key(algorithm, "b")
        assert issuer.asked == 2

    play(scene, document(rsa_key("a")))


def test_a_key_that_is_published_at_last_is_taken() -> None:
    async def scene(jwks: Jwks, issuer: Issuer, clock: FakeClock) -> None:
        with pytest.raises(TokenInvalid):
            await jwks.key("RS256", "b")
        issuer.body = document(rsa_key("a"), rsa_key("b"))
        clock.now += COOLDOWN
        await jwks.key("RS256", "b")

    play(scene, document(rsa_key("a")))


def test_keys_that_somebody_makes_up_cost_no_fetches_and_change_no_other_answer() -> None:
    async def scene(jwks: Jwks, issuer: Issuer, clock: FakeClock) -> None:
        await jwks.key("RS256", "old")
        issuer.body = document(rsa_key("new"))
        clock.now += LIFETIME
        with pytest.raises(TokenInvalid):
            await jwks.key("RS256", "old")
        for number in range(MEMORY + 10):
            with pytest.raises(Unavailable):
                await jwks.key("RS256", f"made up {number}")
        assert issuer.asked == 2
        await jwks.key("RS256", "new")
        with pytest.raises(TokenInvalid):
            await jwks.key("RS256", "old")
        assert len(jwks._wanted) == MEMORY
        clock.now += COOLDOWN
        with pytest.raises(TokenInvalid):
            await jwks.key("RS256", "made up 0")
        assert issuer.asked == 3
        assert len(jwks._absent) == MEMORY
        assert not jwks._wanted

    play(scene, document(rsa_key("old")))


def test_an_issuer_that_hangs_delays_no_token_whose_key_is_known() -> None:
    async def scene(jwks: Jwks, issuer: Issuer, clock: FakeClock) -> None:
        await jwks.key("RS256", "a")
        issuer.answering.clear()
        clock.now += LIFETIME
        unknown = asyncio.create_task(jwks.key("RS256", "b"))
        async with asyncio.timeout(GRACE / 2):
            await asyncio.sleep(0)
            for _ in range(1000):
                await jwks.key("RS256", "a")
        assert not unknown.done()
        issuer.body = document(rsa_key("a"), rsa_key("b"))
        issuer.answering.set()
        await unknown
        assert issuer.asked == 2

    play(scene, document(rsa_key("a")))


def test_only_the_token_that_has_the_keys_fetched_again_waits_for_a_moment() -> None:
    async def scene(jwks: Jwks, issuer: Issuer, clock: FakeClock) -> None:
        await jwks.key("RS256", "a")
        issuer.answering.clear()
        clock.now += LIFETIME
        async with asyncio.timeout(50 * GRACE):
            await jwks.key("RS256", "a")
        assert issuer.asked == 2
        async with asyncio.timeout(GRACE / 2):
            await jwks.key("RS256", "a")

    play(scene, document(rsa_key("a")))


def test_after_a_fetch_that_failed_no_token_with_a_known_key_waits_for_the_next_one() -> None:
    async def scene(jwks: Jwks, issuer: Issuer, clock: FakeClock) -> None:
        await jwks.key("RS256", "a")
        issuer.body = None
        clock.now += LIFETIME
        await jwks.key("RS256", "a")
        issuer.answering.clear()
        for attempt in range(3, 6):
            clock.now += COOLDOWN
            issuer.reached.clear()
            async with asyncio.timeout(GRACE / 2):
                await jwks.key("RS256", "a")
                await issuer.reached.wait()
            assert issuer.asked == attempt
            issuer.answering.set()
            with pytest.raises(Unavailable):
                await jwks.key("RS256", "b")
            issuer.answering.clear()

    play(scene, document(rsa_key("a")))


def test_another_configuration_of_the_same_issuer_goes_on_with_what_is_known() -> None:
    async def scene(jwks: Jwks, issuer: Issuer, clock: FakeClock) -> None:
        await jwks.key("RS256", "old")
        issuer.body = document(rsa_key("new"))
        clock.now += LIFETIME
        await jwks.key("RS256", "new")
        with pytest.raises(Unavailable):
            await jwks.key("RS256", "unknown")
        after = Jwks(issuer, BOTH, lifetime=LIFETIME, cooldown=COOLDOWN, clock=clock)
        after.go_on(jwks)
        issuer.answering.clear()
        assert await after.key("RS256", "new") == RSA.public_key()
        with pytest.raises(TokenInvalid):
            await after.key("RS256", "old")
        with pytest.raises(Unavailable):
            await after.key("RS256", "unknown")
        assert issuer.asked == 2
        issuer.answering.set()
        clock.now += LIFETIME
        await after.key("RS256", "new")
        assert issuer.asked == 3
        await after.close()

    play(scene, document(rsa_key("old")))


def test_all_who_wait_share_one_fetch() -> None:
    async def scene(jwks: Jwks, issuer: Issuer, clock: FakeClock) -> None:
        issuer.answering.clear()
        waiting = [asyncio.create_task(jwks.key("RS256", "a")) for _ in range(20)]
        await asyncio.sleep(0)
        issuer.answering.set()
        assert await asyncio.gather(*waiting) == [RSA.public_key()] * 20
        assert issuer.asked == 1

    play(scene, document(rsa_key("a")))


def test_one_who_gives_up_does_not_end_the_fetch_of_the_others() -> None:
    async def scene(jwks: Jwks, issuer: Issuer, clock: FakeClock) -> None:
        issuer.answering.clear()
        first = asyncio.create_task(jwks.key("RS256", "a"))
        second = asyncio.create_task(jwks.key("RS256", "a"))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.wait([first])
        issuer.answering.set()
        assert await second == RSA.public_key()
        assert issuer.asked == 1

    play(scene, document(rsa_key("a")))


def test_without_any_key_the_answer_is_later_and_not_never(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scene(jwks: Jwks, issuer: Issuer, clock: FakeClock) -> None:
        with pytest.raises(Unavailable) as caught:
            await jwks.key("RS256", "a")
        assert caught.value.retry_after == COOLDOWN
        clock.now += 10
        with pytest.raises(Unavailable) as caught:
            await jwks.key("RS256", "a")
        assert caught.value.retry_after == COOLDOWN - 10
        assert issuer.asked == 1
        issuer.body = document(rsa_key("a"))
        clock.now += 20
        await jwks.key("RS256", "a")

    play(scene, None)
    assert "nobody there" in caplog.text


def test_known_keys_go_on_working_while_the_issuer_is_away() -> None:
    async def scene(jwks: Jwks, issuer: Issuer, clock: FakeClock) -> None:
        await jwks.key("RS256", "a")
        issuer.body = None
        clock.now += 10 * LIFETIME
        for _ in range(10):
            await jwks.key("RS256", "a")
        assert issuer.asked == 2
        with pytest.raises(Unavailable):
            await jwks.key("RS256", "b")

    play(scene, document(rsa_key("a")))


def test_a_broken_document_does_not_replace_the_keys() -> None:
    async def scene(jwks: Jwks, issuer: Issuer, clock: FakeClock) -> None:
        await jwks.key("RS256", "a")
        issuer.body = b"<html>"
        clock.now += LIFETIME
        await jwks.key("RS256", "a")
        assert issuer.asked == 2

    play(scene, document(rsa_key("a")))


def test_a_fetch_under_way_ends_with_the_gateway() -> None:
    async def scene(jwks: Jwks, issuer: Issuer, clock: FakeClock) -> None:
        issuer.answering.clear()
        waiting = asyncio.create_task(jwks.key("RS256", "a"))
        await issuer.reached.wait()
        await jwks.close()
        assert not issuer.busy
        # Who waits is not cancelled by that.
        with pytest.raises(Unavailable):
            await waiting

    play(scene, document(rsa_key("a")))


def test_a_token_that_names_no_key_is_taken_where_there_is_no_choice() -> None:
    async def scene(jwks: Jwks, issuer: Issuer, clock: FakeClock) -> None:
        assert await jwks.key("ES256", None) == EC.public_key()
        with pytest.raises(TokenInvalid):
            await jwks.key("RS256", None)

    play(scene, document(rsa_key("a"), rsa_key("b"), EC_JWK))


def test_a_key_serves_its_own_algorithm_only() -> None:
    async def scene(jwks: Jwks, issuer: Issuer, clock: FakeClock) -> None:
        with pytest.raises(TokenInvalid):
            await jwks.key("ES256", "a")

    play(scene, document(rsa_key("a")))


def test_public_signing_keys_of_the_configured_algorithms_are_taken() -> None:
    entries = (
        rsa_key("plain"),
        rsa_key("full", use="sig", alg="RS256", key_ops=["verify"], x5c=["ignored"]),
        # As some issuers write what is not there.
        rsa_key("null", use=None, alg=None, key_ops=None),
        {**EC_JWK, "kid": "ec"},
    )
    assert read_key_set(document(*entries), BOTH) == (
        PublishedKey("plain", ("RS256",), RSA.public_key()),
        PublishedKey("full", ("RS256",), RSA.public_key()),
        PublishedKey("null", ("RS256",), RSA.public_key()),
        PublishedKey("ec", ("ES256",), EC.public_key()),
    )


@pytest.mark.parametrize(
    "entry",
    [
        rsa_key("encryption", use="enc"),
        rsa_key("signing", key_ops=["sign"]),
        rsa_key("other", alg="RS512"),
        rsa_key("other", alg="PS256"),
        rsa_key("unknown", alg="XX"),
        {**EC_JWK, "kid": "not configured"},
        {**RSA_PRIVATE_JWK, "kid": "private"},
        {"kty": "oct", "k": "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0", "kid": "shared"},
        {"kty": "RSA", "kid": "incomplete"},
        {"kid": "nothing"},
        "no object",
        1,
        {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
    ],
)
def test_any_other_key_is_passed_over(entry: Any) -> None:
    (only,) = read_key_set(document(entry, rsa_key("good")), ("RS256",))
    assert only.kid == "good"
    with pytest.raises(KeySetUnavailable, match="no key for RS256"):
        read_key_set(document(entry), ("RS256",))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b"null",
        b"[]",
        b"{}",
        b'{"keys": 1}',
        b'{"keys": [{"key_ops": 1}]}',
        b'{"keys": ' + b"[" * 100_000,
    ],
)
def test_a_document_that_is_no_key_set_is_refused_as_a_whole(body: bytes) -> None:
    with pytest.raises(KeySetUnavailable, match="not a JSON object with a list of keys"):
        read_key_set(body, BOTH)
