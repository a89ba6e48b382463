"""Two gateways over one database: each message is one living gateway's to publish."""

import asyncio
from random import Random
from typing import Any

import pytest

from broker.timing.tasks import Tasks
from broker.topology import Stream, Topology
from gateway.messages import outbox_lease
from gateway.messages.outbox import Outbox, OutboxLimits
from gateway.messages.outbox_lease import INTERVAL, LEASE
from tests.unit.messages.fakes import (
    STREAM,
    FakeBroker,
    FakeStore,
    first_times,
    message,
)
from tests.virtual_time import run


def outbox_over(store: FakeStore, broker: FakeBroker, *, window: int = 8) -> Outbox:
    rng = Random(1)  # noqa: S311 - jitter
    return Outbox(
        store,
        broker,
        Topology(),
        queues=broker,
        rng=rng,
        limits=OutboxLimits(window=window),
        tasks=Tasks(),
    )


def test_messages_in_flight_of_a_living_gateway_are_left_to_it() -> None:
    mine = FakeStore(living={"other"})
    other, broker = mine.another("other"), FakeBroker()
    other.put([message(1), message(2)])

    async def main() -> None:
        outbox = outbox_over(mine, broker)
        await outbox.start()
        await asyncio.sleep(60.0)
        await outbox.close(within=1.0)

    run(main())
    assert broker.wire == []
    assert len(mine.outbox) == 2


def test_messages_left_by_a_dead_gateway_are_published_by_another_in_order() -> None:
    mine = FakeStore(living={"other"})
    other, broker = mine.another("other"), FakeBroker()
    other.put([message(seq) for seq in range(1, 31)])

    async def main() -> None:
        outbox = outbox_over(mine, broker)
        await outbox.start()
        await asyncio.sleep(2 * INTERVAL)
        mine.living.remove("other")
        await asyncio.sleep(2 * INTERVAL)
        await outbox.close(within=1.0)

    run(main())
    assert broker.seqs() == list(range(1, 31))
    assert mine.outbox == {}


def test_messages_taken_over_go_out_before_those_waiting_here_although_the_lane_is_past_them() -> (
    None
):
    mine = FakeStore(living={"other"})
    other, broker = mine.another("other"), FakeBroker(away=True)
    other.put([message(seq) for seq in range(1, 6)])
    own = [message(seq) for seq in range(6, 9)]
    mine.put(own)

    async def main() -> None:
        outbox = outbox_over(mine, broker)
        await outbox.start()
        outbox.add(own)
        await asyncio.sleep(3 * INTERVAL)
        mine.living.remove("other")
        await asyncio.sleep(3 * INTERVAL)
        broker.away = False
        await outbox.close(within=10.0)

    run(main())
    assert broker.seqs() == list(range(1, 9))


def test_a_gateway_whose_lease_had_ended_no_longer_publishes_what_others_took() -> None:
    mine, broker = FakeStore(), FakeBroker(away=True)
    other = mine.another("other")
    new = [message(seq) for seq in range(1, 6)]
    mine.put(new)

    async def main() -> None:
        outbox = outbox_over(mine, broker)
        await outbox.start()
        outbox.add(new)
        mine.living.clear()
        await other.renew_lease(LEASE)
        await other.take_over(limit=3)
        await asyncio.sleep(2 * INTERVAL)
        broker.away = False
        await outbox.close(within=10.0)

    run(main())
    assert broker.seqs() == [4, 5]
    assert [each.seq for each in mine.outbox.values()] == [1, 2, 3]


def test_a_waiter_for_a_message_of_another_gateway_hears_when_that_has_published_it() -> None:
    mine = FakeStore(living={"other"})
    other, broker = mine.another("other"), FakeBroker()
    theirs, own = message(1), message(2)
    other.put([theirs])
    mine.put([own])

    async def main() -> None:
        outbox = outbox_over(mine, broker)
        await outbox.start()
        outbox.add([own])
        # The lane is past the other's number, which says nothing about it.
        assert not await outbox.confirmed(theirs, within=1.0)
        waiting = asyncio.create_task(outbox.confirmed(theirs, within=5.0))
        await asyncio.sleep(1.0)
        await other.mark_published([theirs.id])
        assert await waiting
        await outbox.close(within=1.0)

    run(main())
    assert broker.seqs() == [2]


def test_a_commit_that_succeeds_after_it_was_given_up_is_found_and_published() -> None:
    store, broker = FakeStore(), FakeBroker()

    async def main() -> None:
        outbox = outbox_over(store, broker)
        await outbox.start()
        outbox.read_on(STREAM)
        await asyncio.sleep(1.0)
        store.put([message(1)])
        await asyncio.sleep(2 * INTERVAL)
        assert broker.seqs() == [1]
        await outbox.close(within=1.0)

    run(main())
    assert store.outbox == {}


def test_a_gateway_that_stops_leaves_the_rest_to_others_at_once() -> None:
    store, broker = FakeStore(), FakeBroker(away=True)
    new = message(1)
    store.put([new])

    async def main() -> None:
        outbox = outbox_over(store, broker)
        await outbox.start()
        assert store.living == {"me"}
        outbox.add([new])
        await outbox.close(within=1.0)

    run(main())
    assert store.living == set()
    assert list(store.outbox.values()) == [new]


@pytest.mark.parametrize("window", [1, 2, 5])
def test_taking_over_while_much_is_on_the_wire_publishes_everything(window: int) -> None:
    mine = FakeStore(living={"other"})
    other, broker = mine.another("other"), FakeBroker(latency=1.5)
    other.put([message(seq) for seq in range(1, 40, 2)])
    own = [message(seq) for seq in range(2, 41, 2)]
    mine.put(own)

    async def main() -> None:
        outbox = outbox_over(mine, broker, window=window)
        await outbox.start()
        outbox.add(own)
        mine.living.remove("other")
        await asyncio.sleep(10.0)
        await outbox.close(within=600.0)

    run(main())
    assert mine.outbox == {}
    assert sorted(first_times(broker.seqs())) == list(range(1, 41))


@pytest.mark.parametrize("fault", [KeyError, asyncio.CancelledError])
@pytest.mark.parametrize("call", ["renew_lease", "take_over", "unpublished_streams"])
def test_a_lease_is_renewed_in_time_after_an_error_that_nobody_foresaw(
    call: str, fault: type[BaseException], failures: list[str]
) -> None:
    store, broker = FakeStore(), FakeBroker()
    renewed: list[float] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        outbox = outbox_over(store, broker)
        await outbox.start()
        working = {name: getattr(store, name) for name in ("renew_lease", call)}

        async def renew(seconds: float) -> bool:
            renewed.append(loop.time())
            return bool(await working["renew_lease"](seconds))

        async def fail_once(*args: Any, **kwargs: Any) -> Any:
            setattr(store, call, renew if call == "renew_lease" else working[call])
            raise fault

        store.renew_lease = renew  # type: ignore[method-assign]
        setattr(store, call, fail_once)
        await asyncio.sleep(60)
        pauses = [b - a for a, b in zip([0.0, *renewed], renewed, strict=False)]
        assert max(pauses) < LEASE / 2
        await outbox.close(within=1.0)

    run(main())
    assert failures == ["outbox lease has failed and begins anew"]
    failures.clear()


def numbers(broker: FakeBroker) -> list[int]:
    """The numbers of what was published, without repetitions."""
    return list(dict.fromkeys(int(str(each.headers["seq"])) for each in broker.wire))


def test_a_message_of_an_application_is_published_when_it_is_heard_of() -> None:
    mine = FakeStore()
    nobodys, broker = mine.another("nobody's"), FakeBroker()

    async def main() -> None:
        outbox = outbox_over(mine, broker)
        await outbox.start()
        await asyncio.sleep(INTERVAL / 4)
        nobodys.put([message(1)])
        mine.heard()
        await asyncio.sleep(INTERVAL / 4)
        assert numbers(broker) == [1]
        # Those that come while the first is being taken.
        nobodys.put([message(2)])
        mine.heard()
        nobodys.put([message(3)])
        mine.heard()
        await asyncio.sleep(INTERVAL / 4)
        assert numbers(broker) == [1, 2, 3]
        await outbox.close(within=1.0)

    run(main())


def test_a_message_of_an_application_that_nobody_heard_of_is_published_all_the_same() -> None:
    mine = FakeStore()
    nobodys, broker = mine.another("nobody's"), FakeBroker()

    async def main() -> None:
        outbox = outbox_over(mine, broker)
        await outbox.start()
        nobodys.put([message(1)])
        mine.away = True
        mine.heard()
        await asyncio.sleep(INTERVAL)
        assert broker.wire == []
        mine.away = False
        await asyncio.sleep(2 * INTERVAL)
        assert numbers(broker) == [1]
        await outbox.close(within=1.0)

    run(main())


def test_a_gateway_without_a_lease_does_not_take_its_own_messages_over_and_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(outbox_lease, "BATCH", 2)
    mine, broker = FakeStore(), FakeBroker(away=True)
    new = [message(seq) for seq in range(1, 6)]
    mine.put(new)
    taken = 0

    async def main() -> None:
        nonlocal taken
        outbox = outbox_over(mine, broker)
        await outbox.start()
        outbox.add(new)
        mine.away = True
        await asyncio.sleep(LEASE + INTERVAL + 0.5)
        mine.living.clear()
        working = mine.take_over

        async def take_over(*, limit: int) -> list[Stream]:
            nonlocal taken
            taken += 1
            return await working(limit=limit)

        mine.take_over = take_over  # type: ignore[method-assign]
        # The database is back, and tells so before the lease is renewed.
        mine.away = False
        mine.heard()
        await asyncio.sleep(INTERVAL)
        broker.away = False
        await outbox.close(within=10.0)

    run(main())
    assert 1 <= taken <= 2
    assert broker.seqs() == [1, 2, 3, 4, 5]
    assert mine.outbox == {}


def test_what_a_deaf_gateway_stores_is_published_by_another_and_by_itself_when_it_hears() -> None:
    mine, unreachable, reachable = FakeStore(), FakeBroker(), FakeBroker()
    unreachable.away = True
    deaf = True

    async def main() -> None:
        nonlocal deaf
        here = outbox_over(mine, unreachable)
        there = outbox_over(mine.another("other"), reachable)
        here.hand_over_while(lambda: deaf)
        for outbox in (here, there):
            await outbox.start()
        kept = [message(1), message(2)]
        mine.put(kept)
        here.add(kept)
        await asyncio.sleep(2 * INTERVAL)
        assert first_times(reachable.seqs()) == [1, 2]
        await asyncio.sleep(INTERVAL)
        assert here.depth == 0
        # It hears again, and keeps what is its own.
        deaf = unreachable.away = False
        mine.put([message(3)])
        here.add([message(3)])
        await asyncio.sleep(2 * INTERVAL)
        assert first_times(reachable.seqs()) == [1, 2]
        assert 3 in first_times(unreachable.seqs())
        for outbox in (here, there):
            await outbox.close(within=1.0)

    run(main())
    assert not mine.outbox
