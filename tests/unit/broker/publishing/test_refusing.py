"""RabbitMQ ends a channel, or a connection, for one message: that one is found, and nobody else
pays for it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any

import aiormq
import pytest
from pamqp import commands as spec

from broker.publishing import suspects
from broker.publishing.channels import ChannelEnded
from broker.publishing.publication import NotConfirmed, Publication, Refused
from broker.publishing.publisher import Publisher
from tests.unit.broker.amqp_node import AmqpNode, Published, Session, amqp_node
from tests.unit.broker.publishing.test_links import KEY, publisher_to

LARGE = 20_000
OTHER = "acdm.mo.interact.public.2"


def message(id: str, key: str = KEY, *, size: int = 10) -> Publication:
    return Publication(key, b"x" * size, id)


def confirm(session: Session, published: Published) -> None:
    session.send(spec.Basic.Ack(published.tag), published.channel)


def refuse_above(limit: int) -> Callable[[Session, Published], None]:
    """As RabbitMQ does, with its words."""

    def answer(session: Session, published: Published) -> None:
        size = len(published.body)
        if size > limit:
            text = f"message size {size} is larger than configured max size {limit}"
            session.close_channel(published.channel, 406, f"PRECONDITION_FAILED - {text}")
        else:
            confirm(session, published)

    return answer


too_large = refuse_above(LARGE)


def refuse(id: str, end: Callable[[Session, Published], None]) -> Callable[..., None]:
    """It never names the message."""

    def answer(session: Session, published: Published) -> None:
        if published.message_id == id:
            end(session, published)
        else:
            confirm(session, published)

    return answer


def end_channel(session: Session, published: Published) -> None:
    session.close_channel(published.channel, 406, "PRECONDITION_FAILED - it will not do")


def end_connection(session: Session, published: Published) -> None:
    session.close(501, "FRAME_ERROR - type 2, all octets")


def play(
    on_publish: Callable[[Session, Published], None],
    scenario: Callable[[AmqpNode, Publisher], Coroutine[Any, Any, None]],
) -> None:
    async def whole() -> None:
        async with asyncio.timeout(30), amqp_node() as node, publisher_to(node.node) as publisher:
            node.on_publish = on_publish
            await publisher.publish(message("first"), 5)
            await scenario(node, publisher)

    asyncio.run(whole())


async def outcome(publisher: Publisher, publication: Publication) -> tuple[Exception | None, int]:
    """Of a message that goes out until it is confirmed or refused, and how often it went."""
    for times in range(1, 10):
        try:
            await publisher.publish(publication, 5)
        except Refused as error:
            return error, times
        except NotConfirmed:
            await asyncio.sleep(0.02)
        else:
            return None, times
    raise AssertionError("it is tried without end")


@pytest.mark.parametrize(
    ("on_publish", "bad"),
    [
        (too_large, message("bad", size=LARGE + 1)),
        (refuse("bad", end_channel), message("bad")),
        (refuse("bad", end_connection), message("bad")),
    ],
    ids=["size", "channel", "connection"],
)
def test_the_message_is_found_in_two_tries_and_all_others_are_confirmed(
    on_publish: Callable[[Session, Published], None], bad: Publication
) -> None:
    async def scenario(node: AmqpNode, publisher: Publisher) -> None:
        others = [message(f"{n}", KEY if n % 2 else OTHER) for n in range(10)]
        good = [outcome(publisher, each) for each in others[:5]]
        behind = [outcome(publisher, each) for each in others[5:]]
        found = await asyncio.gather(*good, outcome(publisher, bad), *behind)
        refused, _ = found.pop(5)
        assert isinstance(refused, Refused)
        assert [each.message_id for each in node.published].count("bad") == 2
        assert [error for error, _ in found] == [None] * 10
        assert "PRECONDITION" in refused.reason or "FRAME_ERROR" in refused.reason

    play(on_publish, scenario)


def test_a_message_too_large_costs_the_others_no_link_and_the_next_one_not_even_a_channel() -> None:
    async def scenario(node: AmqpNode, publisher: Publisher) -> None:
        [link] = publisher._links.standing.values()
        refused, _ = await outcome(publisher, message("1", size=LARGE + 1))
        assert "max size 20000" in str(refused)
        home = await link.channels.take(KEY, home=True)
        refused, times = await outcome(publisher, message("2", OTHER, size=LARGE + 1))
        assert (type(refused), times) == (Refused, 1)
        assert await outcome(publisher, message("3")) == (None, 1)
        assert await link.channels.take(KEY, home=True) is home
        assert list(publisher._links.standing.values()) == [link]

    play(too_large, scenario)


def test_a_message_at_the_limit_goes_the_usual_way() -> None:
    async def scenario(node: AmqpNode, publisher: Publisher) -> None:
        await outcome(publisher, message("1", size=LARGE + 1))
        dials = node.heard.count("StartOk")
        assert await outcome(publisher, message("2", size=LARGE)) == (None, 1)
        assert node.heard.count("StartOk") == dials

    play(too_large, scenario)


def test_a_limit_that_was_lowered_is_noticed_by_the_message_that_goes_alone() -> None:
    async def scenario(node: AmqpNode, publisher: Publisher) -> None:
        [link] = publisher._links.standing.values()
        await outcome(publisher, message("1", size=LARGE + 1))
        node.on_publish = refuse_above(LARGE // 2)
        await outcome(publisher, message("2", size=LARGE + 1))
        home = await link.channels.take(KEY, home=True)
        refused, times = await outcome(publisher, message("3", size=LARGE - 1))
        assert (type(refused), times) == (Refused, 1)
        assert await link.channels.take(KEY, home=True) is home

    play(too_large, scenario)


def test_a_limit_that_was_raised_is_noticed() -> None:
    async def scenario(node: AmqpNode, publisher: Publisher) -> None:
        await outcome(publisher, message("1", size=LARGE + 1))
        node.on_publish = confirm
        assert await outcome(publisher, message("1", size=LARGE + 1)) == (None, 1)
        dials = node.heard.count("StartOk")
        assert await outcome(publisher, message("2", size=LARGE + 1)) == (None, 1)
        assert node.heard.count("StartOk") == dials

    play(too_large, scenario)


def test_a_refusal_by_permissions_is_no_fault_of_the_message() -> None:
    """Permissions and exchanges come back: it goes out until it is confirmed."""

    def forbid(session: Session, published: Published) -> None:
        session.close_channel(published.channel, 403, "ACCESS_REFUSED - access to topic refused")

    async def scenario(node: AmqpNode, publisher: Publisher) -> None:
        node.on_publish = refuse("bad", forbid)
        for _ in range(3):
            with pytest.raises(NotConfirmed, match="ACCESS_REFUSED") as caught:
                await publisher.publish(message("bad"), 5)
            assert not isinstance(caught.value, Refused)
        [link] = publisher._links.standing.values()
        assert not (await link.channels.take(KEY, home=True)).worn_out
        node.on_publish = confirm
        assert await outcome(publisher, message("bad")) == (None, 1)
        assert not publisher._suspects

    play(confirm, scenario)


def test_names_that_amqp_cannot_express_are_refused_without_asking_rabbitmq() -> None:
    async def scenario(node: AmqpNode, publisher: Publisher) -> None:
        long = Publication(KEY, b"", "id", headers={"sender": "s" * 200_000})
        with pytest.raises(Refused, match="AMQP cannot express it"):
            await publisher.publish(long, 5)
        assert await outcome(publisher, message("later")) == (None, 1)
        assert len(node.published) == 2

    play(confirm, scenario)


def test_a_node_that_goes_away_makes_nobody_suspect() -> None:
    async def scenario(node: AmqpNode, publisher: Publisher) -> None:
        node.on_publish = lambda session, published: session.close(320, "CONNECTION_FORCED")
        with pytest.raises(NotConfirmed):
            await publisher.publish(message("1"), 5)
        assert not publisher._suspects
        assert publisher._suspects._max_size is None

    play(confirm, scenario)


def test_few_go_alone_at_a_time_and_few_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suspects, "CAPACITY", 20)
    most = 0

    async def scenario(node: AmqpNode, publisher: Publisher) -> None:
        nonlocal most

        def count(session: Session, published: Published) -> None:
            nonlocal most
            most = max(most, len(node.sessions))
            too_large(session, published)

        node.on_publish = count
        await outcome(publisher, message("first large", size=LARGE + 1))
        found = await asyncio.gather(
            *(
                outcome(publisher, message(f"{n}", f"acdm.mo.interact.public.{n}", size=LARGE + 1))
                for n in range(30)
            )
        )
        assert all(isinstance(error, Refused) for error, _ in found)
        assert most <= 1 + suspects.AT_ONCE

        node.on_publish = refuse("none", end_channel)
        for n in range(100):
            ended = ChannelEnded(aiormq.ChannelAccessRefused("x"))
            publisher._suspects.note(message(f"{n}"), ended)
        assert len(publisher._suspects) == 20

    play(confirm, scenario)


def test_nothing_is_sent_on_a_channel_after_its_end_was_acknowledged() -> None:
    """RabbitMQ would end the whole connection: 504, expected 'channel.open'. aiormq acknowledges
    the end of a channel some turns of the event loop before it calls the channel closed."""

    async def scenario(node: AmqpNode, publisher: Publisher) -> None:
        [link] = publisher._links.standing.values()

        async def insist(number: int) -> None:
            for attempt in range(40):
                bad = number % 4 == 0 and attempt % 5 == 0
                id = f"{'bad' if bad else 'good'} {number} {attempt}"
                with contextlib.suppress(NotConfirmed):
                    await publisher.publish(message(id, f"acdm.mo.interact.public.{number}"), 5)

        await asyncio.gather(*(insist(number) for number in range(20)))
        assert list(publisher._links.standing.values()) == [link]

    def answer(session: Session, published: Published) -> None:
        if published.message_id.startswith("bad"):
            session.close_channel(published.channel, 403, "ACCESS_REFUSED - access refused")
        else:
            confirm(session, published)

    play(answer, scenario)
