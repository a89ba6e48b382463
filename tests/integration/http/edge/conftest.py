"""Clients that send bytes, of a listener whose limits can be changed."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tornado.ioloop import IOLoop

from broker.publishing.publication import Publication
from gateway.budget.budgets import Budgets
from gateway.config import Config, Limits
from gateway.http.listeners import Listener
from gateway.http.server import Capacity
from gateway.limits import LiveLimits
from tests.integration.http.conftest import Call, FakeBroker, token
from tests.integration.http.edge.clients import Clients, Open, Stream, until


@pytest.fixture
def dial(public: Listener) -> Open:
    @asynccontextmanager
    async def dial() -> AsyncIterator[Stream]:
        reader, writer = await asyncio.open_connection("127.0.0.1", public.port)
        try:
            yield reader, writer
        finally:
            writer.close()
            with_error = await asyncio.gather(writer.wait_closed(), return_exceptions=True)
            assert not any(isinstance(e, TimeoutError) for e in with_error)

    return dial


@pytest.fixture
def limit(public: Listener) -> Callable[..., None]:
    """A function that changes the limits of HTTP connections."""
    live = LiveLimits(Limits())
    capacity = public._server._capacity = Capacity(Budgets(live, clock=time.monotonic))

    def limit(*, proxies: tuple[str, ...] = (), **limits: int) -> None:
        live.now = Limits.model_validate(limits)
        capacity._trusted_proxies = frozenset(proxies)

    return limit


@pytest.fixture
def half_a_body(dial: Open, public: Listener, settings: Config) -> Open:
    """A connection with a request whose body's rest is missing: a thousand spaces, and
    ``"It"}``."""

    @asynccontextmanager
    async def half_a_body() -> AsyncIterator[Stream]:
        bearer = token(settings, "kim", "host")
        before = len(public._server._places)
        async with dial() as (reader, writer):
            writer.write(
                f"POST /api/rooms HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {bearer}\r\n"
                'Content-Type: application/json\r\nContent-Length: 1014\r\n\r\n{"title":'.encode()
            )
            await until(lambda: len(public._server._places) > before)
            *_, stream = public._server._places._addresses
            await until(lambda: stream._body_timer is not None)
            yield reader, writer

    return half_a_body


@pytest.fixture
def confirms(tables: dict[str, Any], broker: FakeBroker) -> Iterator[asyncio.Event]:
    """The moment at which the broker confirms what was posted; until then posts have no answer.

    A test must ask for it before anything that needs the gateway.
    """
    tables["broker"]["confirm_timeout"] = 10.0
    confirms, publish = asyncio.Event(), broker.publish

    async def late(publication: Publication, timeout: float) -> None:  # noqa: ASYNC109 - the port's own
        await confirms.wait()
        await publish(publication, timeout)

    broker.publish = late  # type: ignore[method-assign]
    yield confirms
    confirms.set()


@pytest.fixture
def busy(
    confirms: asyncio.Event, dial: Open, public: Listener, settings: Config, room: str
) -> Open:
    """A connection with a whole request in hand, which is answered once the broker confirms."""

    @asynccontextmanager
    async def busy() -> AsyncIterator[Stream]:
        bearer, places = token(settings, "anna", "host"), public._server._places
        before = len(places)
        async with dial() as (reader, writer):
            writer.write(
                f"POST {room}/messages HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {bearer}\r\n"
                "Content-Type: application/json\r\nContent-Length: 12\r\n\r\n"
                '{"body":"x"}'.encode()
            )
            await until(lambda: len(places) > before)
            *_, stream = places._addresses
            await until(lambda: stream not in places._waiting)
            yield reader, writer

    return busy


@pytest.fixture
def reading_nothing(
    public: Listener, settings: Config, room: str, call: Call, io_loop: IOLoop
) -> Clients:
    """A client that asks for a large page and takes none of it; little waits in the kernel."""

    async def fill() -> None:
        for _ in range(5):
            body = {"body": "x" * 60_000}
            assert (await call("POST", f"{room}/messages", user="anna", json=body)).status == 201

    io_loop.run_sync(fill)
    public._sockets.opened[0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)

    @asynccontextmanager
    async def reading_nothing() -> AsyncIterator[socket.socket]:
        loop, before = asyncio.get_running_loop(), set(public._server._unsent)
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.setblocking(False)
            await loop.sock_connect(client, ("127.0.0.1", public.port))
            request = (
                f"GET {room}/messages HTTP/1.1\r\nHost: x\r\n"
                f"Authorization: Bearer {token(settings, 'anna')}\r\n\r\n"
            )
            await loop.sock_sendall(client, request.encode())
            await until(lambda: bool(public._server._unsent.keys() - before))
            yield client

    return reading_nothing
