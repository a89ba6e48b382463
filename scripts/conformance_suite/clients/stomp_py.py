"""stomp.py over WebSocket, as its documentation uses it."""

from socket import SHUT_RDWR
from typing import Any
from urllib.parse import urlsplit

import stomp

from conformance_suite.clients.driver import Teller, serve


class _Listener(stomp.ConnectionListener):  # type: ignore[misc]
    """A listener that tells everything, and keeps the messages for their acknowledgements."""

    def __init__(self, teller: Teller) -> None:
        self.messages: list[Any] = []
        self._teller = teller

    def on_connected(self, frame: Any) -> None:
        self._frame("CONNECTED", frame)

    def on_message(self, frame: Any) -> None:
        self.messages.append(frame)
        self._frame("MESSAGE", frame)

    def on_receipt(self, frame: Any) -> None:
        self._frame("RECEIPT", frame)

    def on_error(self, frame: Any) -> None:
        self._frame("ERROR", frame)

    def on_heartbeat(self) -> None:
        self._teller.tell("HEARTBEAT")

    def on_disconnected(self) -> None:
        # The library has no code for it.
        self._teller.tell("CLOSED")

    def _frame(self, command: str, frame: Any) -> None:
        self._teller.tell(command, frame.headers.items(), frame.body)


class _Connection:
    """A connection of stomp.py."""

    def __init__(self, teller: Teller, given: dict[str, Any]) -> None:
        address, headers = urlsplit(given["url"]), given["headers"]
        beat = given.get("heart_beat") or 0
        self._stomp = stomp.WSStompConnection(
            [(address.hostname, address.port)],
            ws_path=address.path,
            vhost=headers["host"],
            heartbeats=(beat, beat),
            reconnect_attempts_max=1,
        )
        self._heard = _Listener(teller)
        self._stomp.set_listener("", self._heard)
        try:
            self._stomp.connect(headers["login"], headers["passcode"])
        except stomp.exception.ConnectFailedException:
            teller.tell("CLOSED")

    def subscribe(self, *, destination: str, headers: dict[str, str]) -> None:
        own = dict(headers)
        self._stomp.subscribe(destination, own.pop("id"), own.pop("ack", "auto"), own)

    def unsubscribe(self, *, id: str) -> None:
        self._stomp.unsubscribe(id)

    def send(self, *, destination: str, headers: dict[str, str], body: str) -> None:
        self._stomp.send(destination, body, headers=headers)

    def ack(self, *, index: int, headers: dict[str, str]) -> None:
        self._stomp.ack(self._id(index), headers.get("transaction"), headers.get("receipt"))

    def nack(self, *, index: int, headers: dict[str, str]) -> None:
        self._stomp.nack(self._id(index), headers.get("transaction"), headers.get("receipt"))

    def begin(self, *, transaction: str) -> None:
        self._stomp.begin(transaction)

    def commit(self, *, transaction: str) -> None:
        self._stomp.commit(transaction)

    def abort(self, *, transaction: str) -> None:
        self._stomp.abort(transaction)

    def leave(self) -> None:
        self._stomp.disconnect(receipt="bye")

    def drop(self) -> None:
        # The library's own way closes it while a thread still reads: nobody learns of it then.
        self._stomp.transport.socket.sock.shutdown(SHUT_RDWR)

    def _id(self, index: int) -> str:
        return str(self._heard.messages[index].headers["ack"])


if __name__ == "__main__":
    serve(_Connection)
