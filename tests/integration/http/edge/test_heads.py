"""Heads of requests: their size, their time, and the time between two requests."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from devenv import tls as certificates
from gateway import tls
from gateway.assembly import Gateway
from gateway.budget.budgets import Budgets
from gateway.config import Limits, Tls
from gateway.http import streams as http_streams
from gateway.http.listeners import Listener
from gateway.http.server import Capacity
from gateway.http.streams import HEAD_BYTES, HEAD_LINES
from gateway.limits import LiveLimits
from gateway.observe.events import Kind
from tests.integration.http.conftest import LOOPBACK
from tests.integration.http.edge.clients import ASK, Open, answer, until_closed


@pytest.mark.gen_test
async def test_a_head_that_does_not_end_is_refused_by_its_size(
    dial: Open, gateway: Gateway
) -> None:
    async with dial() as (reader, writer):
        writer.write(b"GET /healthz HTTP/1.1\r\n" + b"X-Much: " + b"x" * HEAD_BYTES)
        status, body = await answer(reader)
        assert status == 431
        assert b'"code": "head_too_large"' in body
        assert await until_closed(reader) == b""
    assert gateway.services.events.counts[Kind.REFUSAL, "head_too_large", 431] == 1


@pytest.mark.gen_test
async def test_a_head_that_is_large_and_whole_is_refused_too_and_one_below_is_not(
    dial: Open,
) -> None:
    for size, wanted in ((HEAD_BYTES + 1000, 431), (HEAD_BYTES - 1000, 200)):
        async with dial() as (reader, writer):
            writer.write(ASK[:-2] + b"X-Much: " + b"x" * size + b"\r\n\r\n")
            assert (await answer(reader))[0] == wanted


@pytest.mark.gen_test
async def test_a_head_of_many_lines_is_refused_and_one_below_is_not(dial: Open) -> None:
    for lines, wanted in ((HEAD_LINES, 431), (HEAD_LINES - 3, 200)):
        async with dial() as (reader, writer):
            writer.write(ASK[:-2] + b"a:b\r\n" * lines + b"\r\n")
            assert (await answer(reader))[0] == wanted


@pytest.mark.gen_test
async def test_half_a_head_is_waited_for_so_long_and_no_longer(
    dial: Open, monkeypatch: pytest.MonkeyPatch, gateway: Gateway
) -> None:
    monkeypatch.setattr(http_streams, "HEAD_SECONDS", 0.2)
    async with dial() as (reader, writer):
        # Also when it is the second one of its connection, however much of it keeps coming.
        writer.write(ASK)
        assert await answer(reader) == (200, b"ok")
        writer.write(b"GET /healthz")
        status, body = await answer(reader)
        assert status == 408
        assert b'"code": "head_too_slow"' in body
        assert await until_closed(reader) == b""
    async with dial() as (reader, _):
        # Nothing was asked: a browser had it opened for later.
        assert await until_closed(reader) == b""
    assert gateway.services.events.counts[Kind.REFUSAL, "head_too_slow", 408] == 1


@pytest.mark.gen_test
async def test_a_connection_that_idles_between_two_requests_is_not_hurried(
    dial: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_streams, "HEAD_SECONDS", 0.2)
    async with dial() as (idle_reader, idle_writer), dial() as (reader, writer):
        idle_writer.write(ASK)
        assert (await answer(idle_reader))[0] == 200
        writer.write(b"GET")
        # Its time is the same; the other one has nothing to be late with.
        assert (await answer(reader))[0] == 408
        idle_writer.write(ASK)
        assert (await answer(idle_reader))[0] == 200


@pytest.mark.gen_test
async def test_a_connection_that_idles_too_long_is_closed_without_a_word(
    dial: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_streams, "IDLE_SECONDS", 0.3)
    loop = asyncio.get_running_loop()
    async with dial() as (reader, writer):
        for _ in range(2):
            writer.write(ASK)
            assert (await answer(reader))[0] == 200
        answered = loop.time()
        assert await until_closed(reader) == b""
        assert 0.2 < loop.time() - answered < 5


@pytest.mark.parametrize("said", [b"", b"\x16\x03\x01\x02\x00"], ids=["nothing", "half a hello"])
@pytest.mark.gen_test
async def test_a_handshake_of_tls_counts_among_the_head_s_time(
    said: bytes, gateway: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_streams, "HEAD_SECONDS", 0.2)
    pair = certificates.ensure(tmp_path)
    listener = Listener(
        gateway.public,
        what="server.port",
        events=gateway.services.events,
        tls=tls.for_clients(Tls(certificate=pair.certificate, key=pair.key)),
        capacity=Capacity(Budgets(LiveLimits(Limits()), clock=time.monotonic)),
    )
    listener.open(LOOPBACK)
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
    writer.write(said)
    # Whatever is said to that is no HTTP.
    assert not (await until_closed(reader)).startswith(b"HTTP")
    writer.close()
    await listener.close()
    assert not len(listener._server._places)
