"""Answers that their clients do not take."""

from __future__ import annotations

from contextlib import suppress

import pytest

from gateway.http import server as http_server
from gateway.http import streams as http_streams
from gateway.http.listeners import Listener
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
