"""The conversations: what an application says, and how many frames it waits for each time.

Written from STOMP 1.0 to 1.2 and RabbitMQ's documentation of its STOMP plugin
(https://www.rabbitmq.com/docs/stomp). What comes back is written nowhere: RabbitMQ itself says it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from conformance_suite.frames import Received, frame, written

#: Stands for a name of this conversation's own in destinations.
OWN: Final = "OWN"

#: Bytes of one WebSocket message, or what makes them of the MESSAGE frames that have come.
Said = bytes | Callable[[Sequence[Received]], bytes]


@dataclass(frozen=True)
class Step:
    """WebSocket messages that a client sends, and the frames that it then waits for.

    ``gets`` None: everything until the socket is closed.
    """

    says: Sequence[Said]
    gets: int | None = 0
    client: int = 0


@dataclass(frozen=True)
class Conversation:
    """Steps of one client or more."""

    name: str
    steps: Sequence[Step] = field(repr=False)


def say(*says: Said, gets: int | None = 0, client: int = 0) -> Step:
    return Step(says, gets, client)


def connect(client: int = 0, /, **headers: str) -> Step:
    """CONNECT with this run's login."""
    given = {
        "accept_version": "1.2",
        "host": "/",
        "login": "LOGIN",
        "passcode": "PASSCODE",
    } | headers
    return say(
        frame("CONNECT", **{k: v for k, v in given.items() if v != "-"}), gets=1, client=client
    )


def bye(client: int = 0) -> Step:
    return say(frame("DISCONNECT", receipt="bye"), gets=None, client=client)


def receipt(name: str, command: str, /, **headers: str) -> Step:
    return say(frame(command, receipt=name, **headers), gets=1)


def subscribe(destination: str, client: int = 0, /, **headers: str) -> Step:
    given = {"id": "s", "destination": destination, "receipt": "subscribed"} | headers
    return say(frame("SUBSCRIBE", **given), gets=1, client=client)


def _acknowledged(command: str, index: int, /, **headers: str) -> Said:
    return lambda messages: frame(command, id=messages[index].header("ack"), **headers)


def _old_acknowledged(command: str, index: int, /, **headers: str) -> Said:
    return lambda messages: frame(
        command,
        subscription=messages[index].header("subscription"),
        message_id=messages[index].header("message-id"),
        **headers,
    )


def _send(destination: str, body: bytes = b"hello", /, **headers: str) -> bytes:
    return frame("SEND", body, destination=destination, **headers)


TOPIC: Final = f"/topic/{OWN}.a.b"
QUEUE: Final = f"/queue/{OWN}"
#: Without a word that is filled in, so that it may be cut anywhere.
_PLAIN: Final = "/topic/conformance.cut"


def _frames(count: int, start: int = 0) -> list[bytes]:
    return [_send(QUEUE, f"{number}".encode()) for number in range(start, start + count)]


CONVERSATIONS: Final = (
    # CONNECT
    Conversation("version 1.0", [connect(accept_version="-", host="-"), bye()]),
    Conversation("version 1.1", [connect(accept_version="1.1"), bye()]),
    Conversation("the newest of three versions", [connect(accept_version="1.0,1.1,1.2"), bye()]),
    Conversation("a version that nobody speaks", [connect(accept_version="3.0"), say(gets=None)]),
    Conversation(
        "STOMP in place of CONNECT",
        [
            say(
                frame("STOMP", accept_version="1.2", host="/", login="LOGIN", passcode="PASSCODE"),
                gets=1,
            ),
            bye(),
        ],
    ),
    Conversation("a wrong passcode", [connect(passcode="wrong"), say(gets=None)]),
    Conversation("an unknown virtual host", [connect(host="nowhere"), say(gets=None)]),
    Conversation("no host", [connect(host="-"), bye()]),
    Conversation("line ends before the first frame", [say(b"\n\r\n\n"), connect(), bye()]),
    # Topics
    Conversation("a topic", [connect(), subscribe(TOPIC), say(_send(TOPIC), gets=1), bye()]),
    Conversation(
        "a pattern of words",
        [connect(), subscribe(f"/topic/{OWN}.*.b"), say(_send(TOPIC), gets=1), bye()],
    ),
    Conversation(
        "a pattern of any words",
        [
            connect(),
            subscribe(f"/topic/{OWN}.#"),
            say(_send(TOPIC), _send(f"/topic/{OWN}"), gets=2),
            bye(),
        ],
    ),
    Conversation(
        "two patterns that overlap",
        [
            connect(),
            subscribe(f"/topic/{OWN}.#", id="one"),
            subscribe(f"/topic/{OWN}.a.*", id="two"),
            say(_send(TOPIC), gets=2),
            bye(),
        ],
    ),
    Conversation(
        "no more after UNSUBSCRIBE",
        [
            connect(),
            subscribe(TOPIC),
            receipt("left", "UNSUBSCRIBE", id="s"),
            say(_send(TOPIC, receipt="sent"), gets=1),
            bye(),
        ],
    ),
    Conversation(
        "an exchange with a pattern",
        [connect(), subscribe(f"/exchange/amq.topic/{OWN}.#"), say(_send(TOPIC), gets=1), bye()],
    ),
    Conversation(
        "a direct exchange",
        [
            connect(),
            subscribe(f"/exchange/amq.direct/{OWN}"),
            say(_send(f"/exchange/amq.direct/{OWN}"), gets=1),
            bye(),
        ],
    ),
    Conversation(
        "an exchange that is not there",
        [connect(), say(frame("SUBSCRIBE", id="s", destination="/exchange/nowhere/a"), gets=None)],
    ),
    Conversation(
        "a SEND to an exchange that is not there",
        [connect(), say(_send("/exchange/nowhere/a"), gets=None)],
    ),
    Conversation(
        "two clients of one topic",
        [
            connect(),
            connect(1),
            subscribe(TOPIC),
            subscribe(TOPIC, 1),
            say(_send(TOPIC), gets=1),
            say(gets=1, client=1),
            bye(),
            bye(client=1),
        ],
    ),
    # Headers and bodies
    Conversation(
        "headers of the sender",
        [
            connect(),
            subscribe(TOPIC),
            say(
                _send(
                    TOPIC,
                    content_type="text/plain;charset=utf-8",
                    priority="3",
                    persistent="true",
                    correlation_id="c-1",
                    reply_to="somewhere",
                    expiration="60000",
                    type="greeting",
                    timestamp="1700000000",
                    app_id="me",
                    x_mine="a:b\\c\nd",
                ),
                gets=1,
            ),
            bye(),
        ],
    ),
    Conversation(
        "a header twice",
        [
            connect(),
            subscribe(TOPIC),
            say(
                written(
                    "SEND",
                    [("destination", TOPIC), ("x-mine", "first"), ("x-mine", "second")],
                    b"hello",
                ),
                gets=1,
            ),
            bye(),
        ],
    ),
    Conversation(
        "headers with blanks",
        [connect(), subscribe(TOPIC), say(_send(TOPIC, x_mine="  a b  "), gets=1), bye()],
    ),
    Conversation(
        "a body of every byte",
        [connect(), subscribe(TOPIC), say(_send(TOPIC, bytes(range(256))), gets=1), bye()],
    ),
    Conversation(
        "a body in Korean",
        [connect(), subscribe(TOPIC), say(_send(TOPIC, "안녕하세요".encode()), gets=1), bye()],
    ),
    Conversation("no body", [connect(), subscribe(TOPIC), say(_send(TOPIC, b""), gets=1), bye()]),
    Conversation(
        "a body without its length",
        [
            connect(),
            subscribe(TOPIC),
            say(written("SEND", [("destination", TOPIC)], b"hello"), gets=1),
            bye(),
        ],
    ),
    Conversation(
        "a body of 100 kB",
        [connect(), subscribe(TOPIC), say(_send(TOPIC, b"x" * 100_000), gets=1), bye()],
    ),
    Conversation(
        "a body of 1 MB",
        [connect(), subscribe(TOPIC), say(_send(TOPIC, b"x" * 1_000_000), gets=1), bye()],
    ),
    Conversation(
        "several frames in one WebSocket message",
        [
            connect(),
            subscribe(TOPIC),
            say(_send(TOPIC, b"1") + b"\n" + _send(TOPIC, b"2"), gets=2),
            bye(),
        ],
    ),
    Conversation(
        "a frame in several WebSocket messages",
        [
            connect(),
            subscribe(_PLAIN),
            say(*(_send(_PLAIN)[at : at + 20] for at in range(0, len(_send(_PLAIN)), 20)), gets=1),
            bye(),
        ],
    ),
    Conversation(
        "lines that end with CR LF",
        [
            connect(),
            subscribe(TOPIC),
            say(f"SEND\r\ndestination:{TOPIC}\r\n\r\nhello\0".encode(), gets=1),
            bye(),
        ],
    ),
    # Queues
    Conversation(
        "a queue",
        [
            connect(),
            subscribe(QUEUE, auto_delete="true", durable="false"),
            say(_send(QUEUE, auto_delete="true", durable="false"), gets=1),
            bye(),
        ],
    ),
    Conversation(
        "a message that waited",
        [
            connect(),
            say(_send(QUEUE, receipt="sent"), gets=1),
            subscribe(QUEUE),
            say(gets=1),
            bye(),
        ],
    ),
    Conversation(
        "acknowledged one by one",
        [
            connect(),
            subscribe(QUEUE, ack="client-individual"),
            say(*_frames(2), gets=2),
            say(_acknowledged("ACK", 1, receipt="a"), _acknowledged("ACK", 0, receipt="b"), gets=2),
            bye(),
        ],
    ),
    Conversation(
        "acknowledged all before",
        [
            connect(),
            subscribe(QUEUE, ack="client"),
            say(*_frames(3), gets=3),
            say(_acknowledged("ACK", 2, receipt="a"), gets=1),
            bye(),
            connect(1),
            subscribe(QUEUE, 1),
            say(_send(QUEUE, b"next"), gets=1, client=1),
            bye(client=1),
        ],
    ),
    Conversation(
        "acknowledged as in 1.1",
        [
            connect(accept_version="1.1"),
            subscribe(QUEUE, ack="client-individual"),
            say(*_frames(1), gets=1),
            say(_old_acknowledged("ACK", 0, receipt="a"), gets=1),
            bye(),
        ],
    ),
    Conversation(
        "refused and delivered again",
        [
            connect(),
            subscribe(QUEUE, ack="client-individual"),
            say(*_frames(1), gets=1),
            say(_acknowledged("NACK", 0), gets=1),
            say(_acknowledged("ACK", 1, receipt="a"), gets=1),
            bye(),
        ],
    ),
    Conversation(
        "refused for good",
        [
            connect(),
            subscribe(QUEUE, ack="client-individual"),
            say(*_frames(1), gets=1),
            say(_acknowledged("NACK", 0, requeue="false", receipt="a"), gets=1),
            bye(),
        ],
    ),
    Conversation(
        "unacknowledged, and delivered to the next",
        [
            connect(),
            subscribe(QUEUE, ack="client-individual"),
            say(*_frames(2), gets=2),
            bye(),
            connect(1),
            subscribe(QUEUE, 1, ack="client-individual"),
            say(gets=2, client=1),
            say(_acknowledged("ACK", -1), client=1),
            bye(client=1),
        ],
    ),
    Conversation(
        "one at a time",
        [
            connect(),
            subscribe(QUEUE, ack="client-individual", prefetch_count="1"),
            say(*_frames(3), gets=1),
            say(_acknowledged("ACK", 0), gets=1),
            say(_acknowledged("ACK", 1), gets=1),
            say(_acknowledged("ACK", 2, receipt="a"), gets=1),
            bye(),
        ],
    ),
    Conversation(
        "an acknowledgement of nothing",
        [
            connect(),
            subscribe(QUEUE, ack="client-individual"),
            say(frame("ACK", id="T_s@@nothing@@1"), gets=None),
        ],
    ),
    Conversation(
        "a temporary queue for answers",
        [
            connect(),
            subscribe(TOPIC),
            say(_send(TOPIC, reply_to="/temp-queue/mine"), gets=1),
            say(lambda got: _send(got[0].header("reply-to"), b"the answer"), gets=1),
            bye(),
        ],
    ),
    Conversation(
        "a queue with a name of the client's",
        [
            connect(),
            subscribe(
                f"/exchange/amq.topic/{OWN}.#",
                x_queue_name=f"{OWN}-named",
                auto_delete="true",
                durable="false",
            ),
            say(_send(TOPIC), gets=1),
            bye(),
        ],
    ),
    # Transactions
    Conversation(
        "a transaction",
        [
            connect(),
            subscribe(TOPIC),
            say(
                frame("BEGIN", transaction="t"),
                _send(TOPIC, b"1", transaction="t"),
                _send(TOPIC, b"2", transaction="t"),
            ),
            say(frame("COMMIT", transaction="t"), gets=2),
            bye(),
        ],
    ),
    Conversation(
        "a transaction that is given up",
        [
            connect(),
            subscribe(TOPIC),
            say(frame("BEGIN", transaction="t"), _send(TOPIC, b"1", transaction="t")),
            receipt("no", "ABORT", transaction="t"),
            say(_send(TOPIC, b"2"), gets=1),
            bye(),
        ],
    ),
    Conversation(
        "BEGIN as the first frame",
        [
            connect(),
            receipt("begun", "BEGIN", transaction="t"),
            receipt("no", "ABORT", transaction="t"),
            bye(),
        ],
    ),
    Conversation(
        "COMMIT of nothing", [connect(), say(frame("COMMIT", transaction="t"), gets=None)]
    ),
    # Receipts and ends
    Conversation(
        "receipts in order",
        [
            connect(),
            subscribe(TOPIC),
            say(*(_send(TOPIC, f"{n}".encode(), receipt=f"r{n}") for n in range(3)), gets=6),
            bye(),
        ],
    ),
    Conversation("DISCONNECT without a receipt", [connect(), say(frame("DISCONNECT"), gets=None)]),
    Conversation("an unknown command", [connect(), say(frame("SHOUT"), gets=None)]),
    Conversation("SEND without a destination", [connect(), say(frame("SEND", b"x"), gets=None)]),
    Conversation(
        "SUBSCRIBE without a destination", [connect(), say(frame("SUBSCRIBE", id="s"), gets=None)]
    ),
    Conversation("a destination of no kind", [connect(), say(_send("/nothing/here"), gets=None)]),
    Conversation(
        "UNSUBSCRIBE of nothing", [connect(), say(frame("UNSUBSCRIBE", id="none"), gets=None)]
    ),
    Conversation(
        "an expiration that is no number",
        [connect(), say(_send(TOPIC, expiration="soon"), gets=None)],
    ),
    # What AMQP cannot write
    Conversation(
        "a correlation-id of 300 bytes",
        [connect(), subscribe(TOPIC), say(_send(TOPIC, correlation_id="c" * 300), gets=1), bye()],
    ),
    Conversation(
        "a header's name of 300 bytes",
        [
            connect(),
            subscribe(TOPIC),
            say(_send(TOPIC, b"x", **{"n" * 300: "v"}), gets=1),
            bye(),
        ],
    ),
    Conversation(
        "a routing key of 300 bytes",
        [
            connect(),
            subscribe(f"/topic/{OWN}.#"),
            say(_send(f"/topic/{OWN}.{'k' * 300}"), gets=1),
            bye(),
        ],
    ),
    Conversation(
        "a queue's name of 300 bytes",
        [
            connect(),
            subscribe(f"/queue/{OWN}{'q' * 300}", auto_delete="true", durable="false"),
            bye(),
        ],
    ),
    Conversation(
        "a SEND to a queue's name of 300 bytes",
        [connect(), say(_send(f"/amq/queue/{OWN}{'q' * 300}", receipt="sent"), gets=1), bye()],
    ),
    Conversation(
        "an exchange's name of 300 bytes",
        [
            connect(),
            say(frame("SUBSCRIBE", id="s", destination=f"/exchange/{OWN}{'x' * 300}/a"), gets=None),
        ],
    ),
    Conversation(
        "a queue named with 300 bytes by the client",
        [
            connect(),
            subscribe(
                f"/exchange/amq.topic/{OWN}.#",
                x_queue_name=f"{OWN}{'q' * 300}",
                auto_delete="true",
                durable="false",
            ),
            bye(),
        ],
    ),
    Conversation(
        "somebody else's user-id", [connect(), say(_send(TOPIC, user_id="somebody"), gets=None)]
    ),
    Conversation("CONNECT twice", [connect(), connect(), say(gets=None)]),
)
