"""Places of HTTP connections: who is refused, and who makes room for whom."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import struct
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from devenv import tls as certificates
from gateway import tls
from gateway.assembly import Gateway
from gateway.budget.budgets import Budgets
from gateway.config import Limits, Tls
from gateway.http.handlers import stomp
from gateway.http.listeners import Listener
from gateway.http.server import SPARE, Capacity
from gateway.limits import LiveLimits
from gateway.live.client.connection import Connection
from gateway.observe.events import Kind
from tests.integration.http.conftest import LOOPBACK
from tests.integration.http.edge.clients import (
    ASK,
    OTHER,
    Clients,
    Open,
    all_of,
    answer,
    until,
    until_closed,
)


@pytest.mark.parametrize(
    ("few", "many", "refusal"),
    [
        (
            {"http_connections_per_address": 2},
            {"http_connections_per_address": 3},
            (429, "too_many_connections"),
        ),
        ({"http_connections": 2}, {"http_connections": 3}, (503, "no_capacity")),
        (
            {"http_connections_per_address": 2},
            {"http_connections_per_address": 2, "proxies": ("127.0.0.1",)},
            (429, "too_many_connections"),
        ),
    ],
)
@pytest.mark.gen_test
async def test_connections_are_limited_and_their_places_given_back(  # noqa: PLR0917
    few: dict[str, Any],
    many: dict[str, Any],
    refusal: tuple[int, str],
    confirms: asyncio.Event,
    limit: Callable[..., None],
    dial: Open,
    busy: Open,
    public: Listener,
    gateway: Gateway,
) -> None:
    limit(**few)
    async with busy() as (one_reader, _), busy() as (two_reader, _):
        async with dial() as (reader, writer):
            writer.write(OTHER)
            status, body = await answer(reader)
            assert (status, json.loads(body)["code"]) == refusal
            assert await until_closed(reader) == b""
        limit(**many)
        async with dial() as (reader, writer):
            writer.write(OTHER)
            assert (await answer(reader))[0] == 404
        limit(**few)
        # Those that were there are not disturbed.
        confirms.set()
        for reader in (one_reader, two_reader):
            assert (await answer(reader))[0] == 201
    # Closing takes its turn of the loop.
    await until(lambda: not len(public._server._places))
    assert not public._server._leases
    async with dial() as (reader, writer):
        writer.write(OTHER)
        assert (await answer(reader))[0] == 404
    assert gateway.services.events.counts[Kind.REFUSAL, refusal[1], refusal[0]] == 1


@pytest.mark.parametrize("key", ["http_connections_per_address", "http_connections"])
@pytest.mark.gen_test
async def test_without_a_place_a_probe_is_answered_and_whoever_comes_once_there_is_one(
    key: str,
    confirms: asyncio.Event,
    limit: Callable[..., None],
    dial: Open,
    busy: Open,
    public: Listener,
) -> None:
    limit(**{key: 1})
    async with busy() as (busy_reader, _), AsyncExitStack() as silent:
        # Many that say nothing do not take the places of those that do.
        for _ in range(4 * SPARE):
            await silent.enter_async_context(dial())
        async with dial() as (late_reader, late_writer):
            late_writer.write(ASK)
            assert await answer(late_reader) == (200, b"ok")
            late_writer.write(OTHER)
            assert (await answer(late_reader))[0] == (429 if "address" in key else 503)
            confirms.set()
            assert (await answer(busy_reader))[0] == 201
            # The one that is done waits now, and makes room.
            await until(lambda: public._server._places.longest_waiting() is not None)
            async with dial() as (other_reader, other_writer):
                other_writer.write(OTHER)
                assert (await answer(other_reader))[0] == 404
            assert await until_closed(busy_reader) == b""


@pytest.mark.parametrize("key", ["http_connections_per_address", "http_connections"])
@pytest.mark.gen_test
async def test_of_those_that_wait_the_first_makes_room(
    key: str, limit: Callable[..., None], dial: Open, gateway: Gateway
) -> None:
    limit(**{key: 2})
    async with dial() as (first_reader, first), dial() as (second_reader, second):
        for reader, writer in ((first_reader, first), (second_reader, second)):
            writer.write(ASK)
            assert (await answer(reader))[0] == 200
        # The second has waited for longer now.
        first.write(ASK)
        assert (await answer(first_reader))[0] == 200
        async with dial() as (reader, writer):
            writer.write(OTHER)
            assert (await answer(reader))[0] == 404
            assert await until_closed(second_reader) == b""
            first.write(ASK)
            assert (await answer(first_reader))[0] == 200
    assert gateway.services.events.counts[Kind.REFUSAL, "made_room", 503] == 1


@pytest.mark.gen_test
async def test_too_many_new_connections_from_one_address_are_refused_and_probes_answered(
    limit: Callable[..., None], dial: Open, gateway: Gateway
) -> None:
    limit(http_connects_per_second=0.01, http_connects_burst=1)
    async with dial() as (first_reader, first), dial() as (reader, writer):
        writer.write(ASK)
        assert await answer(reader) == (200, b"ok")
        writer.write(OTHER)
        status, body = await answer(reader)
        assert (status, b'"code": "too_many_connects"' in body) == (429, True)
        first.write(OTHER)
        assert (await answer(first_reader))[0] == 404
        limit(http_connects_per_second=0.01, http_connects_burst=1, proxies=("127.0.0.1",))
        async with dial() as (other_reader, other):
            other.write(OTHER)
            assert (await answer(other_reader))[0] == 404
    assert gateway.services.events.counts[Kind.REFUSAL, "too_many_connects", 429] == 1


@pytest.mark.gen_test
@pytest.mark.parametrize("reset", [False, True])
async def test_who_leaves_without_a_word_takes_nobody_s_connections(
    limit: Callable[..., None], dial: Open, public: Listener, *, reset: bool
) -> None:
    limit(http_connects_per_second=0.01, http_connects_burst=1)
    for _ in range(20):
        # The loop has no turn before the client has left.
        with socket.create_connection(("127.0.0.1", public.port)) as passing:
            if reset:
                passing.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    async with dial() as (reader, writer):
        writer.write(OTHER)
        assert (await answer(reader))[0] == 404
        assert len(public._server._places) == 1


@pytest.mark.gen_test
async def test_half_a_body_makes_room_too(
    half_a_body: Open, dial: Open, limit: Callable[..., None]
) -> None:
    limit(http_connections=1)
    async with half_a_body() as (half_reader, _), dial() as (reader, writer):
        writer.write(OTHER)
        assert (await answer(reader))[0] == 404
        assert await until_closed(half_reader) == b""


@pytest.mark.gen_test
async def test_whoever_makes_room_does_so_at_once_even_if_something_was_said_to_it(
    dial: Open, limit: Callable[..., None], public: Listener
) -> None:
    limit(http_connections=1)
    async with dial() as (half_reader, half):
        half.write(
            b"POST /api/session HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n"
            b"Expect: 100-continue\r\n\r\n"
        )
        assert (await answer(half_reader))[0] == 100
        async with dial() as (other_reader, other):
            other.write(OTHER)
            assert (await answer(other_reader))[0] == 404
        assert await until_closed(half_reader) == b""
        assert not len(public._server.lingering)


@pytest.mark.gen_test
async def test_a_new_websocket_makes_no_room(
    dial: Open, public: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting: list[object] = []

    def connected(*args: Any, **kwargs: Any) -> Connection:
        connection = Connection(*args, **kwargs)
        waiting.append(public._server._places.longest_waiting())
        return connection

    monkeypatch.setattr(stomp, "Connection", connected)
    async with dial() as (reader, writer):
        writer.write(
            b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            b"Sec-WebSocket-Protocol: v12.stomp\r\n\r\n"
        )
        assert (await answer(reader))[0] == 101
    # Its socket is somebody else's, who would not know that it is closed.
    assert waiting == [None]


@pytest.mark.gen_test
async def test_an_answer_that_nobody_reads_makes_room_too(
    reading_nothing: Clients, dial: Open, limit: Callable[..., None]
) -> None:
    limit(http_connections=1)
    async with reading_nothing() as client, dial() as (reader, writer):
        writer.write(OTHER)
        assert (await answer(reader))[0] == 404
        with pytest.raises(ConnectionResetError):
            await all_of(client)


@pytest.mark.gen_test
async def test_a_handshake_of_tls_beyond_the_rate_of_new_connections_is_not_begun(
    gateway: Gateway, tmp_path: Path
) -> None:
    pair = certificates.ensure(tmp_path)
    limits = Limits(http_connects_per_second=0.01, http_connects_burst=1)
    listener = Listener(
        gateway.public,
        what="server.port",
        events=gateway.services.events,
        tls=tls.for_clients(Tls(certificate=pair.certificate, key=pair.key)),
        capacity=Capacity(Budgets(LiveLimits(limits), clock=time.monotonic)),
    )
    listener.open(LOOPBACK)
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    where = ("localhost", listener.port)
    reader, writer = await asyncio.open_connection(*where, ssl=trusting, family=socket.AF_INET)
    with pytest.raises(ConnectionError):
        await asyncio.open_connection(*where, ssl=trusting, family=socket.AF_INET)
    writer.write(ASK)
    assert await answer(reader) == (200, b"ok")
    writer.close()
    await asyncio.gather(writer.wait_closed(), return_exceptions=True)
    await listener.close()
    assert gateway.services.events.counts[Kind.REFUSAL, "too_many_connects", 429] == 1
