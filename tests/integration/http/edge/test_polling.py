"""What a connection asks of the loop's poll: nothing for a request that comes whole, and never more
than somebody waits for."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tornado.ioloop import IOLoop

from gateway.config import Config
from gateway.http.listeners import Listener
from tests.integration.http.conftest import token
from tests.integration.http.edge.clients import Open, answer, until

#: More than two reads take (bytes).
_MUCH = 4 * 1024 * 1024


@pytest.mark.gen_test
async def test_a_request_that_comes_whole_changes_nothing_in_the_poll(
    dial: Open,
    public: Listener,
    settings: Config,
    room: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    changes: list[tuple[Any, int]] = []
    monkeypatch.setattr(
        type(IOLoop.current()), "update_handler", lambda _, fd, events: changes.append((fd, events))
    )
    post = (
        f"POST {room}/messages HTTP/1.1\r\nHost: x\r\n"
        f"Authorization: Bearer {token(settings, 'anna', 'host')}\r\n"
        'Content-Type: application/json\r\nContent-Length: 12\r\n\r\n{"body":"x"}'
    )
    async with dial() as (reader, writer):
        for _ in range(3):
            await until(lambda: public._server._places.longest_waiting() is not None)
            writer.write(post.encode())
            assert (await answer(reader))[0] == 201
    assert not changes


@pytest.mark.gen_test
async def test_what_comes_behind_a_request_in_hand_stays_in_the_kernel(
    confirms: asyncio.Event, busy: Open, public: Listener
) -> None:
    async with busy() as (reader, writer):
        *_, stream = public._server._places._addresses
        writer.write(b"x" * _MUCH)
        # Its body has been read, and something behind it.
        await until(lambda: stream._read_buffer_size > 0 and not stream.reading())
        assert stream._read_buffer_size <= 2 * stream.read_chunk_size
        confirms.set()
        assert (await answer(reader))[0] == 201
