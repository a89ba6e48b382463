"""Numbered messages, ready to be published at once.

For the shared gateway they are put into its history first, as if another gateway had taken them:
the gateway then does all of its live work, with numbers that its history confirms. Posting has a
scenario of its own.
"""

import asyncio
from collections.abc import Sequence
from functools import partial
from uuid import uuid4

from sqlalchemy import Connection

from bench_suite import messages
from bench_suite.flood import ready_made
from bench_suite.gateways import TOPOLOGY, Gateway
from broker.topology import Stream
from gateway.domain.message import Draft, Message
from gateway.errors import GatewayError
from gateway.messages.publication import publication
from gateway.store import history, outbox
from gateway.store.sqlite import SqliteDatabase
from gateway.store.store import TIMEOUT

_BATCH = 500


def stock(
    stream: Stream, sender: str, count: int, *, first: int, gateway: Gateway | None
) -> list[bytes]:
    """``count`` messages from number ``first`` on, for `Flood.publish`."""
    drafts = [messages.draft(stream, sender) for _ in range(count)]
    if gateway is None:
        numbered = [draft.numbered(first + index) for index, draft in enumerate(drafts)]
    else:
        numbered = asyncio.run(_stored(gateway, drafts))
        if [message.seq for message in numbered] != list(range(first, first + count)):
            raise RuntimeError(f"{stream}: somebody else has posted")
    return [ready_made(publication(message, TOPOLOGY)) for message in numbered]


async def _stored(gateway: Gateway, drafts: Sequence[Draft]) -> list[Message]:
    database = SqliteDatabase(str(gateway.database), timeout=TIMEOUT)
    try:
        found: list[Message] = []
        for start in range(0, len(drafts), _BATCH):
            batch = drafts[start : start + _BATCH]
            found += await database.write(partial(_append, drafts=batch))
        return found
    finally:
        await database.close()


def _append(connection: Connection, drafts: Sequence[Draft]) -> list[Message]:
    """Append in one transaction, because the gateway would publish what it finds in the outbox."""
    found: list[Message] = []
    for outcome in history.append(connection, drafts, owner=uuid4()):
        if isinstance(outcome, GatewayError):
            raise outcome
        found.append(outcome.message)
    outbox.mark_published(connection, [message.id for message in found])
    return found
