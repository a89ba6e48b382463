"""Messages among gateways: nobody else can write them, and each is valid once and not for long."""

import json
from base64 import b64decode, b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.auth.shared_secret import SharedSecret
from gateway.cluster.envelope import FRESH, MAX_BYTES, BadEnvelope, Envelope, Seal
from tests.fake_clock import FakeClock

SECRET = "s" * 32
HELLO = Envelope("1", "north-1a2b", "hello", {"room": 42})

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


def seal(clock: FakeClock | None = None, secret: str = SECRET) -> Seal:
    return Seal(SharedSecret(secret), clock=clock or FakeClock())


def refusal(opener: Seal, data: bytes) -> str:
    with pytest.raises(BadEnvelope) as refused:
        opener.open(data)
    return refused.value.why


@given(payload=st.dictionaries(st.text(), json_values), reply_to=st.none() | st.text())
def test_sealed_messages_open_as_they_were(
    payload: dict[str, object], reply_to: str | None
) -> None:
    envelope = Envelope("7", "north", "kind", payload, reply_to)
    assert seal().open(seal().close(envelope)) == envelope


def test_nothing_of_it_can_be_read() -> None:
    assert b"north" not in b64decode(seal().close(HELLO))


def test_another_secret_opens_nothing() -> None:
    assert refusal(seal(secret="t" * 32), seal().close(HELLO)) == "forged"


@given(at=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_a_changed_bit_makes_it_a_forgery(at: int, bit: int) -> None:
    sealed = bytearray(b64decode(seal().close(HELLO)))
    sealed[at % len(sealed)] ^= 1 << bit
    assert refusal(seal(), b64encode(sealed)) == "forged"


@pytest.mark.parametrize(
    "data",
    [b"", b"hello", b"!" * 40, json.dumps({"kind": "kick"}).encode(), b"A" * (MAX_BYTES + 4)],
    ids=["nothing", "too short", "no base64", "JSON", "too long"],
)
def test_a_message_that_no_gateway_has_sealed_is_a_forgery(data: bytes) -> None:
    assert refusal(seal(), data) == "forged"


def test_the_same_message_passes_once() -> None:
    opener, sealed = seal(), seal().close(HELLO)
    opener.open(sealed)
    assert refusal(opener, sealed) == "repeated"
    assert opener.open(seal().close(HELLO)) == HELLO, "said again is another message"


@pytest.mark.parametrize("age", [FRESH + 1, -FRESH - 1])
def test_a_message_of_another_time_is_stale(age: float) -> None:
    then, now = FakeClock(), FakeClock()
    now.now += age
    assert refusal(seal(now), seal(then).close(HELLO)) == "stale"


@pytest.mark.parametrize("by", [-3600.0, 45.0])
def test_a_clock_that_is_known_to_be_wrong_makes_nothing_stale_and_keeps_nothing_fresh(
    by: float,
) -> None:
    theirs, ours = FakeClock(), FakeClock()
    theirs.now += by
    opener = Seal(SharedSecret(SECRET), clock=ours, ahead={"north-1a2b": by}.__getitem__)
    sealed = seal(theirs).close(HELLO)
    assert opener.open(sealed) == HELLO
    late = seal(theirs).close(HELLO)
    ours.now += FRESH + 1
    assert refusal(opener, late) == "stale"


def test_no_replay_comes_through_once_it_is_forgotten() -> None:
    sender, receiver = FakeClock(), FakeClock()
    sender.now += FRESH
    sealed = seal(sender).close(HELLO)
    opener = seal(receiver)
    opener.open(sealed)
    receiver.now += 2 * FRESH - 1
    assert refusal(opener, sealed) == "repeated"
    receiver.now += 2
    assert refusal(opener, sealed) == "stale"


def test_a_message_has_an_end() -> None:
    with pytest.raises(ValueError, match="at most"):
        seal().close(Envelope("1", "north", "kind", {"long": "x" * MAX_BYTES}))
