import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import replace
from random import Random
from typing import Any
from uuid import UUID, uuid4

import pytest

from broker.publishing.publication import NotConfirmed, Returned
from broker.timing.tasks import Tasks
from broker.topology import Audience, Stream, Topology
from gateway.budget.budgets import Budgets
from gateway.budget.table import Scope
from gateway.config import Limits
from gateway.domain.message import Draft, Importance, Message
from gateway.domain.room import MemberRole
from gateway.errors import (
    Draining,
    GatewayError,
    IdReused,
    Invalid,
    NoCapacity,
    PostsBusy,
    PublishingBehind,
    StoreUnavailable,
    TooLarge,
    TooManyPosts,
)
from gateway.limits import LiveLimits
from gateway.messages.outbox import Outbox
from gateway.messages.pipeline import Pipeline, Receipt
from gateway.observe.posts import Posts
from gateway.store.records import Appended, Unpublished
from tests.fake_clock import FakeClock
from tests.unit.messages.fakes import STREAM, FakeBroker, FakeStore, draft, message
from tests.unit.messages.test_nesting import nested
from tests.virtual_time import run, settle


class Gateway:
    """A pipeline over fakes."""

    def __init__(
        self,
        store: FakeStore | None = None,
        broker: FakeBroker | None = None,
        limits: Limits | None = None,
    ) -> None:
        self.store = store or FakeStore()
        self.broker = broker or FakeBroker()
        self.told: list[Message] = []
        rng = Random(1)  # noqa: S311 - jitter
        self.outbox = Outbox(
            self.store, self.broker, Topology(), queues=self.broker, rng=rng, tasks=Tasks()
        )
        live = LiveLimits(limits or Limits())
        self.pipeline = Pipeline(
            self.store,
            self.outbox,
            self.broker,
            Topology(),
            budgets=Budgets(live, clock=FakeClock()),
            limits=live,
            confirm_timeout=2.0,
            stored=self.told.extend,
            posts=Posts(clock=lambda: 0.0),
            tasks=Tasks(),
        )

    def run(self, main: Coroutine[Any, Any, None]) -> None:
        async def then_close() -> None:
            await main
            await self.pipeline.close()
            await self.outbox.close(within=60.0)

        run(then_close())


def now() -> float:
    return asyncio.get_running_loop().time()


def test_a_post_is_stored_published_and_answered() -> None:
    gateway = Gateway()
    new = draft()

    async def main() -> None:
        receipt = await gateway.pipeline.post(new)
        assert receipt == Receipt(new.numbered(1), published=True)

    gateway.run(main())
    (publication,) = gateway.broker.wire
    assert publication.routing_key == "acdm.mo.interact.public.42"
    assert publication.body == new.numbered(1).encode()
    assert publication.message_id == str(new.id)
    assert publication.persistent
    assert publication.expiration_ms is None
    assert publication.headers == {
        "seq": "1",
        "room": "42",
        "audience": "public",
        "sender": "kim",
    }
    assert list(gateway.store.messages) == [new.id]


def test_listeners_are_called_once_for_new_messages_and_not_for_instant_ones() -> None:
    gateway = Gateway(broker=FakeBroker(latency=10.0))
    new = draft()

    async def main() -> None:
        await gateway.pipeline.post(new)
        await gateway.pipeline.post(new)
        await gateway.pipeline.post(draft(), Importance.INSTANT)

    gateway.run(main())
    assert gateway.told == [new.numbered(1)]


def test_a_lone_post_waits_for_nothing_but_the_store_and_the_broker() -> None:
    gateway = Gateway(FakeStore(latency=0.010), FakeBroker(latency=0.020))

    async def main() -> None:
        # The first one of a minute also makes sure of the room's private queue.
        await gateway.pipeline.post(draft())
        before = now()
        await gateway.pipeline.post(draft())
        assert now() - before == pytest.approx(0.030)

    gateway.run(main())


def test_posts_that_arrive_while_a_transaction_runs_share_the_next_one() -> None:
    gateway = Gateway()

    async def main() -> None:
        first = asyncio.create_task(gateway.pipeline.post(draft()))
        await settle()
        await asyncio.gather(first, *(gateway.pipeline.post(draft()) for _ in range(600)))

    gateway.run(main())
    assert gateway.store.batches == [1, 512, 88]
    assert gateway.broker.seqs() == list(range(1, 602))


def test_an_id_posted_twenty_times_at_once_is_stored_and_published_once() -> None:
    gateway = Gateway()
    message_id = uuid4()

    async def main() -> None:
        first = asyncio.create_task(gateway.pipeline.post(draft(message_id=message_id)))
        await settle()
        rest = [gateway.pipeline.post(draft(message_id=message_id)) for _ in range(19)]
        receipts = await asyncio.gather(first, *rest)
        assert all(receipt == receipts[0] for receipt in receipts)
        assert receipts[0].published

    gateway.run(main())
    assert len(gateway.store.messages) == 1
    assert gateway.broker.seqs() == [1]


def test_an_id_posted_again_later_gets_the_first_answer_at_once() -> None:
    gateway = Gateway()
    message_id = uuid4()

    async def main() -> None:
        first = await gateway.pipeline.post(draft(message_id=message_id))
        await asyncio.sleep(60.0)
        before = now()
        assert await gateway.pipeline.post(draft(message_id=message_id)) == first
        assert now() - before < 0.01

    gateway.run(main())
    assert gateway.broker.seqs() == [1]


def test_an_id_posted_again_before_its_confirm_waits_for_the_same_confirm() -> None:
    gateway = Gateway(broker=FakeBroker(latency=1.5))
    message_id = uuid4()

    async def main() -> None:
        first = asyncio.create_task(gateway.pipeline.post(draft(message_id=message_id)))
        await asyncio.sleep(1.0)
        second = await gateway.pipeline.post(draft(message_id=message_id))
        assert second == await first
        assert second.published

    gateway.run(main())
    assert gateway.broker.seqs() == [1]


def test_without_a_confirm_in_time_the_answer_says_so_and_the_message_follows_later() -> None:
    gateway = Gateway(broker=FakeBroker(away=True))

    async def main() -> None:
        before = now()
        receipt = await gateway.pipeline.post(draft())
        assert now() - before == pytest.approx(2.0, abs=0.01)
        assert not receipt.published
        gateway.broker.away = False

    gateway.run(main())
    assert gateway.broker.seqs() == [1]
    assert gateway.store.outbox == {}


def test_an_error_of_one_draft_concerns_it_alone() -> None:
    gateway = Gateway()
    message_id = uuid4()

    async def main() -> None:
        results = await asyncio.gather(
            gateway.pipeline.post(draft("one", message_id=message_id)),
            gateway.pipeline.post(draft("another", message_id=message_id)),
            gateway.pipeline.post(draft("third")),
            return_exceptions=True,
        )
        assert [type(result) for result in results] == [Receipt, IdReused, Receipt]

    gateway.run(main())
    assert gateway.broker.seqs() == [1, 2]


def test_while_the_store_is_away_nothing_is_published_and_clients_hear_when_to_retry() -> None:
    gateway = Gateway(FakeStore(away=True))

    async def main() -> None:
        results = await asyncio.gather(
            *(gateway.pipeline.post(draft()) for _ in range(5)), return_exceptions=True
        )
        for result in results:
            assert isinstance(result, StoreUnavailable)
            assert result.retry_after
        gateway.store.away = False
        assert (await gateway.pipeline.post(draft())).message.seq == 1

    gateway.run(main())
    assert gateway.broker.seqs() == [1]


def test_a_commit_whose_answer_was_lost_is_published_all_the_same() -> None:
    gateway = Gateway(FakeStore(loses_answers=True))
    message_id = uuid4()

    async def main() -> None:
        with pytest.raises(StoreUnavailable):
            await gateway.pipeline.post(draft(message_id=message_id))
        gateway.store.loses_answers = False
        later = await gateway.pipeline.post(draft())
        assert later.message.seq == 2
        again = await gateway.pipeline.post(draft(message_id=message_id))
        assert (again.message.seq, again.published) == (1, True)

    gateway.run(main())
    assert gateway.broker.seqs() == [1, 2]


def test_a_client_that_goes_away_takes_neither_its_message_nor_the_batch_with_it() -> None:
    gateway = Gateway()

    async def main() -> None:
        gone = asyncio.create_task(gateway.pipeline.post(draft()))
        stays = asyncio.create_task(gateway.pipeline.post(draft()))
        await settle()
        gone.cancel()
        assert (await stays).published

    gateway.run(main())
    assert gateway.broker.seqs() == [1, 2]


def test_a_client_that_goes_away_before_its_transaction_leaves_nothing() -> None:
    gateway = Gateway()

    async def main() -> None:
        first = asyncio.create_task(gateway.pipeline.post(draft()))
        await settle()
        gone = asyncio.create_task(gateway.pipeline.post(draft()))
        await settle()
        gone.cancel()
        await first

    gateway.run(main())
    assert gateway.broker.seqs() == [1]


def test_more_posts_than_may_be_in_hand_are_refused_until_one_is_answered() -> None:
    gateway = Gateway(limits=Limits(waiting_posts=3))

    async def main() -> None:
        posts = [asyncio.create_task(gateway.pipeline.post(draft())) for _ in range(3)]
        await settle()
        assert gateway.pipeline.in_hand == 3
        with pytest.raises(NoCapacity) as refused:
            await gateway.pipeline.post(draft())
        assert refused.value.retry_after
        await asyncio.gather(*posts)
        await gateway.pipeline.post(draft())

    gateway.run(main())
    assert len(gateway.store.messages) == 4


def test_the_posts_and_bytes_of_one_user_are_limited_and_nobody_elses() -> None:
    limits = Limits(waiting_posts_per_user=3, waiting_bytes_per_user=5_000)
    gateway = Gateway(limits=limits)

    def size() -> int:
        return gateway.pipeline._bytes.taken(Scope.ALL)

    async def main() -> None:
        posts = [asyncio.create_task(gateway.pipeline.post(draft())) for _ in range(3)]
        await settle()
        with pytest.raises(TooManyPosts) as refused:
            await gateway.pipeline.post(draft())
        assert refused.value.retry_after
        await gateway.pipeline.post(replace(draft(), sender="another"))
        await asyncio.gather(*posts)
        large = asyncio.create_task(gateway.pipeline.post(draft("x" * 3_000)))
        await settle()
        assert 3_000 < size() < 4_000
        with pytest.raises(TooManyPosts):
            await gateway.pipeline.post(draft("x" * 3_000))
        await gateway.pipeline.post(draft("x" * 1_000))
        await large
        assert size() == gateway.pipeline.in_hand == 0

    gateway.run(main())
    assert len(gateway.store.messages) == 6


@pytest.mark.parametrize(
    "limits",
    [Limits(waiting_posts=10), Limits(waiting_bytes=20_000)],
    ids=["posts", "bytes"],
)
def test_when_all_together_have_too_many_in_hand_hosts_can_still_post(limits: Limits) -> None:
    gateway = Gateway(limits=limits)

    async def main() -> None:
        body = "x" * 1_700
        posts = [asyncio.create_task(gateway.pipeline.post(draft(body))) for _ in range(9)]
        await settle()
        with pytest.raises(PostsBusy):
            await gateway.pipeline.post(draft(body))
        host = replace(draft(body), role=MemberRole.HOST)
        await gateway.pipeline.post(host)
        await asyncio.gather(*posts)

    gateway.run(main())
    assert len(gateway.store.messages) == 10


def host_draft(body: str = "hello") -> Draft:
    return replace(draft(body), role=MemberRole.HOST)


def test_while_the_broker_is_away_posts_are_taken_up_to_the_outbox_limit_and_none_is_lost() -> None:
    gateway = Gateway(broker=FakeBroker(away=True), limits=Limits(outbox_messages=20))

    async def main() -> None:
        posts = [gateway.pipeline.post(draft()) for _ in range(30)]
        answers = await asyncio.gather(*posts, return_exceptions=True)
        refused = [each for each in answers if isinstance(each, PublishingBehind)]
        assert len(refused) == 12
        assert {each.retry_after for each in refused} == {5.0}
        # The last tenth is for hosts.
        for _ in range(2):
            assert not (await gateway.pipeline.post(host_draft())).published
        with pytest.raises(PublishingBehind):
            await gateway.pipeline.post(host_draft())
        assert len(gateway.store.outbox) == len(gateway.store.messages) == 20
        assert not (await gateway.pipeline.post(draft(), Importance.INSTANT)).published
        gateway.broker.away = False
        # Seconds of a clock that jumps.
        await asyncio.sleep(10.0)
        assert not gateway.store.outbox
        await gateway.pipeline.post(draft())

    gateway.run(main())
    assert gateway.broker.seqs() == list(range(1, 22))


def test_messages_that_the_broker_takes_do_not_count_for_the_outbox_limit() -> None:
    gateway = Gateway(limits=Limits(outbox_messages=10))

    async def main() -> None:
        for _ in range(100):
            await gateway.pipeline.post(draft())
            await gateway.outbox.landed(STREAM.room)

    gateway.run(main())
    assert len(gateway.store.messages) == 100


def test_what_was_in_the_outbox_at_the_start_and_what_others_add_counts() -> None:
    store = FakeStore()
    store.put([message(seq) for seq in range(1, 16)])
    other = store.another("other")
    gateway = Gateway(store, FakeBroker(away=True), limits=Limits(outbox_messages=20))

    async def main() -> None:
        await gateway.outbox.start()
        await gateway.pipeline.post(draft())
        other.put([message(seq) for seq in range(17, 20)])
        await other.renew_lease(60.0)
        await asyncio.sleep(2.5)
        with pytest.raises(PublishingBehind):
            await gateway.pipeline.post(draft())
        await gateway.pipeline.post(host_draft())

    gateway.run(main())


def test_bytes_in_the_outbox_are_limited_too() -> None:
    limits = Limits(body_bytes=1500, outbox_bytes=10_000)
    gateway = Gateway(broker=FakeBroker(away=True), limits=limits)

    async def main() -> None:
        posts = [gateway.pipeline.post(draft("x" * 1000)) for _ in range(20)]
        answers = await asyncio.gather(*posts, return_exceptions=True)
        taken = sum(isinstance(each, Receipt) for each in answers)
        assert taken == sum(not isinstance(each, PublishingBehind) for each in answers)
        assert 7_800 < sum(len(each.encode()) for each in gateway.store.outbox.values()) <= 9_000

    gateway.run(main())


def test_a_leaving_gateway_finishes_the_posts_in_hand_and_takes_no_more() -> None:
    gateway = Gateway()

    async def main() -> None:
        in_hand = asyncio.create_task(gateway.pipeline.post(draft()))
        await settle()
        leaving = asyncio.create_task(gateway.pipeline.close())
        await settle()
        with pytest.raises(Draining):
            await gateway.pipeline.post(draft())
        assert not leaving.done()
        await leaving
        assert (await in_hand).published

    gateway.run(main())


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (float("nan"), Invalid),
        (float("inf"), Invalid),
        (object(), Invalid),
        ("x" * 70_000, TooLarge),
        ("가" * 22_000, TooLarge),
        (nested(101), Invalid),
    ],
    ids=["NaN", "infinity", "not JSON", "too large", "too large in bytes", "nested too deeply"],
)
@pytest.mark.parametrize("importance", Importance)
def test_messages_that_cannot_be_sent_are_refused_before_they_are_stored(
    body: object, error: type[GatewayError], importance: Importance
) -> None:
    gateway = Gateway()

    async def main() -> None:
        with pytest.raises(error):
            await gateway.pipeline.post(draft(body), importance)

    gateway.run(main())
    assert gateway.store.messages == {}
    assert gateway.broker.wire == []


def test_an_instant_message_is_published_without_a_number_and_not_stored() -> None:
    gateway = Gateway()
    new = draft()

    async def main() -> None:
        receipt = await gateway.pipeline.post(new, Importance.INSTANT)
        assert receipt == Receipt(new.numbered(None), published=True)

    gateway.run(main())
    (publication,) = gateway.broker.wire
    assert not publication.persistent
    assert publication.expiration_ms == 10_000
    assert publication.headers == {
        "room": "42",
        "audience": "public",
        "sender": "kim",
        "importance": "instant",
    }
    assert gateway.store.messages == {}


def test_an_instant_message_that_nobody_listens_for_is_published_all_the_same() -> None:
    gateway = Gateway(broker=FakeBroker(fates=[(0.1, Returned)]))

    async def main() -> None:
        assert (await gateway.pipeline.post(draft(), Importance.INSTANT)).published

    gateway.run(main())


def test_an_instant_message_is_dropped_when_the_broker_is_away_or_silent() -> None:
    gateway = Gateway(broker=FakeBroker(away=True, fates=[(3600.0, None), (0.1, NotConfirmed)]))

    async def post() -> Receipt:
        return await gateway.pipeline.post(draft(), Importance.INSTANT)

    async def main() -> None:
        assert not (await post()).published
        gateway.broker.away = False
        assert not (await post()).published
        assert not (await post()).published

    gateway.run(main())
    assert len(gateway.broker.wire) == 2


def test_an_instant_id_is_on_the_way_only_once() -> None:
    gateway = Gateway()
    message_id = UUID(int=1)

    async def main() -> None:
        receipts = await asyncio.gather(
            *(
                gateway.pipeline.post(draft(message_id=message_id), Importance.INSTANT)
                for _ in range(3)
            )
        )
        assert [receipt.published for receipt in receipts] == [True, False, False]

    gateway.run(main())
    assert len(gateway.broker.wire) == 1


def test_an_instant_message_that_borrows_an_id_does_not_stop_the_guaranteed_one() -> None:
    gateway = Gateway()
    message_id = UUID(int=1)

    async def main() -> None:
        instant, guaranteed = await asyncio.gather(
            gateway.pipeline.post(draft(message_id=message_id), Importance.INSTANT),
            gateway.pipeline.post(draft(message_id=message_id)),
        )
        assert instant.published
        assert guaranteed.published

    gateway.run(main())
    assert [each.persistent for each in gateway.broker.wire] == [False, True]


def test_streams_are_numbered_apart() -> None:
    gateway = Gateway()
    private = Stream(Audience.PRIVATE, 42)

    async def main() -> None:
        for _ in range(2):
            await gateway.pipeline.post(draft())
            await gateway.pipeline.post(draft(stream=private))

    gateway.run(main())
    assert gateway.broker.seqs(STREAM) == gateway.broker.seqs(private) == [1, 2]


def test_an_error_that_nobody_foresaw_reaches_the_client_and_ends_no_later_post() -> None:
    class Faulty(FakeStore):
        """A store that fails unexpectedly for one of the messages."""

        async def append(self, drafts: Sequence[Draft]) -> list[Appended | GatewayError]:
            if drafts[0].body == "poison":
                raise ZeroDivisionError
            return await super().append(drafts)

    gateway = Gateway(Faulty())

    async def main() -> None:
        with pytest.raises(ZeroDivisionError):
            await gateway.pipeline.post(draft("poison"))
        assert (await gateway.pipeline.post(draft())).published

    gateway.run(main())


def test_a_first_post_that_is_still_being_stored_is_waited_for() -> None:
    """Its client has lost the line and asks again, and may not post by now."""

    class SlowToWrite(FakeStore):
        """A store whose writes take long."""

        async def append(self, drafts: Sequence[Draft]) -> list[Appended | GatewayError]:
            await asyncio.sleep(3.0)
            return await super().append(drafts)

    gateway = Gateway(SlowToWrite())
    committing, waiting = draft(), draft()

    async def main() -> None:
        posts = []
        for word in (committing, waiting):
            posts.append(asyncio.create_task(gateway.pipeline.post(word)))
            await settle()
        asked = [gateway.pipeline.repeated(word) for word in (committing, waiting)]
        for again, post in zip(await asyncio.gather(*asked), posts, strict=True):
            assert again is not None
            assert again.message == (await post).message
        assert await gateway.pipeline.repeated(draft()) is None

    gateway.run(main())
    assert len(gateway.broker.wire) == 2


def test_a_repetition_of_another_senders_message_is_none_and_of_other_content_is_told() -> None:
    gateway = Gateway()
    word = draft("hello")

    async def main() -> None:
        await gateway.pipeline.post(word)
        assert await gateway.pipeline.repeated(replace(word, sender="lee")) is None
        for body in ("other", float("nan"), nested(100_000)):
            with pytest.raises(IdReused):
                await gateway.pipeline.repeated(replace(word, body=body))

    gateway.run(main())


def test_a_post_that_the_broker_refuses_is_stored_and_told_to_be_unpublished_at_once() -> None:
    gateway = Gateway()
    bad, good = draft("too large"), draft()
    gateway.broker.refuses.add(str(bad.id))

    async def main() -> None:
        began = now()
        receipt = await gateway.pipeline.post(bad)
        assert (receipt.message.seq, receipt.published) == (1, False)
        assert now() - began < 1.0
        # Others see it by the history, which they are told to look into.
        assert gateway.outbox.awaits(bad.stream, 1)
        assert (await gateway.pipeline.post(good)).published
        again = await gateway.pipeline.post(bad)
        assert (again.message, again.published) == (receipt.message, False)

    gateway.run(main())
    assert [each.seq for each in gateway.told] == [1, 2]


def test_a_commit_that_is_broken_off_is_answered_and_the_next_one_goes_on(
    failures: list[str],
) -> None:
    class Breaking(FakeStore):
        """A store whose first append is cancelled by a library."""

        broken = False

        async def append(self, drafts: Sequence[Draft]) -> list[Appended | GatewayError]:
            if not self.broken:
                self.broken = True
                # As a library that ends its waiters does it.
                raise asyncio.CancelledError
            return await super().append(drafts)

    gateway = Gateway(Breaking())

    async def main() -> None:
        first, second = draft(), draft()
        posting = asyncio.create_task(gateway.pipeline.post(first))
        await asyncio.sleep(0)
        behind = asyncio.create_task(gateway.pipeline.post(second))
        with pytest.raises(StoreUnavailable, match="was cancelled") as caught:
            await posting
        assert caught.value.retry_after
        assert (await behind).published
        assert (await gateway.pipeline.post(first)).published

    gateway.run(main())
    assert failures == ["group commit has failed and begins anew"]
    failures.clear()


@pytest.mark.parametrize("fault", [KeyError, asyncio.CancelledError])
def test_a_lane_whose_reading_fails_reads_again(
    fault: type[BaseException], failures: list[str]
) -> None:
    class Breaking(FakeStore):
        """A store whose first three reads of its outbox fail."""

        faults = 3

        async def unpublished_in(self, stream: Stream, *, after: int, limit: int) -> Unpublished:
            if self.faults:
                self.faults -= 1
                raise fault
            return await super().unpublished_in(stream, after=after, limit=limit)

    store = Breaking()
    store.put([message(1)])
    gateway = Gateway(store)

    async def main() -> None:
        await gateway.outbox.start()
        await asyncio.sleep(10)
        assert gateway.broker.seqs() == [1]

    gateway.run(main())
    assert failures == ["outbox: reading has failed and begins anew"]
    failures.clear()


@pytest.mark.parametrize("fault", [KeyError, asyncio.CancelledError])
def test_marking_goes_on_after_a_fault(fault: type[BaseException], failures: list[str]) -> None:
    class Breaking(FakeStore):
        """A store whose first three marks fail."""

        faults = 3

        async def mark_published(self, *args: Any) -> None:
            if self.faults:
                self.faults -= 1
                raise fault
            await super().mark_published(*args)

    gateway = Gateway(Breaking())

    async def main() -> None:
        assert (await gateway.pipeline.post(draft())).published
        await asyncio.sleep(10)
        assert not gateway.store.outbox

    gateway.run(main())
    assert failures == ["published marks has failed and begins anew"]
    failures.clear()
