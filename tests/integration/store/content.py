"""Example content of a store."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Connection, func, select

from broker.topology import Audience, Stream
from gateway.domain.message import Draft, Message
from gateway.domain.room import MemberRole
from gateway.errors import GatewayError
from gateway.store import Appended, Store
from gateway.store.tables import outbox

NOON = datetime(2026, 5, 4, 12, 0, 0, 123456, tzinfo=UTC)
MEMBERS = {"hanna": MemberRole.HOST, "paul": MemberRole.PARTICIPANT}


async def new_stream(store: Store, audience: Audience = Audience.PUBLIC) -> Stream:
    """A stream of a new room."""
    return Stream(audience, (await store.create_room("a room", MEMBERS, NOON)).id)


def draft(
    stream: Stream,
    body: Any = "hello",
    *,
    id: UUID | None = None,
    sender: str = "paul",
    at: datetime = NOON,
    kind: str = "chat",
) -> Draft:
    return Draft(id or uuid4(), stream, sender, at, kind, body)


def stored(answers: Sequence[Appended | GatewayError]) -> list[Message]:
    """The messages of answers that must all be good."""
    messages = []
    for answer in answers:
        assert isinstance(answer, Appended), answer
        messages.append(answer.message)
    return messages


async def outbox_size(store: Store) -> int:
    """The number of messages that all gateways together have in the outbox."""

    def count(connection: Connection) -> int:
        return connection.execute(select(func.count()).select_from(outbox)).scalar_one()

    return await store._database.read(count)


async def history(store: Store, stream: Stream) -> list[Message]:
    """All of a stream, read page by page."""
    found: list[Message] = []
    while page := (
        await store.read(stream, after=found[-1].seq or 0 if found else 0, limit=100)
    ).messages:
        found += page
    return found
