"""Numbered messages, ready to be published at once.

For the shared gateway they stand in its history first, as if another gateway had taken the POSTs:
what it must then do is all of its live side, with numbers that its history confirms. Posting has a
scenario of its own.
"""

import asyncio
from collections.abc import Sequence
from uuid import UUID

from bench_suite import messages
from bench_suite.flood import ready_made
from bench_suite.gateways import TOPOLOGY, Gateway
from broker.topology import Stream
from gateway.domain.message import Draft, Message
from gateway.errors import GatewayError
from gateway.messages.publication import publication
from gateway.store.store import Store

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
    store = await Store.open(f"sqlite:///{gateway.database}")
    try:
        found: list[Message] = []
        for start in range(0, len(drafts), _BATCH):
            outcomes = await store.append(drafts[start : start + _BATCH])
            ids: list[UUID] = []
            for outcome in outcomes:
                if isinstance(outcome, GatewayError):
                    raise outcome
                found.append(outcome.message)
                ids.append(outcome.message.id)
            # Or the gateway's outbox would publish them when it starts again.
            await store.mark_published(ids)
        return found
    finally:
        await store.close()
