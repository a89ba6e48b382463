"""What threads do for a client counts for that client's share, whatever it asks for; what they do
for everybody counts for nobody."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from gateway.config import Config
from gateway.http.listeners import Listener
from gateway.http.streams import Guarded
from gateway.live.client.reader import Reader
from gateway.payer import Payer
from gateway.rotation import Rotation, Share
from tests.integration.http.conftest import Call, token
from tests.integration.http.stomp_talk import TOPIC, Talk


@pytest.fixture
def paid(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What requests have paid, each payment in seconds."""
    seconds: list[float] = []
    count = Guarded.has_computed

    def counted(stream: Guarded, amount: float) -> None:
        seconds.append(amount)
        count(stream, amount)

    monkeypatch.setattr(Guarded, "has_computed", counted)
    return seconds


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "", None),
        ("GET", "/members", None),
        ("GET", "/messages", None),
        ("GET", "/state", None),
        ("GET", "/knocks", None),
        ("POST", "/code", {"guests": "knock"}),
        ("POST", "/roster", {"text": "carol", "add": True}),
        ("PUT", "/members/carol", {"role": "participant"}),
    ],
)
async def test_requests_pay_for_what_the_database_does_for_them(
    call: Call, room: str, paid: list[float], method: str, path: str, body: Any
) -> None:
    paid.clear()
    answer = await call(method, room + path, user="anna", json=body)
    assert answer.status in (200, 201), answer.body
    assert sum(paid) > 0


@pytest.mark.gen_test
async def test_a_post_does_not_pay_for_the_commit_of_all(
    call: Call, room: str, paid: list[float]
) -> None:
    async def post() -> int:
        return (await call("POST", f"{room}/messages", user="bob", json={"body": "hi"})).status

    # Who bob is, and that he is a member, is known afterwards.
    assert await post() == 201
    paid.clear()
    assert await post() == 201
    assert paid == []


@pytest.mark.gen_test
async def test_a_client_rests_once_for_what_its_request_was_expected_to_cost(
    public: Listener,
    settings: Config,
    room: str,
    paid: list[float],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rests: list[float] = []
    rest = Rotation.rest

    def counted(rotation: Rotation, seconds: float, share: Share) -> None:
        rests.append(seconds)
        rest(rotation, seconds, share)

    monkeypatch.setattr(Rotation, "rest", counted)
    reader, writer = await asyncio.open_connection("127.0.0.1", public.port)
    head = f"GET {room}/messages HTTP/1.1\r\nHost: x\r\n"
    for _ in range(20):
        writer.write(f"{head}Authorization: Bearer {token(settings, 'anna')}\r\n\r\n".encode())
        answer = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"Content-Length: (\d+)", answer)
        assert length is not None
        await reader.readexactly(int(length[1]))
    writer.close()
    await writer.wait_closed()
    # The later ones rested beforehand, and nobody twice.
    assert len(rests) > len(paid) > 0
    assert sum(paid) <= sum(rests) < 1.8 * sum(paid)


@pytest.mark.gen_test
async def test_a_thread_that_ends_late_is_not_paid_by_the_next_client_on_the_connection(
    public: Listener, settings: Config, room: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind a proxy requests of many follow each other."""
    payers: list[tuple[Guarded, Payer]] = []
    payer_of = Guarded.payer

    def noted(stream: Guarded) -> Payer:
        payers.append((stream, payer_of(stream)))
        return payers[-1][1]

    monkeypatch.setattr(Guarded, "payer", noted)
    reader, writer = await asyncio.open_connection("127.0.0.1", public.port)
    for user in ("anna", "bob"):
        bearer = token(settings, user)
        writer.write(
            f"GET {room} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {bearer}\r\n\r\n".encode()
        )
        answer = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"Content-Length: (\d+)", answer)
        assert length is not None
        await reader.readexactly(int(length[1]))
    (stream, late), (same, _) = payers
    assert stream is same
    assert stream._rotation is not None
    shares = [stream._rotation.share(("user", user)) for user in ("anna", "bob")]
    before = [share.lately for share in shares]
    late(100.0)
    of_anna, of_bob = (share.lately - was for share, was in zip(shares, before, strict=True))
    assert of_anna > 90
    assert of_bob <= 0
    writer.close()
    await writer.wait_closed()


@pytest.mark.gen_test
async def test_frames_pay_for_what_the_database_does_for_them(
    talk: Callable[[str], Awaitable[Talk]], monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds: list[float] = []
    monkeypatch.setattr(Reader, "_computed", lambda _, amount: seconds.append(amount))
    anna = await talk("anna")
    seconds.clear()
    headers = (("destination", TOPIC), ("id", "s"), ("state", "true"), ("receipt", "r"))
    await anna.say("SUBSCRIBE", *headers)
    assert (await anna.hear()).command == "RECEIPT"
    assert sum(seconds) > 0
