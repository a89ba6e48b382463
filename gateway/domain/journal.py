"""The journal: what has happened at the gateways, kept for operators."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final


class EntryKind(StrEnum):
    """The kinds of entries.

    ``connection``: a client was let in. ``close``: its connection ended. ``refusal``: a request was
    turned away. ``failover``: a feed, a relay or the publisher lost its node or found another one.
    ``node``: a broker node went out or came back. ``state``: something that a gateway depends on
    began to fail, or fails no more. ``action``: somebody gave an order. ``gateway``: a gateway
    started or stopped.
    """

    CONNECTION = "connection"
    CLOSE = "close"
    REFUSAL = "refusal"
    FAILOVER = "failover"
    NODE = "node"
    STATE = "state"
    ACTION = "action"
    GATEWAY = "gateway"


#: The codes of hosts' orders in their rooms, of which there may be any number.
ROOM_CLOSED: Final = "room_closed"
MEMBER_REMOVED: Final = "member_removed"
#: The code of an order to delete by request. Its entry names no person, so it stays when the
#: entries about them, or about the room, are deleted.
ERASURE: Final = "erasure"


@dataclass(frozen=True, slots=True)
class Visit:
    """The facts about a connection that ends. ``since``: Unix time; ``client_status``:
    the code of the client's own Close, if that came first."""

    rooms: tuple[int, ...]
    since: float
    browser: str
    bytes_in: int
    bytes_out: int
    client_status: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry. ``at`` and ``since`` are Unix times. ``code`` is a stable word for machines,
    ``detail`` for people; ``status`` is the HTTP status, or the close code that the gateway sent;
    ``client_status`` the one that the client sent. ``user``: whom it concerns; ``by``: who gave the
    order. ``gateway``: whose entry it is; ``id``: its number in the database."""

    at: float
    #: An :class:`EntryKind`, or one that a newer version knows.
    kind: str
    code: str
    detail: str = ""
    status: int | None = None
    client_status: int | None = None
    user: str | None = None
    by: str | None = None
    room: int | None = None
    address: str | None = None
    node: str | None = None
    connection: str | None = None
    browser: str | None = None
    since: float | None = None
    bytes_in: int | None = None
    bytes_out: int | None = None
    gateway: str = ""
    id: int = 0


#: The time of an entry, and its number: where a page ends.
Place = tuple[datetime, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """A search in the journal; what is None is not asked for. ``since`` is included, ``until`` is
    not; no ``kinds``: all. ``before``: the place of the last entry of the page before."""

    user: str | None = None
    room: int | None = None
    address: str | None = None
    connection: str | None = None
    kinds: Collection[EntryKind] = ()
    since: datetime | None = None
    until: datetime | None = None
    before: Place | None = None
    size: int = 50
