"""Order in rooms, as the transaction that stores a host's word leaves it."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from broker.topology import Audience, Stream
from gateway.domain.message import Draft
from gateway.domain.room import Member, MemberRole
from gateway.errors import SlowMode
from gateway.store import Appended, Store
from tests.integration.store.content import NOON, draft, new_stream, stored

HOST, PARTICIPANT = MemberRole.HOST, MemberRole.PARTICIPANT


def said(stream: Stream, after: float, *, sender: str = "paul", apart: int = 10) -> Draft:
    at: datetime = NOON + timedelta(seconds=after)
    return replace(draft(stream, sender=sender, at=at), role=PARTICIPANT, apart=apart)


def order(
    stream: Stream, key: str, body: Any, *, of: str | None = None, role: MemberRole = HOST
) -> Draft:
    return replace(draft(stream, body, sender="hanna"), keep=key, of=of, role=role)


@pytest.mark.gen_test
async def test_messages_that_come_too_soon_are_refused_in_one_batch_and_at_all_gateways(
    store: Store, other_gateway: Store
) -> None:
    stream = await new_stream(store)
    first, second, other = await store.append(
        [said(stream, 0), said(stream, 9), said(stream, 1, sender="quinn")]
    )
    assert isinstance(first, Appended)
    assert isinstance(second, SlowMode)
    assert second.retry_after == pytest.approx(1)
    assert isinstance(other, Appended)
    (late,) = await other_gateway.append([said(stream, 9.5)])
    assert isinstance(late, SlowMode)
    (right,) = await other_gateway.append([said(stream, 10)])
    assert isinstance(right, Appended)
    # Numbers have no hole for what was refused.
    assert right.message.seq == 3


@pytest.mark.gen_test
async def test_an_entry_of_the_kept_state_is_no_word(store: Store) -> None:
    stream = await new_stream(store)
    entries = [replace(said(stream, n, apart=0), keep="score:1") for n in range(3)]
    stored(await store.append([said(stream, 0), *entries]))
    (late,) = await store.append([said(stream, 9)])
    assert isinstance(late, SlowMode)
    assert late.retry_after == pytest.approx(1)
    stored(await store.append([said(stream, 10)]))


@pytest.mark.gen_test
async def test_a_repeated_id_gets_its_first_answer_in_slow_mode(store: Store) -> None:
    stream = await new_stream(store)
    first = said(stream, 0)
    for _ in range(2):
        (answer,) = await store.append([first])
        assert isinstance(answer, Appended)


@pytest.mark.gen_test
async def test_a_gateway_whose_clock_is_ahead_makes_nobody_wait_longer(store: Store) -> None:
    stream = await new_stream(store)
    await store.append([said(stream, 3600)])
    (refused,) = await store.append([said(stream, 0)])
    assert isinstance(refused, SlowMode)
    assert refused.retry_after == 10


@pytest.mark.gen_test
async def test_what_a_host_orders_stands_in_the_roster_and_every_gateway_looks_again(
    store: Store, other_gateway: Store
) -> None:
    public = await new_stream(store)
    room, private = public.room, Stream(Audience.PRIVATE, public.room)
    before = (await store.revisions([room]))[room]
    stored(
        await store.append(
            [
                order(public, "settings", {"chat": False, "slow": 5}),
                order(private, "muted:paul", {"user": "paul"}),
                # Participants, and the other audience, order nothing.
                order(public, "muted:hanna", {"user": "hanna"}),
                order(private, "settings", {"chat": True}),
                order(private, "muted:hanna", {"user": "hanna"}, role=PARTICIPANT),
            ]
        )
    )
    roster = await other_gateway.roster(room)
    assert roster is not None
    assert (roster.muted, roster.chat, roster.slow) == (frozenset({"paul"}), False, 5)
    assert await other_gateway.membership(room, "paul") == roster.of("paul")
    assert (await other_gateway.revisions([room]))[room] > before
    stored(
        await store.append([order(public, "settings", None), order(private, "muted:paul", None)])
    )
    roster = await other_gateway.roster(room)
    assert roster is not None
    assert (roster.muted, roster.chat, roster.slow) == (frozenset(), True, 0)


@pytest.mark.gen_test
async def test_whoever_was_muted_and_comes_back_still_is(store: Store) -> None:
    private = await new_stream(store, Audience.PRIVATE)
    room = private.room
    await store.append([order(private, "muted:paul", {"user": "paul"})])
    await store.append([order(private, "muted", {"user": "안나"}, of="안나")])
    await store.remove_member(room, "paul")
    await store.set_member(room, "paul", PARTICIPANT)
    new = [Member(user, PARTICIPANT) for user in ("안나", "quinn")]
    await store.add_members(room, new, one_more=lambda _: None)
    roster = await store.roster(room)
    assert roster is not None
    assert roster.muted == frozenset({"paul", "안나"})
