"""A publisher without a broker: nothing is promised, nothing waits for ever, nothing is told."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import pytest

from broker.nodes.credentials import Credentials
from broker.nodes.node import Node
from broker.nodes.rendezvous import LinkState
from broker.publishing.provision import QueueFailed
from broker.publishing.publication import AlreadyInFlight, NotConfirmed, Publication
from broker.publishing.publisher import Publisher
from broker.timing.tasks import Tasks
from broker.topology import Topology

MESSAGE = Publication("acdm.mo.interact.public.1", b"{}", "id-1")


def unused_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])


@asynccontextmanager
async def publisher_of(
    *ports: int, ssl_context: ssl.SSLContext | None = None
) -> AsyncIterator[Publisher]:
    scheme = "amqp" if ssl_context is None else "amqps"
    nodes = [
        Node(f"r{number}", "ws://127.0.0.1/ws", f"{scheme}://127.0.0.1:{port}")
        for number, port in enumerate(ports, start=1)
    ]
    credentials = Credentials("gateway", "very secret/@:", "/")
    rng = Random(1)  # noqa: S311 - spreads load, guards nothing
    publisher = Publisher(
        nodes, credentials, Topology(), timeout=0.2, rng=rng, ssl_context=ssl_context, tasks=Tasks()
    )
    publisher.start()
    try:
        yield publisher
    finally:
        await publisher.close()


def test_with_every_node_away_a_publication_fails_in_its_time_and_says_why(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)

    async def run() -> None:
        async with publisher_of(unused_port(), unused_port()) as publisher:
            with pytest.raises(NotConfirmed, match=r"r1: .*r2: |r2: .*r1: ") as caught:
                await publisher.publish(MESSAGE, 0.3)
            with pytest.raises(QueueFailed, match=r"cannot declare acdm.*\.private\.1: not conn"):
                await publisher.declare_private_queue(1)
            assert [link.state for link in publisher.links] == [LinkState.DOWN] * 2
            assert publisher._links.place(MESSAGE.routing_key) is None
            assert not publisher.has_been_connected
            assert "secret" not in repr(caught.value)

    asyncio.run(run())
    # Tried again and again, told once a node.
    assert caplog.text.count("dialling again") == 2
    assert "secret" not in caplog.text


def test_a_node_that_never_answers_is_given_up() -> None:
    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(65536):
            pass
        writer.close()

    async def run() -> None:
        silent = await asyncio.start_server(listen, "127.0.0.1", 0)
        async with silent, publisher_of(silent.sockets[0].getsockname()[1]) as publisher:
            with pytest.raises(NotConfirmed, match=r"r1: no AMQP session within 0\.2 s"):
                await publisher.publish(MESSAGE, 1)

    asyncio.run(run())


def test_a_server_that_speaks_no_amqp_is_given_up() -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    async def run() -> None:
        web = await asyncio.start_server(greet, "127.0.0.1", 0)
        async with web, publisher_of(web.sockets[0].getsockname()[1]) as publisher:
            with pytest.raises(NotConfirmed, match="not connected: r1: "):
                await publisher.publish(MESSAGE, 1)

    asyncio.run(run())


def test_the_same_id_twice_at_once_is_sent_once() -> None:
    async def run() -> None:
        async with publisher_of(unused_port()) as publisher:
            first = asyncio.create_task(publisher.publish(MESSAGE, 0.1))
            await asyncio.sleep(0)
            with pytest.raises(AlreadyInFlight, match="id-1 is being published already"):
                await publisher.publish(MESSAGE, 0.1)
            with pytest.raises(NotConfirmed):
                await first
            with pytest.raises(NotConfirmed, match="not connected"):
                await publisher.publish(MESSAGE, 0.1)

    asyncio.run(run())


def test_a_cancelled_publication_is_cancelled_not_failed() -> None:
    async def run() -> None:
        async with publisher_of(unused_port()) as publisher:
            waiting = asyncio.create_task(publisher.publish(MESSAGE, 30))
            await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting

    asyncio.run(run())


@pytest.mark.parametrize("trusted", [True, False])
def test_over_tls_only_a_verified_node_is_spoken_to(certificate: Path, trusted: bool) -> None:
    heard: list[bytes] = []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(8))
        writer.close()

    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(certificate)
    client = ssl.create_default_context(cafile=str(certificate) if trusted else None)
    reason = "not connected: r1: " if trusted else "self-signed certificate"

    async def run() -> None:
        node = await asyncio.start_server(listen, "127.0.0.1", 0, ssl=server)
        port = node.sockets[0].getsockname()[1]
        async with node, publisher_of(port, ssl_context=client) as publisher:
            with pytest.raises(NotConfirmed, match=reason):
                await publisher.publish(MESSAGE, 0.5)

    asyncio.run(run())
    assert set(heard) == ({b"AMQP\0\0\x09\x01"} if trusted else set())


def test_tls_needs_something_to_verify_the_certificates_with() -> None:
    rng = Random(1)  # noqa: S311 - spreads load, guards nothing
    node = Node("r1", "wss://127.0.0.1/ws", "amqps://127.0.0.1")
    with pytest.raises(ValueError, match="amqps:// needs an ssl_context"):
        Publisher([node], Credentials("a", "b"), Topology(), timeout=1, rng=rng, tasks=Tasks())


def test_a_publisher_that_was_not_started_says_so() -> None:
    rng = Random(1)  # noqa: S311 - spreads load, guards nothing
    node = Node("r1", "ws://127.0.0.1/ws", "amqp://127.0.0.1")

    async def run() -> None:
        publisher = Publisher(
            [node], Credentials("a", "b"), Topology(), timeout=1, rng=rng, tasks=Tasks()
        )
        assert publisher.problem == "not connected: r1: not started"
        await publisher.close()

    asyncio.run(run())


def test_publications_behind_a_message_that_was_never_sent_fail_with_it() -> None:
    """Or it would overtake: the outbox sends what has failed again after a rest."""
    rng = Random(1)  # noqa: S311 - spreads load, guards nothing
    node = Node("r1", "ws://127.0.0.1/ws", "amqp://127.0.0.1")

    async def run() -> None:
        publisher = Publisher(
            [node], Credentials("a", "b"), Topology(), timeout=1, rng=rng, tasks=Tasks()
        )
        impatient = asyncio.create_task(publisher.publish(Publication("k", b"", "1"), 0.05))
        behind = [
            asyncio.create_task(publisher.publish(Publication("k", b"", id), 60)) for id in "23"
        ]
        elsewhere = asyncio.create_task(publisher.publish(Publication("other", b"", "4"), 60))
        with pytest.raises(NotConfirmed, match="not started"):
            await impatient
        for task in behind:
            with pytest.raises(NotConfirmed, match="before it has failed"):
                await asyncio.wait_for(task, 5)
        later = asyncio.create_task(publisher.publish(Publication("k", b"", "5"), 60))
        await asyncio.sleep(0.01)
        assert not later.done()
        assert not elsewhere.done()
        for task in (later, elsewhere):
            task.cancel()
        await asyncio.wait({later, elsewhere})
        await publisher.close()

    asyncio.run(run())
