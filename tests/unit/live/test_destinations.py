"""Only exact names are a room's."""

import pytest

from broker.topology import Audience, Stream, Topology
from gateway.live.destinations import (
    Destination,
    Elsewhere,
    RoomQueue,
    RoomTopic,
    SignOfLife,
    TokenRenewal,
    parse,
)

TOPOLOGY = Topology("acdm.mo.interact")


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("/topic/acdm.mo.interact.public.42", RoomTopic(Stream(Audience.PUBLIC, 42))),
        ("/topic/acdm.mo.interact.private.42", RoomTopic(Stream(Audience.PRIVATE, 42))),
        ("/queue/acdm.mo.interact.private.42", RoomQueue(42)),
        ("/amq/queue/acdm.mo.interact.private.42", RoomQueue(42)),
        ("/gateway/token", TokenRenewal()),
        ("/gateway/ping", SignOfLife()),
    ],
)
def test_a_rooms_own_destinations(text: str, meaning: Destination) -> None:
    assert parse(text, TOPOLOGY) == meaning


@pytest.mark.parametrize(
    "text",
    [
        "/topic/acdm.mo.interact.public.*",
        "/topic/acdm.mo.interact.*.42",
        "/topic/acdm.mo.interact.#",
        "/topic/#",
        "/topic/acdm.mo.interact.public.042",
        "/topic/acdm.mo.interact.public.-1",
        "/topic/acdm.mo.interact.public.٤٢",
        "/topic/acdm.mo.interact.public.42 ",
        "/topic/acdm.mo.interact.public.42/",
        "/topic/acdm.mo.interact.public.42%2F",
        "/topic/acdm%2Emo.interact.public.42",
        "/topic/acdm.mo.interact.secret.42",
        "/topic/other.public.42",
        "/topic//acdm.mo.interact.public.42",
        "//topic/acdm.mo.interact.public.42",
        "topic/acdm.mo.interact.public.42",
        "/exchange/amq.topic/acdm.mo.interact.public.42",
        "/queue/acdm.mo.interact.public.42",
        "/amq/queue/acdm.mo.interact.public.42",
        "/amq/topic/acdm.mo.interact.public.42",
        "/temp-queue/acdm.mo.interact.private.42",
        "/gateway/token/",
        "/gateway/ping/",
        "",
    ],
)
def test_all_else_is_elsewhere(text: str) -> None:
    assert parse(text, TOPOLOGY) == Elsewhere()
