"""websocket-client, with STOMP frames that the application writes and reads by itself."""

import threading
from socket import SHUT_RDWR
from typing import Any

import websocket

from conformance_suite.clients.driver import Teller, serve
from conformance_suite.frames import Received, frame, received, written

_SUBPROTOCOLS = ["v10.stomp", "v11.stomp", "v12.stomp"]


class _Connection:
    """A `WebSocketApp`, as its documentation uses it."""

    def __init__(self, teller: Teller, given: dict[str, Any]) -> None:
        self._teller = teller
        self._messages: list[Received] = []
        beat = given.get("heart_beat") or 0
        self._beat = beat / 1000
        self._connect = {
            "accept_version": "1.2",
            "heart_beat": f"{beat},{beat}",
            **given["headers"],
        }
        self._ended = threading.Event()
        self._socket = websocket.WebSocketApp(
            given["url"],
            subprotocols=_SUBPROTOCOLS,
            on_open=self._opened,
            on_message=self._came,
            on_close=self._closed,
        )
        threading.Thread(target=self._socket.run_forever, daemon=True).start()

    def subscribe(self, *, destination: str, headers: dict[str, str]) -> None:
        self._say("SUBSCRIBE", {"destination": destination, **headers})

    def unsubscribe(self, *, id: str) -> None:
        self._say("UNSUBSCRIBE", {"id": id})

    def send(self, *, destination: str, headers: dict[str, str], body: str) -> None:
        self._say("SEND", {"destination": destination, **headers}, body)

    def ack(self, *, index: int, headers: dict[str, str]) -> None:
        self._say("ACK", {"id": self._messages[index].header("ack"), **headers})

    def nack(self, *, index: int, headers: dict[str, str]) -> None:
        self._say("NACK", {"id": self._messages[index].header("ack"), **headers})

    def begin(self, *, transaction: str) -> None:
        self._say("BEGIN", {"transaction": transaction})

    def commit(self, *, transaction: str) -> None:
        self._say("COMMIT", {"transaction": transaction})

    def abort(self, *, transaction: str) -> None:
        self._say("ABORT", {"transaction": transaction})

    def leave(self) -> None:
        self._say("DISCONNECT", {"receipt": "bye"})

    def drop(self) -> None:
        opened = self._socket.sock
        if opened is not None and opened.sock is not None:
            opened.sock.shutdown(SHUT_RDWR)

    def _say(self, command: str, headers: dict[str, str], body: str = "") -> None:
        data = body.encode()
        length = [("content-length", str(len(data)))] if data else []
        made = written(command, [*headers.items(), *length], data)
        self._socket.send(made.decode(), websocket.ABNF.OPCODE_TEXT)

    def _opened(self, socket: websocket.WebSocketApp) -> None:
        socket.send(frame("CONNECT", **self._connect).decode())

    def _came(self, socket: websocket.WebSocketApp, data: str | bytes) -> None:
        found = received(data.encode() if isinstance(data, str) else data)
        if found is None:
            self._teller.tell("HEARTBEAT")
            return
        if found.command == "MESSAGE":
            self._messages.append(found)
        if found.command == "CONNECTED" and self._beat:
            threading.Thread(target=self._keep_alive, daemon=True).start()
        self._teller.tell(found.command, found.headers, found.body.decode(errors="replace"))

    def _keep_alive(self) -> None:
        while not self._ended.wait(self._beat):
            self._socket.send("\n")

    def _closed(self, socket: websocket.WebSocketApp, code: int | None, reason: object) -> None:
        self._ended.set()
        self._teller.tell("CLOSED", [("code", str(code or 1006))])


if __name__ == "__main__":
    serve(_Connection)
