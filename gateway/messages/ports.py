"""The interfaces of the history and of the broker, as the pipeline needs them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol
from uuid import UUID

from broker.topology import Stream
from gateway.domain.message import Draft
from gateway.domain.room import Room
from gateway.errors import GatewayError
from gateway.messages.outbox_fill import SizedOutbox
from gateway.store.records import Appended, Unpublished


class MessageStore(Protocol):
    """The stored messages. Every method raises :class:`gateway.errors.StoreUnavailable` when the
    database is away."""

    async def append(self, drafts: Sequence[Draft]) -> Sequence[Appended | GatewayError]:
        """Store and number the drafts in one transaction; an answer for each, in their order."""
        ...

    async def stored(self, message_id: UUID) -> Appended | None:
        """The message that was stored under this id, whoever sent it."""
        ...


class Leases(Protocol):
    """The lease that decides which gateway publishes what is in the store's outbox.

    Every method raises :class:`gateway.errors.StoreUnavailable` when the database is away.
    """

    async def renew_lease(self, seconds: float) -> bool:
        """Renew the lease. False: there was none, so others may have taken over this gateway's
        messages."""
        ...

    async def end_lease(self) -> None: ...

    async def take_over(self, *, limit: int) -> Sequence[Stream]:
        """Own what gateways without a lease left behind, and what applications stored; the stream
        of each message."""
        ...

    async def release(self, *, limit: int) -> int:
        """Leave this gateway's messages to the others; the number of messages."""
        ...

    async def hear(self, heard: Callable[[], None]) -> None:
        """Call ``heard`` when an application may have stored a message; ends when nothing more can
        be heard."""
        ...


class StoredOutbox(Leases, SizedOutbox, Protocol):
    """The store's outbox: this gateway's messages that the broker has not confirmed yet.

    Every method raises :class:`gateway.errors.StoreUnavailable` when the database is away.
    """

    async def unpublished_streams(self) -> Sequence[Stream]: ...

    async def unpublished_in(self, stream: Stream, *, after: int, limit: int) -> Unpublished: ...

    async def mark_published(self, ids: Sequence[UUID]) -> None: ...

    async def is_published(self, message_id: UUID) -> bool:
        """Whether a stored message has left the outbox, whichever gateway owned it."""
        ...

    async def room(self, room: int) -> Room | None: ...


class RoomQueues(Protocol):
    """The rooms' private queues, which take what is published."""

    async def declare_private_queue(self, room: int) -> object:
        """Make sure that the room has its queue, with everything that it should hold. Raises
        :class:`broker.publishing.provision.QueueFailed`."""
        ...
