"""Dialling peers that misbehave: each fault has its type, and no socket is left behind."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest
from tornado.iostream import StreamClosedError

from broker.dialling import (
    ConnectFailed,
    ConnectionLost,
    DialError,
    DialTimeout,
    HandshakeRefused,
    LoginRefused,
)
from broker.nodes.credentials import Credentials
from broker.nodes.node import Node
from broker.protocol import stomp
from broker.protocol.websocket import (
    Close,
    Data,
    MessageReader,
    Opcode,
    accept_key,
    build,
    close_payload,
)
from broker.webstomp.session import WebSocketStream, WebStompSession, dial, log_in

CREDENTIALS = Credentials("gateway", "very-secret", "/")
CONNECTED = stomp.serialise("CONNECTED", [("version", "1.2"), ("heart-beat", "5000,10000")])
Peer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def node(port: int, scheme: str = "ws") -> Node:
    return Node("r1", f"{scheme}://127.0.0.1:{port}/ws", "amqp://127.0.0.1")


@asynccontextmanager
async def peer(behave: Peer, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A server that behaves so on every connection; gives its port."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await behave(reader, writer)
        except (asyncio.CancelledError, ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks)


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


def answering(head: bytes) -> Peer:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head)
        await writer.drain()
        await reader.read()

    return answer


def web_stomp(*after_connect: bytes, subprotocol: str | None = "v12.stomp") -> Peer:
    """Upgrades properly, then answers CONNECT with these bytes, one write each, and closes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = (await reader.readuntil(b"\r\n\r\n")).decode()
        key = next(x for x in request.split("\r\n") if x.startswith("Sec-WebSocket-Key: "))[19:]
        head = [
            "HTTP/1.1 101 Switching Protocols",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Accept: {accept_key(key)}",
        ]
        if subprotocol:
            head.append(f"Sec-WebSocket-Protocol: {subprotocol}")
        writer.write("\r\n".join([*head, "", ""]).encode())
        await writer.drain()
        await reader.readexactly(2)
        for part in after_connect:
            writer.write(part)
            await writer.drain()
            # Lets the other side read the parts one by one.
            await asyncio.sleep(0)

    return serve


def dialled(port: int) -> int:
    """How many sockets of this process are connected to the port."""
    return sum(
        bool(c.raddr) and c.raddr.port == port for c in psutil.Process().net_connections("tcp")
    )


async def fails(port: int, kind: type[DialError], match: str, *, timeout: float = 5.0) -> None:  # noqa: ASYNC109 - passed on
    with pytest.raises(kind, match=match) as caught:
        await log_in(await dial(node(port), timeout=timeout), CREDENTIALS, timeout=timeout)
    assert "very-secret" not in repr(caught.value)
    assert dialled(port) == 0


def unused_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])


def test_a_closed_port_is_a_failed_connect() -> None:
    asyncio.run(fails(unused_port(), ConnectFailed, "r1: Connection refused"))


def test_a_host_that_cannot_be_resolved_is_a_failed_connect() -> None:
    host = "a" * 64
    with pytest.raises(ConnectFailed, match=f"r1: {host}"):
        asyncio.run(dial(Node("r1", f"ws://{host}/ws", f"amqp://{host}"), timeout=5))


@pytest.mark.parametrize(
    ("head", "match"),
    [
        (b"HTTP/1.1 404 Not Found\r\n\r\n", "404 Not Found"),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", "Upgrade is not websocket"),
        (b"AMQP\x00\x00\x09\x01\r\n\r\n", "expected HTTP/1.1 101"),
        (b"x" * 100_000, "a head above 16384 bytes"),
    ],
)
def test_requests_that_do_not_upgrade_are_refused(head: bytes, match: str) -> None:
    async def run() -> None:
        async with peer(answering(head)) as port:
            await fails(port, HandshakeRefused, match)

    asyncio.run(run())


def test_a_peer_that_closes_in_the_handshake_is_refused() -> None:
    async def close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")

    async def run() -> None:
        async with peer(close) as port:
            await fails(port, HandshakeRefused, "in the handshake")

    asyncio.run(run())


def test_a_websocket_that_does_not_speak_stomp_is_refused() -> None:
    async def run() -> None:
        async with peer(web_stomp(subprotocol=None)) as port:
            await fails(port, HandshakeRefused, r"not for v12\.stomp")

    asyncio.run(run())


def test_a_peer_that_never_answers_ends_in_a_timeout() -> None:
    async def run() -> None:
        async with peer(silent) as port:
            await fails(port, DialTimeout, r"no WebSocket within 0\.05 s", timeout=0.05)

    asyncio.run(run())


def test_a_login_that_is_never_answered_ends_in_a_timeout() -> None:
    async def upgrade_only(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await web_stomp()(reader, writer)
        await asyncio.Event().wait()

    async def run() -> None:
        async with peer(upgrade_only) as port:
            await fails(port, DialTimeout, r"no CONNECTED within 0\.2 s", timeout=0.2)

    asyncio.run(run())


def test_a_cancelled_dial_leaves_no_socket_behind() -> None:
    async def run() -> None:
        asked = asyncio.Event()

        async def ask_and_wait(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            asked.set()
            await silent(reader, writer)

        async with peer(ask_and_wait) as port:
            task = asyncio.create_task(dial(node(port), timeout=30))
            async with asyncio.timeout(5):
                await asked.wait()
            assert dialled(port) == 1
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert dialled(port) == 0

    asyncio.run(run())


@pytest.mark.parametrize(
    ("answer", "kind", "match"),
    [
        (
            build(
                Opcode.TEXT,
                stomp.serialise("ERROR", [("message", "Bad CONNECT")], b"Access refused\n"),
            ),
            LoginRefused,
            "login refused: Bad CONNECT: Access refused$",
        ),
        (
            build(Opcode.CLOSE, close_payload(1011, "crashed")),
            ConnectionLost,
            "closed with 1011 crashed",
        ),
        (b"", ConnectionLost, "connection was closed|reset"),
        (build(Opcode.TEXT, b"MESSAGE\nno colon\n\n\0"), ConnectionLost, "no colon"),
        (build(Opcode.TEXT, b"HELLO\n\n\0"), ConnectionLost, "unknown command"),
        (b"\xff\xff\xff\xff", ConnectionLost, "reserved bit"),
        (b"\x82\x7f" + (1 << 40).to_bytes(8), ConnectionLost, "at most 65536"),
    ],
)
def test_a_connection_without_connect_closes_the_socket(
    answer: bytes, kind: type[DialError], match: str
) -> None:
    async def run() -> None:
        async with peer(web_stomp(answer)) as port:
            await fails(port, kind, match)

    asyncio.run(run())


async def session(*answer: bytes, heart_beat: tuple[int, int] = (0, 0)) -> WebStompSession:
    async with peer(web_stomp(*answer)) as port:
        upstream = await log_in(
            await dial(node(port), timeout=5), CREDENTIALS, timeout=5, heart_beat=heart_beat
        )
        upstream.close()
        return upstream


def test_connected_opens_the_session_and_what_was_read_beyond_it_is_kept() -> None:
    beyond = build(Opcode.BINARY, b"\n") + b"\x82"
    upstream = asyncio.run(session(build(Opcode.BINARY, CONNECTED + b"\n") + beyond))
    assert upstream.connected.get("version") == "1.2"
    assert upstream.leftover == beyond


def test_connected_may_come_in_pieces_with_control_frames_between() -> None:
    whole = (
        build(Opcode.PING, b"?")
        + build(Opcode.BINARY, b"\n")
        + build(Opcode.BINARY, CONNECTED[:9], fin=False)
        + build(Opcode.PONG, b"")
        + build(Opcode.CONTINUATION, CONNECTED[9:])
    )
    upstream = asyncio.run(session(*(whole[i : i + 1] for i in range(len(whole)))))
    assert (upstream.connected.command, upstream.leftover) == ("CONNECTED", b"")


@pytest.mark.parametrize(
    ("ours", "agreed"),
    [((0, 0), (0, 0)), ((1000, 1000), (10000, 5000)), ((20000, 0), (20000, 0))],
)
def test_heart_beats_are_the_slower_of_both_wishes(
    ours: tuple[int, int], agreed: tuple[int, int]
) -> None:
    upstream = asyncio.run(session(build(Opcode.BINARY, CONNECTED), heart_beat=ours))
    assert upstream.heart_beat == agreed


def test_frames_are_masked_with_a_fresh_key_each_and_the_close_says_goodbye() -> None:
    received = bytearray()

    async def record(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await web_stomp()(reader, writer)
        received.extend(await reader.read())
        done.set()

    done = asyncio.Event()

    async def run() -> None:
        async with peer(record) as port:
            websocket = await dial(node(port), timeout=5)
            nodelay = websocket.stream.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert nodelay
            await websocket.send(b"ab")
            await websocket.send(b"same")
            await websocket.send(b"same")
            websocket.close()
            websocket.close()
            with pytest.raises(StreamClosedError):
                websocket.send(b"too late")
            async with asyncio.timeout(5):
                await done.wait()

    asyncio.run(run())
    frames = bytes(received)
    # The peer took the two bytes of the first frame's head off.
    first, second, close = frames[6:16], frames[16:26], frames[26:]
    assert first != second
    reader = MessageReader(100, masked=True)
    assert list(reader.feed(first + second + close)) == [
        Data(b"same", Opcode.BINARY),
        Data(b"same", Opcode.BINARY),
        Close(1000, ""),
    ]


async def over_tls(certificate: Path, client: ssl.SSLContext, host: str) -> WebSocketStream:
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(certificate)
    async with peer(web_stomp(), server) as port:
        at = Node("r1", f"wss://{host}:{port}/ws", "amqp://127.0.0.1")
        websocket = await dial(at, timeout=5, ssl_options=client)
        websocket.close()
        return websocket


def test_a_verified_certificate_is_accepted(certificate: Path) -> None:
    trusting = ssl.create_default_context(cafile=str(certificate))
    asyncio.run(over_tls(certificate, trusting, "127.0.0.1"))


@pytest.mark.parametrize(
    ("trusted", "host", "match"),
    [(False, "127.0.0.1", "self-signed"), (True, "localhost", "not valid for 'localhost'")],
)
def test_a_foreign_certificate_is_a_failed_connect(
    certificate: Path, trusted: bool, host: str, match: str
) -> None:
    client = ssl.create_default_context(cafile=str(certificate) if trusted else None)
    with pytest.raises(ConnectFailed, match=match):
        asyncio.run(over_tls(certificate, client, host))


def test_tls_needs_something_to_verify_the_certificate_with() -> None:
    with pytest.raises(ValueError, match="wss:// needs ssl_options"):
        asyncio.run(dial(node(1, "wss"), timeout=1))
