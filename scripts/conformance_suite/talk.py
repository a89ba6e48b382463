"""One conversation over real WebSockets, and what was heard, without what differs each time."""

import re
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import Final

import websocket

from conformance_suite.conversations import OWN, Conversation, Said
from conformance_suite.frames import Received, received
from devenv.broker_users import User

#: Seconds to wait for a frame, and for a socket that RabbitMQ leaves open after an error.
_PATIENCE: Final = 10.0
_END: Final = 3.0
#: Headers whose values are drawn anew.
_DRAWN: Final = frozenset({"session", "server", "message-id", "ack"})
_GENERATED: Final = re.compile(r"amq\.gen-[\w-]+|stomp-subscription-[\w-]+")
_SUBPROTOCOLS: Final = ["v10.stomp", "v11.stomp", "v12.stomp"]
_SHOWN: Final = 120


def hold(conversation: Conversation, url: str, who: User) -> list[str]:
    """Everything that the clients heard: a line a frame, and one for each end."""
    own = f"conformance-{secrets.token_hex(4)}"
    lines: list[str] = []
    with ExitStack() as stack:
        clients = [
            stack.enter_context(closing(_Client(url)))
            for _ in {step.client for step in conversation.steps}
        ]
        for step in conversation.steps:
            client = clients[step.client]
            for said in step.says:
                client.say(_filled(said, client.messages, own, who))
            # RabbitMQ says in no order what comes for different subscriptions, and receipts.
            for line in sorted(client.hear(step.gets), key=kind_of):
                text = line.replace(own, OWN).replace(who.name, "LOGIN")
                lines.append(f"{step.client}: {text}")
    return lines


def kind_of(line: str) -> str:
    """The order of lines that RabbitMQ says in no order."""
    command, _, rest = line.partition(" ")
    return command + rest.partition(" ")[0] if command == "MESSAGE" else command


def _filled(said: Said, messages: list[Received], own: str, who: User) -> bytes:
    data = said if isinstance(said, bytes) else said(messages)
    for word, value in ((OWN, own), ("LOGIN", who.name), ("PASSCODE", who.password)):
        data = data.replace(word.encode(), value.encode())
    return data


class _Client:
    """A WebSocket, with the MESSAGE frames that have come."""

    def __init__(self, url: str) -> None:
        self.messages: list[Received] = []
        self._socket = websocket.create_connection(
            url, timeout=_PATIENCE, subprotocols=_SUBPROTOCOLS
        )
        self._is_over = False

    def close(self) -> None:
        # Without a Close frame: what is to be said is in the conversation.
        self._socket.shutdown()  # type: ignore[no-untyped-call]

    def say(self, data: bytes) -> None:
        if not self._is_over:
            self._socket.send(data.decode("latin-1") if data.isascii() else data, _kind(data))

    def hear(self, count: int | None) -> Iterator[str]:
        """The next so many frames, or all until the end."""
        heard = 0
        while not self._is_over and (count is None or heard < count):
            self._socket.settimeout(_PATIENCE if count is not None else _END)
            try:
                kind, data = self._socket.recv_data()
            except websocket.WebSocketTimeoutException:
                yield "nothing more"
                return
            except (websocket.WebSocketConnectionClosedException, ConnectionError):
                self._is_over = True
                yield "gone without a Close frame"
                return
            if kind == websocket.ABNF.OPCODE_CLOSE:
                self._is_over = True
                yield f"closed with {int.from_bytes(data[:2])}"
                return
            if (found := received(data)) is None:
                continue
            heard += 1
            if found.command == "MESSAGE":
                self.messages.append(found)
            yield shown(found)


def _kind(data: bytes) -> int:
    return websocket.ABNF.OPCODE_TEXT if data.isascii() else websocket.ABNF.OPCODE_BINARY


def shown(found: Received) -> str:
    """A frame as a line. Of CONNECTED the order of the headers means nothing."""
    # Whether as text or as binary is not compared: RabbitMQ sends binary frames where it is told to
    # (`web_stomp.ws_frame`), the gateway those that are no UTF-8.
    headers = " ".join(
        f"{key}:{'…' if key in _DRAWN else _GENERATED.sub('amq.gen-…', value)!r}"
        for key, value in (sorted(found.headers) if found.command == "CONNECTED" else found.headers)
    )
    body = found.body if len(found.body) <= _SHOWN else found.body[:20] + b" ... "
    return f"{found.command} {headers} {body!r} ({len(found.body)} bytes)"
