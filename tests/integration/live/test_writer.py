"""The sending half of a stream, on real sockets: all is sent, in order, and counted."""

import asyncio
import socket
import ssl
from collections.abc import Callable

import pytest
from tornado.ioloop import IOLoop
from tornado.iostream import IOStream, SSLIOStream

from devenv import tls
from gateway.live.writer import Stalled, Writer

_BUFFER = 16_384
#: More than any socket buffer of the kernel takes.
_MUCH = 8 * 1024 * 1024
_TIMEOUT = 20

Pair = tuple[IOStream, IOStream]


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> tls.Pair:
    return tls.ensure(tmp_path_factory.mktemp("tls"))


@pytest.fixture(params=["plain", "tls"])
def pair(
    request: pytest.FixtureRequest, certificates: tls.Pair, io_loop: IOLoop
) -> Callable[[], Pair]:
    """Two ends of a connection with small buffers, ours and the peer's."""

    def plain() -> tuple[socket.socket, socket.socket]:
        ours, theirs = socket.socketpair()
        for end in (ours, theirs):
            end.setblocking(False)
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
            end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        return ours, theirs

    def make() -> Pair:
        ours, theirs = plain()
        if request.param == "plain":
            return IOStream(ours), IOStream(theirs)
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.load_cert_chain(certificates.certificate, certificates.key)
        client = ssl.create_default_context(cafile=str(certificates.authority))
        return (
            SSLIOStream(server.wrap_socket(ours, server_side=True, do_handshake_on_connect=False)),
            SSLIOStream(
                client.wrap_socket(
                    theirs, server_hostname="localhost", do_handshake_on_connect=False
                )
            ),
        )

    return make


async def shaken(ends: Pair) -> Pair:
    await asyncio.gather(*(e.wait_for_handshake() for e in ends if isinstance(e, SSLIOStream)))
    return ends


def numbered(count: int, size: int) -> list[bytes]:
    return [b"%08d" % n * (size // 8) for n in range(count)]


@pytest.mark.gen_test(timeout=_TIMEOUT)
async def test_what_the_socket_takes_leaves_at_once(pair: Callable[[], Pair]) -> None:
    ours, theirs = await shaken(pair())
    writer = Writer(ours, stall_timeout=1)
    writer.write(b"hello")
    assert (writer.bytes, writer.backlog) == (5, 0)
    assert await theirs.read_bytes(5) == b"hello"
    await writer.drained()
    ours.close()
    theirs.close()


@pytest.mark.gen_test(timeout=_TIMEOUT)
async def test_what_it_does_not_take_follows_in_order_and_the_backlog_returns_to_nothing(
    pair: Callable[[], Pair],
) -> None:
    ours, theirs = await shaken(pair())
    writer = Writer(ours, stall_timeout=_TIMEOUT)
    chunks = [*numbered(40, 100_000), *numbered(500, 80), *numbered(3, 1_000_000)]
    for chunk in chunks:
        writer.write(chunk)
    everything = b"".join(chunks)
    assert writer.bytes == len(everything)
    assert 0 < writer.backlog <= len(everything)
    received = await theirs.read_bytes(len(everything))
    await writer.drained()
    assert received == everything
    assert writer.backlog == 0
    ours.close()
    theirs.close()


@pytest.mark.gen_test(timeout=_TIMEOUT)
async def test_order_is_kept_while_the_peer_reads_now_and_then(pair: Callable[[], Pair]) -> None:
    ours, theirs = await shaken(pair())
    writer = Writer(ours, stall_timeout=_TIMEOUT)
    sent, received, direct = bytearray(), bytearray(), 0
    for n in range(300):
        chunk = b"%05d;" % n * (1 + n * 37 % 9_000)
        direct += not writer.backlog
        writer.write(chunk)
        sent += chunk
        if n % 7 == 0:
            while len(received) < len(sent) - 40_000:
                received += await theirs.read_bytes(65_536, partial=True)
        if n % 31 == 0:
            received += await theirs.read_bytes(len(sent) - len(received))
            await writer.drained()
    received += await theirs.read_bytes(len(sent) - len(received))
    assert received == sent
    assert 0 < direct < 300, "both ways are taken"
    ours.close()
    theirs.close()


@pytest.mark.gen_test(timeout=_TIMEOUT)
async def test_a_peer_that_does_not_read_is_stalled_and_its_close_frees_the_backlog(
    pair: Callable[[], Pair],
) -> None:
    ours, theirs = await shaken(pair())
    writer = Writer(ours, stall_timeout=0.05)
    writer.write(bytes(_MUCH))
    with pytest.raises(Stalled):
        await writer.drained()
    assert writer.backlog > _MUCH // 2
    ours.close()
    await asyncio.sleep(0)
    assert writer.backlog == 0
    theirs.close()


@pytest.mark.gen_test(timeout=_TIMEOUT)
async def test_a_closed_stream_swallows_what_is_written(pair: Callable[[], Pair]) -> None:
    ours, theirs = await shaken(pair())
    writer = Writer(ours, stall_timeout=1)
    ours.close()
    writer.write(b"x")
    await writer.drained()
    assert (writer.bytes, writer.backlog) == (0, 0)
    theirs.close()


@pytest.mark.gen_test(timeout=_TIMEOUT)
async def test_a_peer_that_is_gone_raises_nothing_here_and_ends_our_reading(
    pair: Callable[[], Pair],
) -> None:
    ours, theirs = await shaken(pair())
    writer = Writer(ours, stall_timeout=1)
    closed = asyncio.Event()
    ours.set_close_callback(closed.set)
    reading = asyncio.ensure_future(ours.read_bytes(1))
    theirs.close()
    for _ in range(100):
        writer.write(bytes(10_000))
    await closed.wait()
    await asyncio.wait({reading})
    assert reading.exception() is not None
    await writer.drained()
    assert writer.backlog == 0


@pytest.mark.gen_test(timeout=_TIMEOUT)
async def test_what_is_written_is_encoded_once(pair: Callable[[], Pair]) -> None:
    ours, theirs = await shaken(pair())
    writer = Writer(ours, stall_timeout=1, encode=lambda data: b"<" + data + b">")
    writer.write(b"a")
    writer.write(b"b")
    assert await theirs.read_bytes(6) == b"<a><b>"
    assert writer.bytes == 6
    ours.close()
    theirs.close()
