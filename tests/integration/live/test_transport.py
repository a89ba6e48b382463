"""A peer's socket, for real: all is sent and heard, in order, and counted."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from contextvars import Context
from functools import partial

import pytest
from tornado.ioloop import IOLoop
from tornado.iostream import IOStream, SSLIOStream, StreamClosedError

from broker.protocol.websocket import Data, MessageReader, Opcode, build
from devenv import tls
from gateway.live.transport import Stalled, Transport
from gateway.poller import Poller
from tests.rotations import in_rotation

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
async def test_bytes_that_the_socket_takes_leave_at_once(pair: Callable[[], Pair]) -> None:
    ours, theirs = await shaken(pair())
    transport = Transport(ours, stall_timeout=1, **in_rotation())
    transport.write(b"hello")
    assert (transport.bytes_out, transport.backlog) == (5, 0)
    assert await theirs.read_bytes(5) == b"hello"
    await transport.drained()
    transport.close()
    theirs.close()


@pytest.mark.gen_test(timeout=_TIMEOUT)
async def test_bytes_that_the_socket_does_not_take_follow_in_order_and_the_backlog_empties(
    pair: Callable[[], Pair],
) -> None:
    ours, theirs = await shaken(pair())
    transport = Transport(ours, stall_timeout=_TIMEOUT, **in_rotation())
    chunks = [*numbered(40, 100_000), *numbered(500, 80), *numbered(3, 1_000_000)]
    for chunk in chunks:
        transport.write(chunk)
    everything = b"".join(chunks)
    assert transport.bytes_out == len(everything)
    assert 0 < transport.backlog <= len(everything)
    received = await theirs.read_bytes(len(everything))
    await transport.drained()
    assert received == everything
    assert transport.backlog == 0
    transport.close()
    theirs.close()


@pytest.mark.gen_test(timeout=_TIMEOUT)
async def test_order_is_kept_while_the_peer_reads_now_and_then(pair: Callable[[], Pair]) -> None:
    ours, theirs = await shaken(pair())
    transport = Transport(ours, stall_timeout=_TIMEOUT, **in_rotation())
    sent, received, direct = bytearray(), bytearray(), 0
    for n in range(300):
        chunk = b"%05d;" % n * (1 + n * 37 % 9_000)
        direct += not transport.backlog
        transport.write(chunk)
        sent += chunk
        if n % 7 == 0:
            while len(received) < len(sent) - 40_000:
                received += await theirs.read_bytes(65_536, partial=True)
        if n % 31 == 0:
            received += await theirs.read_bytes(len(sent) - len(received))
            await transport.drained()
    received += await theirs.read_bytes(len(sent) - len(received))
    assert received == sent
    assert 0 < direct < 300, "both ways are taken"
    transport.close()
    theirs.close()


@pytest.mark.gen_test(timeout=_TIMEOUT)
async def test_a_peer_that_does_not_read_is_stalled_and_its_close_frees_the_backlog(
    pair: Callable[[], Pair],
) -> None:
    ours, theirs = await shaken(pair())
    transport = Transport(ours, stall_timeout=0.05, **in_rotation())
    transport.write(bytes(_MUCH))
    with pytest.raises(Stalled):
        await transport.drained()
    assert transport.backlog > _MUCH // 2
    transport.close()
    assert transport.backlog == 0
    await transport.drained()
    theirs.close()


@pytest.mark.parametrize("taken", [0, 30_000, 300_000])
@pytest.mark.parametrize("size", [80, 3_000, 20_000])
@pytest.mark.gen_test(timeout=_TIMEOUT)
async def test_what_is_dropped_never_comes_and_what_follows_is_whole(
    pair: Callable[[], Pair], size: int, taken: int
) -> None:
    """As much as has left, and the rest of the frame that has left in part."""
    ours, theirs = await shaken(pair())
    transport = Transport(ours, stall_timeout=_TIMEOUT, **in_rotation())
    frames = [b"%08d" % number * (size // 8) for number in range(2_000_000 // size)]
    for frame in frames:
        transport.write(build(Opcode.TEXT, frame))
    came = await theirs.read_bytes(taken) if taken else b""
    await asyncio.sleep(0)
    waiting = asyncio.ensure_future(transport.drained())
    transport.drop()
    chunk = 65_536 + 4_096 if isinstance(ours, SSLIOStream) else size + 10
    assert transport.backlog <= chunk
    transport.write(build(Opcode.TEXT, b"the end"))
    reader, heard = MessageReader(1_000_000, masked=False), list[bytes]()
    while b"the end" not in heard:
        heard += [e.payload for e in reader.feed(came) if isinstance(e, Data)]
        came = b"" if b"the end" in heard else await theirs.read_bytes(65_536, partial=True)
    await waiting
    assert heard[:-1] == frames[: len(heard) - 1]
    assert len(heard) < len(frames) / 2
    assert transport.backlog == 0
    transport.close()
    theirs.close()


def connected() -> tuple[Transport, socket.socket]:
    """A connection over TCP, and its peer."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        theirs = socket.create_connection(server.getsockname(), timeout=_TIMEOUT)
        ours, _ = server.accept()
    ours.setblocking(False)
    return Transport(IOStream(ours), stall_timeout=_TIMEOUT, **in_rotation()), theirs


@pytest.mark.gen_test(timeout=_TIMEOUT)
async def test_who_has_taken_all_that_was_sent_is_not_reset() -> None:
    """It may answer, and sees an orderly end."""
    transport, theirs = connected()
    with theirs:
        transport.write(b"the end")
        assert theirs.recv(7, socket.MSG_PEEK) == b"the end"
        transport.close(reset=True)
        assert theirs.recv(100) == b"the end"
        assert theirs.recv(100) == b""
        assert theirs.send(b"yes") == 3


@pytest.mark.gen_test(timeout=_TIMEOUT)
async def test_who_has_not_taken_what_was_sent_is_reset() -> None:
    transport, theirs = connected()
    with theirs:
        transport.write(bytes(_MUCH))
        assert theirs.recv(1) == bytes(1)
        transport.close(reset=True)
        with pytest.raises(ConnectionResetError):
            list(iter(partial(theirs.recv, 65_536), b""))


@pytest.mark.gen_test(timeout=_TIMEOUT)
async def test_the_fragments_of_a_message_that_has_begun_to_leave_stay_together(
    pair: Callable[[], Pair],
) -> None:
    ours, theirs = await shaken(pair())
    transport = Transport(ours, stall_timeout=_TIMEOUT, **in_rotation())
    begun = build(Opcode.TEXT, bytes(1_000_000), fin=False)
    transport.write(begun + build(Opcode.CONTINUATION, b"its end"))
    transport.write(build(Opcode.TEXT, b"dropped"))
    transport.drop()
    transport.write(build(Opcode.TEXT, b"the end"))
    read = await theirs.read_bytes(len(begun) + 9 + 9)
    assert read[len(begun) + 2 :] == b"its end" + build(Opcode.TEXT, b"the end")
    transport.close()
    theirs.close()


@pytest.mark.gen_test(timeout=_TIMEOUT)
async def test_where_nothing_waits_nothing_is_dropped(pair: Callable[[], Pair]) -> None:
    ours, theirs = await shaken(pair())
    transport = Transport(ours, stall_timeout=1, **in_rotation())
    transport.write(b"hello")
    transport.drop()
    assert await theirs.read_bytes(5) == b"hello"
    transport.close()
    transport.drop()
    theirs.close()


@pytest.mark.gen_test(timeout=_TIMEOUT)
async def test_a_closed_one_swallows_what_is_written(pair: Callable[[], Pair]) -> None:
    ours, theirs = await shaken(pair())
    transport = Transport(ours, stall_timeout=1, **in_rotation())
    transport.close()
    transport.close()
    transport.write(b"x")
    await transport.drained()
    assert (transport.bytes_out, transport.backlog) == (0, 0)
    theirs.close()


@pytest.mark.parametrize("listens", [True, False])
@pytest.mark.gen_test(timeout=_TIMEOUT)
async def test_a_peer_that_is_gone_is_told_once_and_raises_nothing(
    pair: Callable[[], Pair], listens: bool
) -> None:
    ours, theirs = await shaken(pair())
    transport = Transport(ours, stall_timeout=1, **in_rotation())
    lost = Listener(transport)
    if not listens:
        transport.hold()
    theirs.close()
    while not lost.times:
        transport.write(bytes(10_000))
        await asyncio.sleep(0)
    transport.write(b"x")
    await transport.drained()
    await asyncio.sleep(0.01)
    assert (transport.backlog, transport.closed, lost.times) == (0, True, 1)


@pytest.mark.gen_test(timeout=_TIMEOUT)
async def test_a_peer_that_goes_without_reading_is_heard_to_its_last_byte() -> None:
    transport, theirs = connected()
    last_words = bytes(100_000)
    with theirs:
        transport.write(b"never read")
        theirs.sendall(last_words)
        assert theirs.recv(1) == b"n"
    # Its system has reset the connection.
    listener = Listener(transport)
    for _ in range(3):
        transport.write(b"in vain")
    await until(lambda: listener.times)
    assert (len(listener.data), listener.times) == (len(last_words), 1)


@pytest.mark.gen_test(timeout=_TIMEOUT)
async def test_one_that_parts_sends_what_waits_and_is_over_when_the_peer_closes(
    pair: Callable[[], Pair],
) -> None:
    ours, theirs = await shaken(pair())
    transport = Transport(ours, stall_timeout=_TIMEOUT, **in_rotation())
    listener = Listener(transport)
    transport.write(bytes(_MUCH))
    waits = asyncio.ensure_future(transport.drained())
    transport.part(within=_TIMEOUT)
    await waits
    transport.write(b"too late")
    # What comes meanwhile is dropped, and left unread it would reset the connection.
    await theirs.write(b"never heard")
    assert len(await theirs.read_bytes(_MUCH)) == _MUCH
    theirs.close()
    await until(lambda: not transport.listening)
    assert (bytes(listener.data), listener.times, transport.backlog) == (b"", 0, 0)


@pytest.mark.gen_test(timeout=_TIMEOUT)
async def test_one_whose_peer_takes_nothing_more_parts_at_once() -> None:
    transport, theirs = connected()
    listener = Listener(transport)
    transport.write(b"never read")
    with theirs:
        assert theirs.recv(1) == b"n"
    while not transport.closed:
        transport.write(b"in vain")
    transport.part(within=_TIMEOUT)
    assert not transport.listening
    await asyncio.sleep(0)
    assert listener.times == 0


@pytest.mark.gen_test(timeout=_TIMEOUT)
async def test_one_that_parts_does_not_wait_for_ever(pair: Callable[[], Pair]) -> None:
    ours, theirs = await shaken(pair())
    transport = Transport(ours, stall_timeout=1, **in_rotation())
    transport.write(bytes(_MUCH))
    transport.part(within=0.01)
    # Not read before: a quick peer has all of it by then.
    while transport.listening:  # noqa: ASYNC110 - it tells nobody
        await asyncio.sleep(0.005)
    with pytest.raises(StreamClosedError):
        await theirs.read_bytes(_MUCH)
    assert (transport.backlog, transport.listening) == (0, False)


@pytest.mark.gen_test(timeout=_TIMEOUT)
async def test_messages_read_before_a_takeover_come_first(pair: Callable[[], Pair]) -> None:
    ours, theirs = await shaken(pair())
    theirs.write(b"head;early")
    assert await ours.read_until(b";") == b"head;"
    transport = Transport(ours, stall_timeout=1, **in_rotation())
    listener = Listener(transport)
    theirs.write(b", then more")
    await listener.heard(b"early, then more")
    assert transport.bytes_in == 16
    assert transport.received_at >= transport.sent_at
    transport.close()
    theirs.close()


@pytest.mark.gen_test(timeout=_TIMEOUT)
async def test_much_is_heard_whole_and_what_comes_while_held_waits(
    pair: Callable[[], Pair],
) -> None:
    ours, theirs = await shaken(pair())
    transport = Transport(ours, stall_timeout=1, **in_rotation())
    listener = Listener(transport)
    everything = b"".join(numbered(30, 100_000))
    theirs.write(everything)
    await listener.heard(everything[: _BUFFER // 2])
    transport.hold()
    size = len(listener.data)
    await asyncio.sleep(0.05)
    assert len(listener.data) == size
    transport.listen()
    await listener.heard(everything)
    assert bytes(listener.data) == everything
    transport.close()
    theirs.close()


@pytest.mark.gen_test(timeout=_TIMEOUT)
async def test_a_held_one_leaves_the_poll_when_something_comes_and_not_before(
    pair: Callable[[], Pair],
) -> None:
    ours, theirs = await shaken(pair())
    poll = Watched()
    transport = Transport(ours, stall_timeout=1, **in_rotation(poll))
    listener = Listener(transport)
    for _ in range(3):
        transport.hold()
        await asyncio.sleep(0)
        transport.listen()
    assert poll.changes == ["came"]
    transport.hold()
    await theirs.write(b"x")
    await until(lambda: poll.changes == ["came", "left"])
    assert not listener.data
    transport.listen()
    await listener.heard(b"x")
    transport.hold()
    transport.close()
    assert poll.changes == ["came", "left", "came", "left"]
    theirs.close()


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.gen_test(timeout=_TIMEOUT)
async def test_a_stream_that_has_ended_is_not_taken_over(
    pair: Callable[[], Pair], known: bool
) -> None:
    ours, theirs = await shaken(pair())
    theirs.close()
    if known:
        await ours.read_until_close()
    with pytest.raises(StreamClosedError):
        Transport(ours, stall_timeout=1, **in_rotation())


async def until(what: Callable[[], object]) -> None:
    loop = asyncio.get_running_loop()
    end = loop.time() + _TIMEOUT / 2
    while not what():
        assert loop.time() < end
        await asyncio.sleep(0)


class Watched(Poller):
    """A poller that writes down when a socket comes to it and leaves it."""

    def __init__(self) -> None:
        super().__init__()
        self.changes: list[str] = []

    def add(self, descriptor: int, reader: Callable[[], None], context: Context) -> None:
        self.changes.append("came")
        super().add(descriptor, reader, context)

    def remove(self, descriptor: int) -> None:
        self.changes.append("left")
        super().remove(descriptor)


class Listener:
    """The events of a transport."""

    def __init__(self, transport: Transport) -> None:
        self.data = bytearray()
        self.times = 0
        self._transport = transport
        transport.attach(received=self._received, lost=self._lost)

    def _received(self, data: bytes) -> None:
        self.data += data

    def _lost(self) -> None:
        self.times += 1

    async def heard(self, data: bytes) -> None:
        while not self.data.startswith(data):
            assert not self._transport.closed
            await asyncio.sleep(0)
