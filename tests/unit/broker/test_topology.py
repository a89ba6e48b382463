"""The names that systems outside the gateway rely on."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.topology import Arguments, Audience, Parking, Queue, Queued, Sorting, Stream, Topology

TOPOLOGY = Topology()


def test_names_keep_the_form_of_the_first_system() -> None:
    assert TOPOLOGY.routing_key(Stream(Audience.PUBLIC, 42)) == "acdm.mo.interact.public.42"
    assert TOPOLOGY.routing_key(Stream(Audience.PRIVATE, 42)) == "acdm.mo.interact.private.42"
    assert str(Stream(Audience.PUBLIC, 42)) == "public.42"


def test_the_private_queue_is_replicated_ordered_and_expires_after_a_day() -> None:
    """Whatever the version, a message outlives a million lost connections of its host."""
    as_ever: Arguments = {
        "x-queue-type": "quorum",
        "x-single-active-consumer": True,
        "x-expires": 24 * 60 * 60 * 1000,
    }
    limited: Arguments = {**as_ever, "x-delivery-limit": 1_000_000}
    bounds: Arguments = {"x-max-length": 10_000, "x-max-length-bytes": 64 * 1024 * 1024}
    name, key = "acdm.mo.interact.private.42", "acdm.mo.interact.*.42"
    sorting = Sorting(
        pattern="acdm.mo.interact.*.*",
        sorter="acdm.mo.interact.sorter",
        instant="acdm.mo.interact.instant",
        kept="acdm.mo.interact.kept",
    )
    queue = TOPOLOGY.private_queue(42)
    assert queue == Queue(
        name=name,
        binding_key=key,
        arguments=limited | bounds | {"x-dead-letter-exchange": "acdm.mo.interact.parking"},
        earlier=(limited | bounds, limited, as_ever),
        sorting=sorting,
        # As a former version bound it.
        unwanted=(past := (("amq.topic", key),)),
    )
    assert list(queue.variants) == [
        queue,
        Queue(name, key, limited | bounds, sorting=sorting, unwanted=past),
        Queue(name, key, limited, sorting=sorting, unwanted=past),
        Queue(name, key, as_ever, sorting=sorting, unwanted=past),
    ]


def test_a_queue_of_questions_gets_what_is_said_to_hosts_alone_and_is_otherwise_the_same() -> None:
    topology = Topology(queued=Queued.QUESTIONS)
    both = TOPOLOGY.private_queue(42)
    queue = topology.private_queue(42)
    assert queue.binding_key == queue.name == both.name
    assert queue.unwanted == (
        ("amq.topic", both.binding_key),
        (topology.sorting.kept, both.binding_key),
    )
    assert replace(queue, binding_key=both.binding_key, unwanted=both.unwanted) == both
    public, private = Stream(Audience.PUBLIC, 42), Stream(Audience.PRIVATE, 42)
    assert topology.queued_streams(42) == [private]
    assert TOPOLOGY.queued_streams(42) == [public, private]
    assert topology.is_queued(private)
    assert not topology.is_queued(public)


def test_only_what_is_rejected_is_parked_and_not_what_a_full_queue_drops() -> None:
    parking = TOPOLOGY.parking
    assert parking == Parking(
        exchange="acdm.mo.interact.parking",
        queue="acdm.mo.interact.parked",
        arguments={
            "x-queue-type": "quorum",
            "x-delivery-limit": 1_000_000,
            "x-max-length": 1_000,
            "x-max-length-bytes": 256 * 1024 * 1024,
        },
        binding={"x-match": "all-with-x", "x-first-death-reason": "rejected"},
    )
    assert TOPOLOGY.stream(parking.queue) is None


def test_a_gateways_echoes_are_the_gateways_own_and_no_rooms() -> None:
    key = TOPOLOGY.echo_key("12")
    assert key == "acdm.mo.interact.gateways.echo-12"
    assert TOPOLOGY.is_gateways(key)
    assert TOPOLOGY.is_gateways(TOPOLOGY.gateways_key)
    assert not TOPOLOGY.is_gateways("acdm.mo.interact.gatewaysandmore.1")
    assert not TOPOLOGY.is_gateways(TOPOLOGY.private_queue(12).name)


def test_messages_among_gateways_reach_no_room() -> None:
    key = TOPOLOGY.gateways_key
    assert key == "acdm.mo.interact.gateways"
    assert TOPOLOGY.stream(key) is None
    # "*" stands for one word (AMQP 0-9-1, section 3.1.3.3), so the lengths must differ.
    bound = TOPOLOGY.private_queue(42).binding_key
    assert len(key.split(".")) != len(bound.split("."))


@given(
    prefix=st.from_regex(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*", fullmatch=True),
    audience=st.sampled_from(Audience),
    room=st.integers(1, 10**18 - 1),
)
def test_a_routing_key_is_read_back_as_the_stream_it_was_made_from(
    prefix: str, audience: Audience, room: int
) -> None:
    topology = Topology(prefix)
    stream = Stream(audience, room)
    assert topology.stream(topology.routing_key(stream)) == stream
    is_private = audience is Audience.PRIVATE
    assert topology.private_queue_room(topology.routing_key(stream)) == (
        room if is_private else None
    )


@pytest.mark.parametrize(
    "routing_key",
    [
        "",
        "public.42",
        "acdm.mo.interact.public",
        "acdm.mo.interact.public.",
        "acdm.mo.interact.public.#",
        "acdm.mo.interact.*.42",
        "acdm.mo.interact.secret.42",
        "acdm.mo.interact.public.042",
        "acdm.mo.interact.public.-1",
        "acdm.mo.interact.public.0",
        "acdm.mo.interact.public.٤٢",
        "acdm.mo.interact.public.42\n",
        "acdm.mo.interact.public.42.x",
        "xacdm.mo.interact.public.42",
        "acdm.mo.interact.public.1000000000000000000",
    ],
)
def test_a_wildcard_or_a_foreign_key_names_no_stream(routing_key: str) -> None:
    assert TOPOLOGY.stream(routing_key) is None
    assert TOPOLOGY.private_queue_room(routing_key) is None


@pytest.mark.parametrize("prefix", ["", ".", "a.", ".a", "a..b", "a.*", "a.#", "a b", "a/b", "ä"])
def test_a_prefix_that_could_not_stand_in_a_routing_key_is_refused(prefix: str) -> None:
    with pytest.raises(ValueError, match="prefix"):
        Topology(prefix)


def test_a_feeds_queue_is_recognised_by_its_name_and_is_no_rooms() -> None:
    topology = Topology("a.b")
    name = topology.feed_queue("gateway-1", 1, "0a1b2c3d")
    assert name == "a.b.feed.gateway-1.1.0a1b2c3d"
    assert topology.private_queue_room(topology.feed_queue("7", 7, "7")) is None
    assert topology.stream(topology.feed_queue("7", 7, "7")) is None
