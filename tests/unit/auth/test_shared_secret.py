"""The shared secret, and its rotation on gateways that follow one after the other."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import product

import pytest

from gateway.auth.ended import EndedSessions
from gateway.auth.passcodes import Passcodes
from gateway.auth.sessions import Sessions
from gateway.auth.shared_secret import SharedSecret
from gateway.cluster.envelope import BadEnvelope, Envelope, Seal
from gateway.domain.identity import Identity
from gateway.errors import TokenInvalid
from tests.fake_clock import FakeClock

OLD, NEW = "o" * 32, "n" * 32
WHO = Identity("kim", frozenset({"host"}), math.inf)


@dataclass
class Gateway:
    """Everything of one gateway that is derived from the secret."""

    secret: SharedSecret
    clock: FakeClock = field(default_factory=FakeClock)

    def __post_init__(self) -> None:
        ended = EndedSessions(clock=self.clock)
        self.sessions = Sessions(self.secret, lifetime=1000.0, clock=self.clock, ended=ended)
        self.passcodes = Passcodes(self.secret, clock=self.clock)
        self.seal = Seal(self.secret, clock=self.clock)


def cookie(signs: Gateway, checks: Gateway) -> None:
    signed = signs.sessions.sign(signs.sessions.open(WHO))
    assert checks.sessions.verify(signed).user == "kim"


def passcode(signs: Gateway, checks: Gateway) -> None:
    assert checks.passcodes.verify("kim", signs.passcodes.issue(WHO)) == {"host"}


def bus(signs: Gateway, checks: Gateway) -> None:
    hello = Envelope("1", "a", "hello", {})
    assert checks.seal.open(signs.seal.close(hello)) == hello


EVERY_USE = (cookie, passcode, bus)
Use = Callable[[Gateway, Gateway], None]


def rotation() -> Iterator[tuple[Gateway, Gateway]]:
    """Two gateways after each step of a rotation, as docs/how-to/tokens.md says it."""
    first, second = (Gateway(SharedSecret(OLD)) for _ in range(2))
    yield first, second
    for versions in ((OLD, NEW), (NEW, OLD), (NEW,)):
        for each in (first, second):
            each.secret.replace(*versions)
            yield first, second


@pytest.mark.parametrize("use", EVERY_USE)
def test_a_rotation_interrupts_nothing_between_gateways_that_follow_one_after_the_other(
    use: Use,
) -> None:
    steps = 0
    for gateways in rotation():
        steps += 1
        for signs, checks in product(gateways, repeat=2):
            use(signs, checks)
    assert steps == 7


def test_what_was_signed_before_a_rotation_counts_until_the_old_version_goes() -> None:
    gateway = Gateway(SharedSecret(OLD))
    signed = gateway.sessions.sign(gateway.sessions.open(WHO))
    issued = gateway.passcodes.issue(WHO)
    sealed = gateway.seal.close(Envelope("1", "a", "hello", {}))
    gateway.secret.replace(NEW, OLD)
    assert gateway.sessions.verify(signed).user == "kim"
    assert gateway.passcodes.verify("kim", issued) == {"host"}
    assert gateway.seal.open(sealed).kind == "hello"
    gateway.secret.replace(NEW)
    with pytest.raises(TokenInvalid):
        gateway.sessions.verify(signed)
    with pytest.raises(TokenInvalid):
        gateway.passcodes.verify("kim", issued)
    with pytest.raises(BadEnvelope, match="forged"):
        gateway.seal.open(sealed)


@pytest.mark.parametrize("use", EVERY_USE)
def test_the_first_version_signs(use: Use) -> None:
    use(Gateway(SharedSecret(NEW, OLD)), Gateway(SharedSecret(NEW)))
    with pytest.raises((TokenInvalid, BadEnvelope)):
        use(Gateway(SharedSecret(NEW, OLD)), Gateway(SharedSecret(OLD)))


def test_each_purpose_has_keys_of_its_own_and_keeps_them_until_the_secret_changes() -> None:
    secret = SharedSecret(OLD, NEW)
    keys = secret.keys("session")
    assert secret.keys("session") is keys
    assert len({*keys, *secret.keys("passcode")}) == 4
    assert keys == (*SharedSecret(OLD).keys("session"), *SharedSecret(NEW).keys("session"))
    secret.replace(NEW)
    assert secret.keys("session") == SharedSecret(NEW).keys("session")
