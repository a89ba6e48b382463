"""What is to be known about a connection from outside, at one moment."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ConnectionState:
    """Times are Unix seconds. Frames are STOMP's, without heart-beats; bytes are WebSocket's, as
    they go over TCP or TLS.

    ``user`` and ``expires_at`` are None until CONNECT is accepted, ``node`` while no relay is up.
    ``rooms`` are those that a subscription is for, in ascending order. ``backlog``: bytes that the
    client has not taken yet. ``heard_at``: when anything came last.
    """

    id: str
    user: str | None
    rooms: tuple[int, ...]
    address: str
    since: float
    node: str | None
    frames_in: int
    frames_out: int
    bytes_in: int
    bytes_out: int
    backlog: int
    heard_at: float
    expires_at: float | None
