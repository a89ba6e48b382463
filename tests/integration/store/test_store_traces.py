"""Messages for operators: everything but what was said."""

from __future__ import annotations

from uuid import uuid4

import pytest

from broker.topology import Stream
from gateway.store import Store
from tests.integration.store.content import NOON, draft, new_stream, stored


@pytest.mark.gen_test
async def test_a_message_is_found_by_its_id_and_its_place(store: Store) -> None:
    stream = await new_stream(store)
    first, second = stored(await store.append([draft(stream), draft(stream, ["é"])]))
    (one,) = await store.traced([first.id, uuid4()])
    assert (one.id, one.stream, one.seq, one.sent_at) == (first.id, stream, 1, NOON)
    assert (one.sender, one.type, one.size, one.published) == ("paul", "chat", 7, False)
    await store.mark_published([first.id])
    assert [each.published for each in await store.traced([first.id, second.id])] == [True, False]
    (two,) = await store.traced_at(stream, 2)
    assert two.id == second.id
    for seq in (0, 3, 2**63):
        assert await store.traced_at(stream, seq) == []
    assert await store.traced_at(Stream(stream.audience, 2**63), 1) == []


@pytest.mark.gen_test
async def test_a_deleted_one_has_no_sender(store: Store) -> None:
    stream = await new_stream(store)
    (message,) = stored(await store.append([draft(stream)]))
    ordered = await store.order_erasure(room=None, user="paul", by="root", reason="", at=NOON)
    await store.carry_out_erasure(ordered)
    (found,) = await store.traced([message.id])
    assert (found.sender, found.type) == ("", "deleted")
