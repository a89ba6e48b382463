import asyncio
from random import Random
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.publishing.publication import NotConfirmed, Returned
from broker.timing.tasks import Tasks
from broker.topology import Audience, Stream, Topology
from gateway.domain.message import Message
from gateway.messages.outbox import QUESTION_INTERVAL, Outbox, OutboxLimits
from gateway.messages.parking import AGAIN, Parking
from gateway.store.records import Unpublished
from tests.unit.messages.fakes import (
    STREAM,
    FakeBroker,
    FakeStore,
    Fate,
    draft,
    first_times,
    message,
)
from tests.virtual_time import run, settle

OTHER = Stream(Audience.PRIVATE, 7)


def outbox_over(store: FakeStore, broker: FakeBroker, **limits: float) -> Outbox:
    bounds = OutboxLimits(**limits)  # type: ignore[arg-type]
    rng = Random(1)  # noqa: S311 - jitter
    return Outbox(store, broker, Topology(), queues=broker, rng=rng, limits=bounds, tasks=Tasks())


def test_a_message_is_published_once_and_leaves_the_store() -> None:
    store, broker = FakeStore(), FakeBroker()
    new = message(1)
    store.put([new])

    async def main() -> None:
        outbox = outbox_over(store, broker)
        outbox.add([new])
        assert await outbox.confirmed(new, within=1.0)
        await outbox.close(within=1.0)
        assert outbox.depth == 0

    run(main())
    assert broker.seqs() == [1]
    assert store.outbox == {}


def test_confirms_are_pipelined_up_to_the_window() -> None:
    store, broker = FakeStore(), FakeBroker()
    new = [message(seq) for seq in range(1, 101)]
    store.put(new)

    async def main() -> None:
        outbox = outbox_over(store, broker, window=16)
        outbox.add(new)
        await outbox.close(within=10.0)

    run(main())
    assert broker.most_on_the_way == 16
    assert broker.seqs() == list(range(1, 101))


def test_refused_messages_go_out_again_before_anything_new() -> None:
    store, broker = FakeStore(), FakeBroker(fates=[(0.005, None), (0.001, NotConfirmed)])
    new = [message(seq) for seq in range(1, 5)]
    store.put(new)

    async def main() -> None:
        outbox = outbox_over(store, broker)
        outbox.add(new[:2])
        await asyncio.sleep(0.003)
        outbox.add(new[2:])
        await outbox.close(within=10.0)
        assert outbox.counts.failed == 1

    run(main())
    assert broker.seqs() == [1, 2, 2, 3, 4]
    assert broker.wire[1] == broker.wire[2]


def test_an_answer_that_never_comes_is_a_failure() -> None:
    store, broker = FakeStore(), FakeBroker(fates=[(3600.0, None)])
    new = message(1)
    store.put([new])

    async def main() -> None:
        outbox = outbox_over(store, broker, patience=15.0)
        outbox.add([new])
        assert not await outbox.confirmed(new, within=2.0)
        assert await outbox.confirmed(new, within=14.0)
        await outbox.close(within=1.0)

    run(main())
    assert broker.seqs() == [1, 1]


def test_the_missing_private_queue_is_declared_before_the_message_goes_out_again() -> None:
    store, broker = FakeStore(), FakeBroker(queues={42})
    new = [message(seq) for seq in range(1, 4)]
    store.put(new)

    async def main() -> None:
        outbox = outbox_over(store, broker)
        outbox.add(new[:1])
        assert await outbox.confirmed(new[0], within=1.0)
        broker.queues = set()
        outbox.add(new[1:])
        assert await outbox.confirmed(new[2], within=1.0)
        await outbox.close(within=1.0)
        assert outbox.counts.returned == 2

    run(main())
    assert broker.queues == {42}
    assert broker.seqs() == [1, 2, 3, 2, 3]


def test_a_queue_that_may_be_missing_is_declared_before_anything_goes_out_once_a_minute() -> None:
    store, broker = FakeStore(), FakeBroker(queues=set())
    new = [message(seq) for seq in range(1, 5)]
    store.put(new)

    async def main() -> None:
        outbox = outbox_over(store, broker)
        for each, pause in zip(new, (10.0, 10.0, 60.0, 0.0), strict=True):
            outbox.add([each])
            assert await outbox.confirmed(each, within=1.0)
            await asyncio.sleep(pause)
        await outbox.close(within=1.0)
        assert outbox.counts.returned == 0

    run(main())
    assert broker.declared == [42, 42]


def test_a_closed_room_gets_no_queue_again_and_its_messages_leave_the_outbox() -> None:
    store, broker = FakeStore(closed={42}), FakeBroker(queues=set())
    new = [message(1), message(2)]
    store.put(new)

    async def main() -> None:
        outbox = outbox_over(store, broker)
        outbox.add(new)
        assert await outbox.confirmed(new[1], within=1.0)
        await outbox.close(within=1.0)

    run(main())
    assert broker.declared == []
    assert store.outbox == {}


def test_attempts_are_spread_and_bounded_while_the_broker_is_away() -> None:
    store, broker = FakeStore(), FakeBroker(away=True)
    new = [message(seq) for seq in range(1, 4)]
    store.put(new)

    async def main() -> None:
        outbox = outbox_over(store, broker)
        outbox.add(new)
        await asyncio.sleep(60.0)
        assert outbox.counts.failed < 60 * len(new)
        broker.away = False
        assert await outbox.confirmed(new[2], within=2.1)
        await outbox.close(within=1.0)

    run(main())
    assert broker.seqs() == [1, 2, 3]


def test_nothing_later_goes_out_when_the_connection_comes_back_between_two_publications() -> None:
    class Flickering(FakeBroker):
        """Away for the first call of every three."""

        calls = 0

        async def publish(self, publication: object, timeout: float) -> None:  # noqa: ASYNC109
            self.calls += 1
            self.away = self.calls % 3 == 1
            await super().publish(publication, timeout)  # type: ignore[arg-type]

    store, broker = FakeStore(), Flickering()
    new = [message(seq) for seq in range(1, 10)]
    store.put(new)

    async def main() -> None:
        outbox = outbox_over(store, broker)
        outbox.add(new)
        await outbox.close(within=60.0)

    run(main())
    assert first_times(broker.seqs()) == list(range(1, 10))
    assert store.outbox == {}


def test_a_start_publishes_what_was_left_and_new_messages_line_up_behind() -> None:
    store, broker = FakeStore(), FakeBroker()
    store.put([message(seq) for seq in range(1, 31)])
    store.put([message(seq, OTHER) for seq in range(5, 8)])

    async def main() -> None:
        outbox = outbox_over(store, broker, window=8)
        await outbox.start()
        new = message(31)
        store.put([new])
        outbox.add([new])
        assert await outbox.confirmed(new, within=5.0)
        await outbox.close(within=5.0)

    run(main())
    assert broker.seqs() == list(range(1, 32))
    assert broker.seqs(OTHER) == [5, 6, 7]
    assert store.outbox == {}


def test_a_backlog_is_held_in_the_store_and_not_in_memory() -> None:
    store, broker = FakeStore(), FakeBroker(away=True)
    new = [message(seq) for seq in range(1, 1001)]
    store.put(new)

    async def main() -> None:
        outbox = outbox_over(store, broker, window=10)
        outbox.add(new)
        assert outbox.depth == 10
        broker.away = False
        await outbox.close(within=60.0)

    run(main())
    assert first_times(broker.seqs()) == list(range(1, 1001))


def test_streams_share_the_memory_evenly() -> None:
    store, broker = FakeStore(), FakeBroker(away=True)

    async def main() -> None:
        outbox = outbox_over(store, broker, memory=5_000)
        for room in range(1, 41):
            stream = Stream(Audience.PUBLIC, room)
            new = [draft("x" * 400, stream).numbered(seq) for seq in range(1, 30)]
            store.put(new)
            outbox.add(new)
        assert outbox.depth < 70
        broker.away = False
        await outbox.close(within=600.0)

    run(main())
    assert store.outbox == {}
    assert all(
        first_times(broker.seqs(Stream(Audience.PUBLIC, room))) == list(range(1, 30))
        for room in (1, 20, 40)
    )


def test_one_stream_in_trouble_holds_up_no_other() -> None:
    store, broker = FakeStore(), FakeBroker(fates=[(15.0, NotConfirmed)])
    slow, quick = message(1), message(1, OTHER)
    store.put([slow, quick])

    async def main() -> None:
        outbox = outbox_over(store, broker)
        outbox.add([slow, quick])
        assert await outbox.confirmed(quick, within=0.1)
        await outbox.close(within=60.0)

    run(main())
    assert store.outbox == {}


def test_confirmed_messages_leave_the_store_together() -> None:
    store, broker = FakeStore(), FakeBroker()
    new = [message(seq) for seq in range(1, 101)]
    store.put(new)

    async def main() -> None:
        outbox = outbox_over(store, broker)
        outbox.add(new)
        await asyncio.sleep(1.0)
        await outbox.close(within=1.0)

    run(main())
    assert store.marks == [100]


def test_a_confirm_is_not_forgotten_while_the_store_is_away() -> None:
    store, broker = FakeStore(), FakeBroker()
    new = message(1)
    store.put([new])

    async def main() -> None:
        outbox = outbox_over(store, broker)
        store.away = True
        outbox.add([new])
        assert await outbox.confirmed(new, within=1.0)
        await asyncio.sleep(30.0)
        assert await outbox.confirmed(new, within=0.0)
        assert outbox.depth == 1
        store.away = False
        await asyncio.sleep(3.0)
        assert outbox.depth == 0
        await outbox.close(within=1.0)

    run(main())
    assert broker.seqs() == [1]
    assert store.outbox == {}


def test_a_message_marked_while_an_old_answer_is_on_its_way_does_not_go_out_again() -> None:
    class SlowStore(FakeStore):
        """A store that answers reads of its outbox late."""

        async def unpublished_in(self, stream: Stream, *, after: int, limit: int) -> Unpublished:
            found = await super().unpublished_in(stream, after=after, limit=limit)
            await asyncio.sleep(2.0)
            return found

    store, broker = SlowStore(), FakeBroker()
    new = message(1)
    store.put([new])

    async def main() -> None:
        outbox = outbox_over(store, broker)
        outbox.add([new])
        assert await outbox.confirmed(new, within=1.0)
        # Before it is marked: the search for strays does the same.
        outbox.read_on(new.stream)
        await asyncio.sleep(5.0)
        await outbox.close(within=1.0)

    run(main())
    assert broker.seqs() == [1]
    assert store.outbox == {}


def test_a_question_after_the_confirm_is_answered_at_once() -> None:
    store, broker = FakeStore(), FakeBroker()
    new = message(1)
    store.put([new])

    async def main() -> None:
        outbox = outbox_over(store, broker)
        outbox.add([new])
        await asyncio.sleep(60.0)
        before = asyncio.get_running_loop().time()
        assert await outbox.confirmed(new, within=5.0)
        assert asyncio.get_running_loop().time() - before < 0.1
        await outbox.close(within=1.0)

    run(main())
    assert broker.seqs() == [1]


def test_a_stored_message_that_nobody_added_is_found_when_somebody_asks() -> None:
    store, broker = FakeStore(), FakeBroker()
    new = message(1)
    store.put([new])

    async def main() -> None:
        outbox = outbox_over(store, broker)
        assert await outbox.confirmed(new, within=5.0)
        await outbox.close(within=1.0)

    run(main())
    assert broker.seqs() == [1]
    assert store.outbox == {}


def test_what_another_gateway_publishes_is_asked_about_now_and_then() -> None:
    """As it is with everything that was posted to a gateway which RabbitMQ does not reach."""
    store, broker = FakeStore(), FakeBroker()
    new = message(1)
    store.put([new])
    store.owners[new.id] = "another"
    asked: list[float] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        is_published = store.is_published

        async def counted(message_id: UUID) -> bool:
            asked.append(loop.time())
            return await is_published(message_id)

        store.is_published = counted  # type: ignore[method-assign]
        outbox = outbox_over(store, broker)
        loop.call_later(1.9, store.outbox.clear)
        assert await outbox.confirmed(new, within=5.0)
        await outbox.close(within=1.0)

    run(main())
    assert broker.seqs() == []
    # At once twice: its stream is read between the two.
    assert 5 <= len(asked) <= 2 + 2.0 / QUESTION_INTERVAL


def test_one_who_gives_up_does_not_disturb_the_others_who_wait() -> None:
    store, broker = FakeStore(), FakeBroker(latency=1.0)
    new = message(1)
    store.put([new])

    async def main() -> None:
        outbox = outbox_over(store, broker)
        outbox.add([new])
        patient = asyncio.create_task(outbox.confirmed(new, within=5.0))
        cancelled = asyncio.create_task(outbox.confirmed(new, within=5.0))
        hasty = asyncio.create_task(outbox.confirmed(new, within=0.5))
        await settle()
        cancelled.cancel()
        assert not await hasty
        assert await patient
        await outbox.close(within=1.0)

    run(main())


def test_closing_keeps_its_deadline_and_leaves_the_rest_in_the_store() -> None:
    store, broker = FakeStore(), FakeBroker(fates=[(0.001, None), (3600.0, None)])
    new = [message(1), message(2)]
    store.put(new)

    async def main() -> None:
        outbox = outbox_over(store, broker)
        outbox.add(new)
        before = asyncio.get_running_loop().time()
        await outbox.close(within=3.0)
        assert asyncio.get_running_loop().time() - before == pytest.approx(3.0)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run(main())
    assert list(store.outbox.values()) == [new[1]]


def test_closing_at_rest_takes_no_time() -> None:
    async def main() -> None:
        outbox = outbox_over(FakeStore(), FakeBroker())
        await outbox.start()
        before = asyncio.get_running_loop().time()
        await outbox.close(within=30.0)
        assert asyncio.get_running_loop().time() - before < 0.01

    run(main())


def test_an_error_that_nobody_foresaw_is_heard_of_and_the_message_goes_out_again(
    failures: list[str],
) -> None:
    class Faulty(FakeBroker):
        """A broker whose first publication fails unexpectedly."""

        async def publish(self, publication: object, timeout: float) -> None:  # noqa: ASYNC109
            if not self.wire:
                self.wire.append(publication)  # type: ignore[arg-type]
                raise ZeroDivisionError
            await super().publish(publication, timeout)  # type: ignore[arg-type]

    store, broker = FakeStore(), Faulty()
    new = message(1)
    store.put([new])

    async def main() -> None:
        outbox = outbox_over(store, broker)
        outbox.add([new])
        assert await outbox.confirmed(new, within=5.0)
        await outbox.close(within=1.0)

    run(main())
    assert failures == ["outbox: publishing has failed"]
    failures.clear()
    assert broker.seqs() == [1, 1]


def refusing(seq: int, of: int) -> tuple[FakeStore, FakeBroker, list[Message]]:
    """A stream of which the broker refuses one message."""
    store, new = FakeStore(), [message(number) for number in range(1, of + 1)]
    store.put(new)
    return store, FakeBroker(refuses={str(new[seq - 1].id)}), new


def test_messages_refused_for_good_are_parked_and_the_rest_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store, broker, new = refusing(3, of=5)

    async def main() -> None:
        outbox = outbox_over(store, broker)
        await outbox.start()
        outbox.add(new)
        began = asyncio.get_running_loop().time()
        assert [await outbox.confirmed(each, within=2.0) for each in new] == [
            True,
            True,
            False,
            True,
            True,
        ]
        # Whoever posts it does not wait for what does not come.
        assert asyncio.get_running_loop().time() - began < 1.0
        assert not await outbox.confirmed(new[2], within=2.0)
        assert [outbox.awaits(STREAM, seq) for seq in (2, 3, 4)] == [False, True, False]
        assert len(outbox.parking) == 1
        assert outbox.depth == 0 or await settled(outbox)
        await asyncio.sleep(1000)
        later = message(6)
        store.put([later])
        outbox.add([later])
        assert await outbox.confirmed(later, within=2.0)
        await outbox.close(within=1.0)

    async def settled(outbox: Outbox) -> bool:
        await asyncio.sleep(1)
        return outbox.depth == 0

    run(main())
    assert broker.seqs() == [1, 2, 3, 4, 5, 6]
    assert set(store.outbox) == {new[2].id}
    [told] = [each.getMessage() for each in caplog.records if each.levelname == "ERROR"]
    assert "message 3 is not published" in told
    assert "PRECONDITION_FAILED" in told


def test_it_is_tried_again_every_hour_and_published_when_it_is_taken(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store, broker, new = refusing(1, of=2)

    async def main() -> None:
        outbox = outbox_over(store, broker)
        await outbox.start()
        outbox.add(new)
        await asyncio.sleep(10 * AGAIN + 100)
        assert 10 <= broker.seqs().count(1) <= 12
        problem = outbox.parking.problem
        assert problem is not None
        assert "1 messages are not published" in problem
        assert "the last is 1 of public.42: PRECONDITION_FAILED" in problem
        broker.refuses.clear()
        await asyncio.sleep(AGAIN + 100)
        assert await outbox.confirmed(new[0], within=1.0)
        assert (len(outbox.parking), outbox.parking.problem) == (0, None)
        assert not outbox.awaits(STREAM, 1)
        await outbox.close(within=1.0)

    run(main())
    assert store.outbox == {}
    assert len([each for each in caplog.records if each.levelname == "ERROR"]) == 1


def test_a_restart_tries_it_once_and_parks_it_again() -> None:
    store, broker, new = refusing(1, of=3)

    async def live() -> None:
        outbox = outbox_over(store, broker)
        await outbox.start()
        await asyncio.sleep(100)
        assert len(outbox.parking) == 1
        await outbox.close(within=1.0)

    for _ in range(3):
        run(live())
    assert broker.seqs() == [1, 2, 3, 1, 1]
    assert set(store.outbox) == {new[0].id}


def test_parked_messages_do_not_make_the_store_be_asked_all_the_time() -> None:
    _, broker, new = refusing(1, of=1)
    reads = 0

    class Counting(FakeStore):
        """A store that counts the reads of its outbox."""

        async def unpublished_in(self, stream: Stream, *, after: int, limit: int) -> Unpublished:
            nonlocal reads
            reads += 1
            return await super().unpublished_in(stream, after=after, limit=limit)

    counting = Counting()
    counting.put(new)

    async def main() -> None:
        outbox = outbox_over(counting, broker)
        await outbox.start()
        outbox.add(new)
        await asyncio.sleep(600)
        # Not with every search for strays, which is every other second.
        assert reads <= 12
        # What a commit in doubt has stored in the same stream is found all the same.
        stray = message(2)
        counting.put([stray])
        await asyncio.sleep(65)
        assert stray.id not in counting.outbox
        await outbox.close(within=1.0)

    run(main())


def test_messages_taken_or_deleted_by_others_are_no_longer_parked() -> None:
    store, broker, new = refusing(1, of=1)

    async def main() -> None:
        outbox = outbox_over(store, broker)
        await outbox.start()
        outbox.add(new)
        await asyncio.sleep(1)
        assert len(outbox.parking) == 1
        store.outbox.clear()
        await asyncio.sleep(5)
        assert len(outbox.parking) == 0
        await outbox.close(within=1.0)

    run(main())


def test_parked_messages_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.messages.parking.CAPACITY", 5)

    async def main() -> None:
        parking = Parking(clock=asyncio.get_running_loop().time)
        new = [message(seq) for seq in range(1, 9)]
        for seq, each in enumerate(new, start=1):
            parking.park(each, seq, "no")
        assert len(parking) == 5
        assert [each.id in parking for each in new] == [False] * 3 + [True] * 5
        assert [parking.awaits(STREAM, seq) for seq in range(1, 9)] == [False] * 3 + [True] * 5

    run(main())


fates = st.tuples(
    st.sampled_from([0.0, 0.001, 0.02, 1.0, 100.0]),
    st.sampled_from([None, None, NotConfirmed, Returned]),
)


# No deadline: the machine may be busy.
@settings(deadline=None)
@given(
    st.lists(fates, max_size=40),
    st.lists(st.sampled_from([STREAM, OTHER]), min_size=1, max_size=30),
    st.integers(1, 6),
    st.integers(1, 2000),
    st.lists(st.floats(0.0, 30.0), max_size=6),
)
def test_once_everything_has_healed_all_is_published_and_was_first_sent_in_order(
    answers: list[Fate],
    streams: list[Stream],
    window: int,
    memory: int,
    outages: list[float],
) -> None:
    store, broker = FakeStore(), FakeBroker(fates=answers)
    new = []
    for number, stream in enumerate(streams):
        new.append(message(streams[: number + 1].count(stream), stream))

    async def main() -> None:
        outbox = outbox_over(store, broker, window=window, memory=memory)
        await outbox.start()
        for each in new:
            store.put([each])
            outbox.add([each])
            await asyncio.sleep(0.003)
        for number, outage in enumerate(outages):
            store.away, broker.away = bool(number % 2), bool(number % 3)
            await asyncio.sleep(outage)
        store.away = broker.away = False
        assert all([await outbox.confirmed(each, within=3600.0) for each in new])
        await outbox.close(within=60.0)

    run(main())
    assert store.outbox == {}
    for stream in {*streams}:
        assert first_times(broker.seqs(stream)) == list(range(1, streams.count(stream) + 1))


def test_messages_that_the_store_gives_in_pieces_are_published_to_the_last() -> None:
    """As it does with large messages: a short page is not the end."""
    store, broker = FakeStore(portion=3), FakeBroker()
    store.put([message(seq) for seq in range(1, 21)])

    async def main() -> None:
        outbox = outbox_over(store, broker)
        outbox.read_on(STREAM)
        await asyncio.sleep(5.0)
        assert outbox.depth == 0
        await outbox.close(within=1.0)

    run(main())
    assert broker.seqs() == list(range(1, 21))
    assert store.outbox == {}


def test_a_stream_is_stuck_while_something_waits_and_nothing_is_confirmed() -> None:
    async def scenario() -> None:
        store, broker = FakeStore(), FakeBroker(latency=3.0)
        outbox = outbox_over(store, broker)
        await outbox.start()
        first, second = message(1), message(2)
        store.put([first, second])
        outbox.add([first])
        await asyncio.sleep(2)
        assert outbox.stuck(4) == []
        assert [each.seq for each in outbox.stuck(1.9)] == [1]
        broker.away = True
        await asyncio.sleep(1.5)
        outbox.add([second])
        await asyncio.sleep(10)
        assert [each.message for each in outbox.stuck(9)] == [second]
        assert outbox.stuck(12) == []
        broker.away = False
        await asyncio.sleep(10)
        assert outbox.stuck(0) == []
        await outbox.close(within=10)

    run(scenario())


@pytest.mark.parametrize("failure", [NotConfirmed, Returned])
def test_whatever_keeps_it_from_being_confirmed_makes_a_stream_stuck(
    failure: type[NotConfirmed],
) -> None:
    async def scenario() -> None:
        store, broker = FakeStore(), FakeBroker(fates=[(0.01, failure)] * 20)
        outbox = outbox_over(store, broker)
        await outbox.start()
        waits = message(1)
        store.put([waits])
        outbox.add([waits])
        await asyncio.sleep(10)
        assert [each.seq for each in outbox.stuck(9)] == [1]
        await outbox.close(within=0.1)

    run(scenario())


def test_while_a_room_is_held_back_nothing_of_it_is_published() -> None:
    async def scenario() -> None:
        store, broker = FakeStore(), FakeBroker(latency=1.0)
        outbox = outbox_over(store, broker)
        await outbox.start()
        first, second = message(1), message(2)
        private = message(1, Stream(Audience.PRIVATE, 42))
        elsewhere = message(1, Stream(Audience.PUBLIC, 43))
        store.put([first, second, private, elsewhere])
        outbox.add([first])
        await asyncio.sleep(0.1)
        async with outbox.held_back(42):
            outbox.add([second, private, elsewhere])
            async with asyncio.timeout(2):
                await outbox.landed(42)
            assert broker.seqs() == [1]
            assert store.marks, "the store knows what was confirmed"
            await asyncio.sleep(20)
            assert (broker.seqs(), broker.seqs(private.stream)) == ([1], [])
            assert broker.seqs(elsewhere.stream) == [1]
        await asyncio.sleep(3)
        assert (broker.seqs(), broker.seqs(private.stream)) == ([1, 2], [1])
        await outbox.close(within=10)

    run(scenario())


def test_what_failed_on_the_wire_has_landed_too_and_goes_out_first_afterwards() -> None:
    async def scenario() -> None:
        store, broker = FakeStore(), FakeBroker(fates=[(1.0, NotConfirmed)])
        outbox = outbox_over(store, broker)
        await outbox.start()
        first, second = message(1), message(2)
        store.put([first, second])
        outbox.add([first])
        await asyncio.sleep(0.1)
        async with outbox.held_back(42):
            async with asyncio.timeout(2):
                await outbox.landed(42)
            outbox.add([second])
        await asyncio.sleep(10)
        assert broker.seqs() == [1, 1, 2]
        await outbox.close(within=10)

    run(scenario())
