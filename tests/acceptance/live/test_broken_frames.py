"""Frames that are none: a clear ERROR, the close code of the contract, and nothing happens."""

import os
from collections.abc import Iterator

import pytest
import websocket

from devenv.cluster import Cluster
from tests.acceptance.broker_view import Witness, witness
from tests.acceptance.conftest import Connect
from tests.acceptance.gateway_process import PREFIX, GatewayProcess
from tests.acceptance.stomp_client import Closed, Received, StompClient

#: `limits.frame_bytes`.
FRAME_BYTES = 1_114_112


@pytest.fixture
def room(gateway: GatewayProcess) -> int:
    return gateway.room("hana", "paul")


@pytest.fixture
def topic(room: int) -> str:
    return f"/topic/{PREFIX}.public.{room}"


@pytest.fixture
def nothing_happens(
    gateway: GatewayProcess, room: int, cluster_of_session: Cluster
) -> Iterator[None]:
    """At the end nothing must have been stored or published."""
    with witness(cluster_of_session) as hears:
        yield
        assert gateway.history(room, "hana")["head"] == 0
        assert _published(hears) == []


def _published(hears: Witness) -> list[bytes]:
    return [body for _, _, body in hears.heard()]


@pytest.fixture
def paul(connect: Connect, nothing_happens: None) -> StompClient:
    return connect("paul")


@pytest.mark.parametrize(
    ("frame", "why"),
    [
        ("SUBSCRIBE\nid:s\n\n\0", b"destination"),
        ("SUBSCRIBE\ndestination:{topic}\n\n\0", b"id"),
        ("SUBSCRIBE\ndestination:{topic}\nid:\n\n\0", b"id"),
        ("UNSUBSCRIBE\nid:unknown\n\n\0", b"subscription"),
        ("SEND\n\nbody\0", b"destination"),
        ("ACK\nid:1\n\n\0", b"subscription"),
        ("CONNECT\naccept-version:1.2\n\n\0", b"already"),
        ("STOMP\naccept-version:1.2\n\n\0", b"already"),
        ("SEND\ndestination:{topic}\nx:\\t\n\nbody\0", b"escape"),
        ("SEND\ndestination:{topic}\ncontent-length:3\n\nbody\0", b"content-length"),
        ("SEND\ndestination:{topic}\ncontent-length:-1\n\nbody\0", b"content-length"),
        ("SEND\ndestination:{topic}\ncontent-length: 4\n\nbody\0", b"content-length"),
        ("SEND\ndestination:{topic}\ncontent-length:0x4\n\nbody\0", b"content-length"),
        ("SEND\ndestination:{topic}\nno colon\n\nbody\0", b"colon"),
        ("SEND\ndestination:{topic}\n:no name\n\nbody\0", b"name"),
        ("SEND\ndestination:{topic}\0", b"NUL"),
        ("SEND\ndestination:{topic}\r\r\n\nbody\0", b"CR"),
        ("send\ndestination:{topic}\n\nbody\0", b"unknown command"),
        ("MESSAGE\ndestination:{topic}\n\nbody\0", b"unknown command"),
        ("EXPLODE\n\n\0", b"unknown command"),
        ("\0", b"NUL"),
        ("GET / HTTP/1.1\r\nHost: x\r\n\r\n\0", b"unknown command"),
    ],
)
def test_a_broken_frame_is_explained(frame: str, why: bytes, paul: StompClient, topic: str) -> None:
    paul.socket.send_binary(frame.format(topic=topic).encode())
    error, code = paul.error()
    assert (error.headers["message"], code) == ("bad_frame", 1002)
    assert why in error.body


@pytest.mark.parametrize("command", ["SEND", "SUBSCRIBE", "ACK", "BEGIN", "DISCONNECT"])
def test_a_frame_before_connect_is_refused(
    command: str, gateway: GatewayProcess, topic: str, nothing_happens: None
) -> None:
    with StompClient(gateway.ws_url) as client:
        client.send(command, {"destination": topic, "id": "s", "transaction": "t"})
        error, code = client.error()
    assert (error.headers["message"], code) == ("bad_frame", 1002)
    assert b"CONNECT first" in error.body


def test_a_frame_before_connect_is_refused_even_with_a_token_at_the_handshake(
    gateway: GatewayProcess, topic: str, nothing_happens: None
) -> None:
    bearer = {"Authorization": f"Bearer {gateway.token('paul')}"}
    with StompClient(gateway.ws_url, headers=bearer) as client:
        client.send("SEND", {"destination": topic}, b"body")
        assert client.error()[1] == 1002


def test_frames_after_a_broken_frame_are_not_carried_out(paul: StompClient, topic: str) -> None:
    good = f"SEND\ndestination:{topic}\n\nbody\0"
    paul.socket.send_binary(f"EXPLODE\n\n\0{good}".encode())
    paul.socket.send_binary(good.encode())
    assert paul.error()[1] == 1002


def test_frames_after_disconnect_are_not_carried_out(paul: StompClient, topic: str) -> None:
    good = f"SEND\ndestination:{topic}\n\nbody\0"
    paul.socket.send_binary(f"DISCONNECT\n\n\0{good}".encode())
    assert paul.closed() == 1000


def _send(topic: str, size: int) -> bytes:
    """A SEND of so many bytes, NUL included."""
    head = f"SEND\ndestination:{topic}\n\n".encode()
    return head + b"x" * (size - len(head) - 1) + b"\0"


def test_a_frame_of_just_the_limit_is_read_and_judged(paul: StompClient) -> None:
    paul.socket.send_binary(_send("/queue/elsewhere", FRAME_BYTES))
    assert paul.error()[1] == 4003


def test_a_message_that_would_be_too_large_for_the_history_is_refused(
    paul: StompClient, topic: str
) -> None:
    paul.socket.send_binary(_send(topic, FRAME_BYTES))
    error, code = paul.error()
    assert (error.headers["message"], code) == ("too_large", 1009)


TOO_LARGE = {
    "by its websocket frame": lambda topic: [_send(topic, FRAME_BYTES + 1)],
    "in two websocket frames": lambda topic: [
        _send(topic, 2 * FRAME_BYTES)[:FRAME_BYTES],
        _send(topic, 2 * FRAME_BYTES)[:FRAME_BYTES],
    ],
    "by its content-length": lambda topic: [
        f"SEND\ndestination:{topic}\ncontent-length:{FRAME_BYTES}\n\n".encode()
    ],
    "by a content-length beyond all bounds": lambda topic: [
        f"SEND\ndestination:{topic}\ncontent-length:{'9' * 18}\n\n".encode()
    ],
    "by one endless header": lambda topic: [b"SEND\nx:" + b"y" * 40_000],
    "by endless headers": lambda topic: [b"SEND\n" + b"x:y\n" * 5_000],
    "by too many headers": lambda topic: [b"SEND\n" + b"x:y\n" * 101 + b"\n\0"],
    "by an endless command": lambda topic: [b"S" * 40_000],
}


@pytest.mark.parametrize("chunks", TOO_LARGE.values(), ids=TOO_LARGE)
def test_a_frame_that_is_too_large_is_refused(
    chunks: object, paul: StompClient, topic: str
) -> None:
    assert callable(chunks)
    for chunk in chunks(topic):
        paul.socket.send_binary(chunk)
    error, code = paul.error()
    assert (error.headers["message"], code) == ("too_large", 1009)
    assert error.body


@pytest.mark.parametrize("extra", [0, FRAME_BYTES], ids=["as it comes", "as it is announced"])
def test_one_that_is_too_large_names_the_key_that_allows_it(
    extra: int, paul: StompClient, topic: str
) -> None:
    if extra:
        paul.raw(b"\x82\xff" + (FRAME_BYTES + 1).to_bytes(8) + bytes(4))
    else:
        paul.socket.send_binary(_send(topic, FRAME_BYTES + 1))
    error, code = paul.error()
    assert code == 1009
    assert "limits.frame_bytes" in error.body.decode()


def test_before_connect_a_frame_has_64_kib_at_most(gateway: GatewayProcess) -> None:
    with StompClient(gateway.ws_url) as client:
        client.socket.send_binary(b"CONNECT\n" + b"x" * 65_536)
        error, code = client.error()
    assert (error.headers["message"], code) == ("too_large", 1009)
    assert "before CONNECT" in error.body.decode()


def test_a_websocket_frame_is_refused_by_the_length_that_it_announces(paul: StompClient) -> None:
    paul.raw(b"\x82\xff" + (2**40).to_bytes(8) + bytes(4))
    assert paul.error()[1] == 1009


def test_heart_beats_without_end_are_no_frame_and_cost_nothing(
    paul: StompClient, gateway: GatewayProcess
) -> None:
    for _ in range(50):
        paul.socket.send_binary(b"\n" * 60_000)
    paul.request("DISCONNECT", {})


MASK = bytes(4)

NO_WEBSOCKET = {
    "an unmasked frame": (b"\x82\x01\n", 1002),
    "a reserved bit": (b"\xc2\x81" + MASK + b"\n", 1002),
    "a reserved opcode": (b"\x83\x81" + MASK + b"\n", 1002),
    "a reserved control opcode": (b"\x8b\x80" + MASK, 1002),
    "a fragmented control frame": (b"\x09\x80" + MASK, 1002),
    "a long control frame": (b"\x89\xfe\x00\x7e" + MASK + bytes(126), 1002),
    "a continuation of nothing": (b"\x80\x81" + MASK + b"\n", 1002),
    "a message inside another": (b"\x02\x81" + MASK + b"\n" + b"\x82\x81" + MASK + b"\n", 1002),
    "a close code of one byte": (b"\x88\x81" + MASK + b"\x03", 1002),
    "a close code that is never sent": (b"\x88\x82" + MASK + b"\x03\xed", 1002),
    "text that is no utf-8": (b"\x81\x82" + MASK + b"\xc3\x28", 1007),
    "a close reason that is no utf-8": (b"\x88\x84" + MASK + b"\x03\xe8\xc3\x28", 1007),
}


@pytest.mark.parametrize(("bytes_sent", "code"), NO_WEBSOCKET.values(), ids=NO_WEBSOCKET)
def test_broken_websocket_frames_end_the_connection(
    bytes_sent: bytes, code: int, paul: StompClient
) -> None:
    paul.raw(bytes_sent)
    error, found = paul.error()
    assert found == code
    assert error.headers["message"] == ("bad_utf8" if code == 1007 else "bad_frame")
    assert error.body


def test_utf_8_is_judged_across_fragments(paul: StompClient) -> None:
    whole = "SEND\ndestination:안\n\n\0".encode()
    cut = whole.index("안".encode()) + 1
    for opcode, part in ((0x01, whole[:cut]), (0x80, whole[cut:])):
        paul.raw(bytes((opcode, 0x80 | len(part))) + MASK + part)
    error, code = paul.error()
    assert (error.headers["message"], code) == ("access_refused", 4003)


def test_a_frame_may_come_byte_by_byte_and_several_at_once(
    connect: Connect, gateway: GatewayProcess, room: int, topic: str
) -> None:
    paul = connect("paul")
    frame = f"SEND\ndestination:{topic}\nreceipt:r\n\nbody\0".encode()
    for byte in frame[:-1]:
        paul.socket.send_binary(bytes((byte,)))
    paul.socket.send_binary(frame[-1:] + b"\n\r\n" + frame + frame)
    for _ in range(3):
        assert paul.receive().command == "RECEIPT"
    assert gateway.history(room, "hana")["head"] == 3


def test_a_ping_is_answered_by_its_pong(paul: StompClient) -> None:
    paul.socket.ping(b"still there?")
    opcode, data = paul.socket.recv_data(control_frame=True)
    assert (opcode, data) == (websocket.ABNF.OPCODE_PONG, b"still there?")


def test_a_client_that_just_closes_is_answered_in_kind(paul: StompClient) -> None:
    paul.socket.send_close(1001)
    assert paul.closed() == 1000


def test_noise_never_harms_the_gateway(
    gateway: GatewayProcess, connect: Connect, nothing_happens: None
) -> None:
    for size in (1, 10, 100, 1_000, 10_000):
        client = StompClient(gateway.ws_url)
        with client:
            client.socket.send_binary(os.urandom(size))
            client.raw(os.urandom(size))
            try:
                received: Received | None = client.receive()
            except (Closed, websocket.WebSocketTimeoutException):
                received = None
        assert received is None or received.command == "ERROR"
    connect("hana").request("DISCONNECT", {})
