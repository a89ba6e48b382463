"""Messages that wait for approval, as transactions of both back ends leave them."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from broker.topology import Stream
from gateway.domain.approval import REFUSED, Fate
from gateway.domain.message import Draft, Message
from gateway.domain.room import MemberRole
from gateway.errors import HistoryFull, NotWaiting
from gateway.store import Appended, Store
from gateway.store.quota import Quota
from tests.integration.store.content import NOON, draft, history, new_stream, stored

SECRET = "what nobody may read yet"


def said(stream: Stream, body: Any = SECRET, **rest: Any) -> Draft:
    return replace(draft(stream, body, **rest), role=MemberRole.PARTICIPANT, sender_name="Paul P.")


async def approving(store: Store) -> Stream:
    stream = await new_stream(store)
    order = replace(draft(stream, {"approve": True}), keep="settings", role=MemberRole.HOST)
    stored(await store.append([order]))
    return stream


def decision(waits: Message, fate: Fate) -> Draft:
    made = said(waits.stream, waits.body)
    made = replace(made, place=waits.seq, type=waits.type)
    if fate is Fate.APPROVED:
        return made
    return replace(made, type=REFUSED, body=None, sender="hanna", role=MemberRole.HOST)


@pytest.mark.gen_test
async def test_it_waits_at_every_gateway_and_its_place_is_all_that_the_stream_has(
    store: Store, other_gateway: Store
) -> None:
    stream = await approving(store)
    post = said(stream)
    (answer,) = await other_gateway.append([post])
    assert isinstance(answer, Appended)
    (waits,) = await store.read_waiting(stream.room, after=0, limit=9)
    assert waits == answer.waits == post.numbered(2)
    place = (await history(store, stream))[1]
    assert place == answer.message == post.numbered(2).without_content()
    assert (await other_gateway.unpublished_in(stream, after=1, limit=9)).messages == [place]
    assert await store.read_waiting(stream.room, after=0, limit=9, sender="quinn") == []
    assert await store.read_waiting(stream.room, after=2, limit=9) == []
    # The first answer again, with what was said.
    (again,) = await store.append([post])
    assert again == replace(answer, repeated=True)


@pytest.mark.gen_test
async def test_of_two_hosts_who_decide_at_once_one_comes_first(
    store: Store, other_gateway: Store
) -> None:
    stream = await approving(store)
    for _ in range(5):
        (answer,) = await store.append([said(stream)])
        assert isinstance(answer, Appended)
        assert answer.waits is not None
        approved, refused = (decision(answer.waits, fate) for fate in (Fate.APPROVED, Fate.REFUSED))
        (one,), (other,) = await asyncio.gather(
            store.append([approved]), other_gateway.append([refused])
        )
        assert {type(one), type(other)} == {Appended, NotWaiting}
        fate = Fate.APPROVED if isinstance(one, Appended) else Fate.REFUSED
        place = answer.message.seq or 0
        assert (await store.waited_at(stream.room, [place]))[place].fate is fate
        (again,) = await other_gateway.append([approved])
        assert isinstance(again, type(one))
    assert await store.read_waiting(stream.room, after=0, limit=9) == []


@pytest.mark.gen_test
async def test_an_approved_message_is_its_authors_and_names_its_place(store: Store) -> None:
    stream = await approving(store)
    (answer,) = await store.append([said(stream)])
    assert isinstance(answer, Appended)
    assert answer.waits is not None
    stored(await store.append([decision(answer.waits, Fate.APPROVED)]))
    shown = (await history(store, stream))[2]
    assert (shown.sender, shown.sender_name, shown.body) == ("paul", "Paul P.", SECRET)
    assert (shown.seq, shown.place) == (3, 2)
    page = await store.read_json(stream, after=2, limit=1)
    assert b'"place":2,' in page.messages[0]


@pytest.mark.gen_test
async def test_deletion_by_request_and_retention_take_it_too(store: Store) -> None:
    stream = await approving(store)
    for _ in range(3):
        await store.append([said(stream)])
    waits = await store.read_waiting(stream.room, after=0, limit=9)
    decided = [decision(waits[0], Fate.APPROVED), decision(waits[1], Fate.REFUSED)]
    stored(await store.append(decided))
    ordered = await store.order_erasure(room=None, user="paul", by="root", reason="", at=NOON)
    done = await store.carry_out_erasure(ordered)
    # Three that waited, and the one that was approved, with the order to approve.
    assert (done.messages, done.rooms) == (5, 1)
    assert await store.waited_at(stream.room, range(9)) == {}
    assert SECRET not in str(await history(store, stream))

    stream = await approving(store)
    (answer,) = await store.append([said(stream)])
    assert isinstance(answer, Appended)
    everything = await history(store, stream)
    await store.mark_published([each.id for each in everything])
    assert await store.prune(NOON + timedelta(days=1)) == 2
    assert await store.waited_at(stream.room, [2]) == {}


@pytest.mark.gen_test
async def test_what_was_decided_is_forgotten_after_a_time_and_what_waits_is_not(
    store: Store,
) -> None:
    stream = await approving(store)
    for _ in range(3):
        await store.append([said(stream)])
    waits = await store.read_waiting(stream.room, after=0, limit=9)
    stored(
        await store.append([decision(waits[0], Fate.APPROVED), decision(waits[1], Fate.REFUSED)])
    )
    assert await store.forget_decided(NOON) == 0
    assert await store.forget_decided(NOON + timedelta(days=1)) == 2
    assert list(await store.waited_at(stream.room, range(9))) == [waits[2].seq]
    assert str(await history(store, stream)).count(SECRET) == 1


@pytest.mark.gen_test
async def test_a_host_approves_in_the_last_tenth_of_the_rooms_quota(store: Store) -> None:
    stream = await approving(store)
    (answer,) = await store.append([said(stream)])
    assert isinstance(answer, Appended)
    assert answer.waits is not None
    store.quota = Quota(messages=3)
    (full,) = await store.append([said(stream)])
    assert isinstance(full, HistoryFull)
    stored(await store.append([decision(answer.waits, Fate.APPROVED)]))
