"""Answers that their clients do not take."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from gateway.assembly import Gateway
from gateway.config import Config
from gateway.http import server as http_server
from gateway.http import streams as http_streams
from gateway.http.listeners import Listener
from tests.integration.http.conftest import token
from tests.integration.http.edge.clients import Clients, all_of, until


@pytest.mark.gen_test
async def test_who_does_not_read_an_answer_is_cut_off_and_who_does_is_not(
    reading_nothing: Clients, public: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_streams, "ANSWER_SECONDS", 0.3)
    monkeypatch.setattr(http_streams, "ANSWER_BYTES", 100)
    async with reading_nothing() as slow, reading_nothing() as client:
        of_slow, of_client = public._server._unsent

        def is_cut_off() -> bool:
            # The other one reads little by little meanwhile.
            with suppress(BlockingIOError):
                client.recv(1024)
            return of_slow.closed()

        await until(is_cut_off)
        with pytest.raises(ConnectionResetError):
            await all_of(slow)
        assert list(public._server._unsent) == [of_client]


@pytest.mark.gen_test
async def test_the_time_of_an_answer_is_not_that_of_the_answer_before_on_its_connection(
    reading_nothing: Clients, public: Listener, settings: Config, room: str
) -> None:
    """The old one compared what was taken with what had been taken before the old answer."""
    loop = asyncio.get_running_loop()
    async with reading_nothing() as client:
        (stream,) = public._server._unsent
        first = stream._answer_timer
        assert first is not None

        def is_taken() -> bool:
            with suppress(BlockingIOError):
                client.recv(65_536)
            return stream not in public._server._unsent

        await until(is_taken)
        assert first.cancelled()
        again = (
            f"GET {room}/messages HTTP/1.1\r\nHost: x\r\n"
            f"Authorization: Bearer {token(settings, 'anna')}\r\n\r\n"
        )
        await loop.sock_sendall(client, again.encode())
        await until(lambda: stream in public._server._unsent)
        assert stream._answer_timer not in (None, first)


@pytest.mark.gen_test
async def test_the_end_of_access_cuts_off_the_users_answer_and_not_the_next_one_on_the_connection(
    reading_nothing: Clients, public: Listener, gateway: Gateway
) -> None:
    """Behind a proxy the next one is somebody else's."""
    answers = gateway.services.answers
    async with reading_nothing() as proxy:
        (stream,) = public._server._unsent
        assert [each.identity.user for each in answers] == ["anna"]

        def is_taken() -> bool:
            with suppress(BlockingIOError):
                proxy.recv(65_536)
            return stream not in public._server._unsent

        await until(is_taken)
        page = b"GET /static/shared/words.js HTTP/1.1\r\nHost: x\r\n\r\n"
        await asyncio.get_running_loop().sock_sendall(proxy, page)
        await until(lambda: stream in public._server._unsent)
        assert not list(answers)


@pytest.mark.gen_test
async def test_the_answers_that_nobody_takes_are_limited_in_all(
    reading_nothing: Clients, public: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = public._server
    async with reading_nothing() as first, reading_nothing():
        monkeypatch.setattr(http_server, "_UNSENT", server._unsent_bytes)
        of_first, of_second = server._unsent
        async with reading_nothing():
            assert of_first.closed()
            assert not of_second.closed()
        with pytest.raises(ConnectionResetError):
            await all_of(first)
    await until(lambda: not server._unsent)
    assert server._unsent_bytes == 0
