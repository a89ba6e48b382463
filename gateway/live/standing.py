"""What a client has at the broker through its relay: enough to set it up again on another node.

Pure. Only what survives a node without a gap may move: subscriptions of queues that the broker
keeps whoever listens. A transient subscription would come back with a hole that nobody sees, so
its client is told instead.
"""

from __future__ import annotations

from typing import Final

from broker.stomp import Frame, serialise
from gateway.live.destinations import Destination, RoomQueue

#: Message ids of RabbitMQ's STOMP adapter: ``T_<subscription>@@<session>@@<delivery tag>``.
_MARK: Final = "@@"


class Standing:
    """Empty, and in no session, until :meth:`move` names one."""

    def __init__(self) -> None:
        self._session = ""
        #: What the ids of this session's messages hold.
        self.mark = b""
        self._subscriptions: dict[str, tuple[Destination, Frame]] = {}
        self._receipts: set[str] = set()
        self._transactions: set[str] = set()

    def subscribed(self, key: str, destination: Destination, frame: Frame) -> None:
        """``frame`` is the SUBSCRIBE as the broker got it."""
        self._subscriptions[key] = (destination, frame)
        self._expect(frame)

    def unsubscribed(self, key: str, frame: Frame) -> None:
        self._subscriptions.pop(key, None)
        self._expect(frame)

    def sent(self, frame: Frame) -> None:
        """Any other frame that was passed on."""
        transaction = frame.get("transaction")
        if transaction is not None:
            if frame.command == "BEGIN":
                self._transactions.add(transaction)
            elif frame.command in ("COMMIT", "ABORT"):
                self._transactions.discard(transaction)
        self._expect(frame)

    def answered(self, receipt: str) -> None:
        """The broker's RECEIPT has come."""
        self._receipts.discard(receipt)

    def is_stale(self, frame: Frame) -> bool:
        """Whether an ACK or NACK is for a message of a session that is gone: the broker has
        delivered it again, and does not know that name any more."""
        name = frame.get("id") or frame.get("message-id") or ""
        return _MARK in name and f"{_MARK}{self._session}{_MARK}" not in name

    @property
    def obstacle(self) -> str | None:
        """Why it cannot move, or None: it can."""
        if self._transactions:
            return "a transaction is open"
        if self._receipts - self._subscribing:
            return "a receipt is not answered"
        for destination, _ in self._subscriptions.values():
            if not isinstance(destination, RoomQueue):
                return "a subscription lived on the node"
        return None

    @property
    def unanswered(self) -> bool:
        """Whether a receipt is still to come."""
        return bool(self._receipts)

    @property
    def rooms(self) -> list[int]:
        """Those whose private queues are consumed."""
        destinations = (destination for destination, _ in self._subscriptions.values())
        return [d.room for d in destinations if isinstance(d, RoomQueue)]

    @property
    def _subscribing(self) -> set[str]:
        frames = (frame for _, frame in self._subscriptions.values())
        return {receipt for frame in frames if (receipt := frame.get("receipt")) is not None}

    def move(self, session: str) -> list[bytes]:
        """Go on in a new session, named as in its CONNECTED; the frames that set it up.

        A SUBSCRIBE asks for its RECEIPT only if the client has not got it yet.
        """
        self._session = session
        self.mark = f"{_MARK}{session}{_MARK}".encode()
        return [
            serialise(
                frame.command,
                [
                    (name, value)
                    for name, value in frame.headers
                    if name != "receipt" or value in self._receipts
                ],
            )
            for _, frame in self._subscriptions.values()
        ]

    def _expect(self, frame: Frame) -> None:
        receipt = frame.get("receipt")
        if receipt is not None:
            self._receipts.add(receipt)
