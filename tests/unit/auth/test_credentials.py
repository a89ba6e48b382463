"""A proof is checked once a minute, and never counts for longer than it says."""

from gateway.auth.credentials import CAPACITY, LIFETIME, Verified
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
