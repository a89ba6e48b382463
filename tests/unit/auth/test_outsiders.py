"""RabbitMQ's own users reach no room, whatever RabbitMQ permits them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.protocol.stomp import Frame
from broker.topology import Topology
from gateway.auth.access import Direction
from gateway.auth.outsiders import Outsiders
from gateway.auth.patterns import includes, reaches, words
from gateway.domain.broker_login import BrokerLogin
from gateway.domain.identity import Identity
from gateway.errors import Refused

PREFIX = "acdm.mo.interact"
LOGIN = BrokerLogin("app", "secret", vhost="/", mark=b"", payer="app 1")
APP = Identity("app", frozenset(), 0.0, login=LOGIN)
IN_BILLING = Identity("app", frozenset(), 0.0, login=LOGIN, vhost="billing")
CLOSED = Outsiders(Topology(), rooms=False)
OPEN = Outsiders(Topology(), rooms=True)


def frame(destination: str, **headers: str) -> Frame:
    given = {"destination": destination, **{k.replace("_", "-"): v for k, v in headers.items()}}
    return Frame("SUBSCRIBE", tuple(given.items()))


@pytest.mark.parametrize(
    "destination",
    [
        f"/topic/{PREFIX}.public.42",
        f"/topic/{PREFIX}.gateways",
        "/topic/#",
        "/topic/*.#",
        "/topic/#.42",
        "/topic/acdm.*.interact.public.*",
        "/topic/acdm.#",
        f"/topic/{PREFIX}",
        "/exchange/amq.topic/#",
        "/exchange/amq.topic/*.*.*.*.*",
        f"/exchange/{PREFIX}.kept",
        f"/exchange/{PREFIX}.sorter/a",
        f"/queue/{PREFIX}.private.42",
        f"/amq/queue/{PREFIX}.private.42",
        f"/amq/queue/{PREFIX}.feed.one.0.abc",
        # RabbitMQ's parse_endpoint takes a name without a slash for a queue's.
        f"{PREFIX}.private.42",
        # Longer than a name of AMQP: within RabbitMQ, STOMP's bindings have no such limit.
        "/topic/" + ".".join("#" * 200),
        f"/exchange/amq.topic/{PREFIX}.public." + ".".join("#" * 200),
        "/topic/" + ".".join("#" * 8000),
    ],
)
def test_a_subscription_that_reaches_a_room_is_refused(destination: str) -> None:
    with pytest.raises(Refused, match=r"auth\.rabbitmq\.rooms"):
        CLOSED.check(APP, Direction.SUBSCRIBE, frame(destination))
    OPEN.check(APP, Direction.SUBSCRIBE, frame(destination))
    CLOSED.check(IN_BILLING, Direction.SUBSCRIBE, frame(destination))


@pytest.mark.parametrize(
    "destination",
    [
        "/topic/news.#",
        "/topic/acdm.other.#",
        "/topic/*.news",
        "/topic/acdm",
        f"/topic/{PREFIX}s.public.42",
        "/exchange/amq.topic/orders.*",
        "/exchange/amq.fanout",
        "/exchange/orders/#",
        "/queue/orders",
        "/amq/queue/orders",
        "/temp-queue/x",
        "/topic/50%",
        "nonsense",
        "",
    ],
)
def test_everything_else_is_left_to_rabbitmq(destination: str) -> None:
    CLOSED.check(APP, Direction.SUBSCRIBE, frame(destination))


@pytest.mark.parametrize(
    "destination",
    [
        f"/topic/{PREFIX}.public.42",
        f"/exchange/amq.topic/{PREFIX}.public.42",
        f"/exchange/orders/{PREFIX}.public.42",
        f"/exchange/{PREFIX}.kept/x",
        f"/queue/{PREFIX}.private.42",
        f"/amq/queue/{PREFIX}.private.42",
        f"/reply-queue/{PREFIX}.private.42",
        f"{PREFIX}.private.42",
    ],
)
def test_nothing_is_sent_to_a_room(destination: str) -> None:
    with pytest.raises(Refused):
        CLOSED.check(APP, Direction.SEND, frame(destination))


@pytest.mark.parametrize(
    "headers",
    [
        {"x_queue_name": f"{PREFIX}.private.42"},
        {"x_dead_letter_exchange": f"{PREFIX}.kept"},
        {"x_dead_letter_routing_key": f"{PREFIX}.public.42"},
    ],
)
def test_no_header_names_what_is_a_rooms(headers: dict[str, str]) -> None:
    with pytest.raises(Refused):
        CLOSED.check(APP, Direction.SUBSCRIBE, frame("/topic/news", **headers))


_WORD = st.sampled_from(["a", "b", "*", "#"])
_PLAIN = st.lists(st.sampled_from(["a", "b"]), max_size=5)


@given(st.lists(_WORD, max_size=5), _PLAIN.filter(bool), _PLAIN)
def test_a_pattern_that_matches_a_key_reaches_each_of_its_beginnings(
    request: list[str], prefix: list[str], rest: list[str]
) -> None:
    if includes(tuple(request), (*prefix, *rest)):
        assert reaches(tuple(request), tuple(prefix))


@given(st.lists(_WORD, max_size=4), _PLAIN.filter(bool))
def test_a_pattern_that_reaches_a_beginning_matches_a_key_with_it(
    request: list[str], prefix: list[str]
) -> None:
    if reaches(tuple(request), tuple(prefix)):
        # What is left of the pattern, with a word for each of its stars.
        ends = (
            [word if word in "ab" else "a" for word in request[at:] if word != "#"]
            for at in range(len(request) + 1)
        )
        assert any(includes(tuple(request), (*prefix, *end)) for end in ends)


def test_the_words_of_a_name() -> None:
    assert reaches(words("#"), words(PREFIX))
