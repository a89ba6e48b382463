"""Publishes by AMQP 0-9-1 faster than any client library: frames are made before the clock runs.

So publishing takes almost nothing of the two cores that everything shares.
"""

import select
import socket
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Self

from pamqp import commands, frame, header

from broker.publishing.publication import Publication
from devenv.broker_node import Node
from devenv.broker_users import User

_TIMEOUT = 30.0
_CHANNEL = 1
#: What RabbitMQ proposes.
_FRAME_MAX = 131_072
#: Bytes of a frame before its payload: type, channel, size.
_HEAD = 7


class FloodFailed(Exception):
    """RabbitMQ closed the channel, or was silent."""


def ready_made(publication: Publication) -> bytes:
    """The frames of one persistent message to `amq.topic`."""
    return publication.frames(_CHANNEL, frame_max=_FRAME_MAX)


class Flood:
    """A connection to one node, with a confirming channel."""

    def __init__(self, node: Node, user: User) -> None:
        self._socket = socket.create_connection(("127.0.0.1", node.amqp_port), timeout=_TIMEOUT)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._received = b""
        self.sent = 0
        self.confirmed = 0
        self._log_in(user)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._socket.close()

    def publish(self, messages: Iterable[bytes]) -> None:
        """Send `ready_made` messages; waits while RabbitMQ does not take them."""
        batch = list(messages)
        if batch:
            self._socket.sendall(b"".join(batch))
            self.sent += len(batch)

    def confirm(self, seconds: float = 0.0) -> None:
        """Take the confirms that come within a time. Raises `FloodFailed`."""
        while select.select([self._socket], [], [], seconds)[0]:
            seconds = 0.0
            for command in self._arrived():
                if isinstance(command, commands.Basic.Ack):
                    tag = command.delivery_tag or 0
                    self.confirmed = tag if command.multiple else self.confirmed + 1
                else:
                    raise FloodFailed(f"RabbitMQ says {command!r}")

    def _log_in(self, user: User) -> None:
        self._socket.sendall(frame.marshal(header.ProtocolHeader(), 0))
        self._expect(commands.Connection.Start)
        secret = f"\0{user.name}\0{user.password}"
        self._say(0, commands.Connection.StartOk(mechanism="PLAIN", response=secret))
        tune = self._expect(commands.Connection.Tune)
        # Heart-beats are off: nobody would send them between two measurements.
        self._say(0, commands.Connection.TuneOk(tune.channel_max, tune.frame_max, 0))
        self._say(0, commands.Connection.Open("/"))
        self._expect(commands.Connection.OpenOk)
        self._say(_CHANNEL, commands.Channel.Open())
        self._expect(commands.Channel.OpenOk)
        self._say(_CHANNEL, commands.Confirm.Select())
        self._expect(commands.Confirm.SelectOk)

    def _say(self, channel: int, command: Any) -> None:
        self._socket.sendall(frame.marshal(command, channel))

    def _expect(self, wanted: type) -> Any:
        while not (found := self._arrived()):
            pass
        if not isinstance(found[0], wanted):
            raise FloodFailed(f"RabbitMQ says {found[0]!r}")
        return found[0]

    def _arrived(self) -> list[Any]:
        data = self._socket.recv(65_536)
        if not data:
            raise FloodFailed("RabbitMQ closed the connection")
        self._received += data
        found = []
        while len(self._received) >= _HEAD:
            size = _HEAD + int.from_bytes(self._received[3:_HEAD]) + 1
            if size > len(self._received):
                break
            found.append(frame.unmarshal(self._received[:size])[2])
            self._received = self._received[size:]
        return found
