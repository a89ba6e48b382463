"""Acknowledgements reach the database in batches, also after it was away."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from broker.timing.tasks import Tasks
from broker.topology import Audience, Stream
from gateway.errors import StoreUnavailable
from gateway.queues.acknowledged import Acknowledgements
from tests.virtual_time import run

STREAM = Stream(Audience.PUBLIC, 1)
OTHER = Stream(Audience.PRIVATE, 2)


@dataclass
class FakeStore:
    """Numbers in memory; ``away``: every call fails."""

    places: dict[Stream, int] = field(default_factory=dict)
    written: list[dict[Stream, int]] = field(default_factory=list)
    away: bool = False

    async def acknowledged(self, streams: Sequence[Stream]) -> dict[Stream, int]:
        await asyncio.sleep(0.01)
        if self.away:
            raise StoreUnavailable("away")
        return {each: self.places.get(each, 0) for each in streams}

    async def acknowledge(self, seqs: Mapping[Stream, int]) -> None:
        await asyncio.sleep(0.01)
        if self.away:
            raise StoreUnavailable("away")
        self.written.append(dict(seqs))
        self.places |= seqs


def over(store: FakeStore) -> Acknowledgements:
    return Acknowledgements(store, clock=asyncio.get_running_loop().time, tasks=Tasks())


def handle(acknowledgements: Acknowledgements, stream: Stream, *seqs: int) -> None:
    for seq in seqs:
        acknowledgements.delivered(stream, seq)
        acknowledgements.acknowledged(stream, seq)


def test_what_gathers_in_a_second_is_one_transaction() -> None:
    async def scenario() -> None:
        store = FakeStore({STREAM: 2})
        acknowledgements = over(store)
        acknowledgements.start()
        handle(acknowledgements, STREAM, 3, 4, 5)
        handle(acknowledgements, OTHER, 1)
        await asyncio.sleep(1.5)
        assert store.written == [{STREAM: 5, OTHER: 1}]
        await asyncio.sleep(10)
        handle(acknowledgements, STREAM, 6)
        await acknowledgements.close()
        assert store.places == {STREAM: 6, OTHER: 1}
        assert len(store.written) == 2

    run(scenario())


def test_what_could_not_be_stored_is_stored_later(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        store = FakeStore()
        acknowledgements = over(store)
        acknowledgements.start()
        handle(acknowledgements, STREAM, 1)
        await asyncio.sleep(1.5)
        store.away = True
        handle(acknowledgements, STREAM, 2)
        handle(acknowledgements, OTHER, 1)
        await asyncio.sleep(20)
        store.away = False
        await asyncio.sleep(1.5)
        assert store.places == {STREAM: 2, OTHER: 1}
        await acknowledgements.close()

    run(scenario())
    assert caplog.text.count("cannot be stored, trying again") == 1


def test_without_the_database_the_last_ones_are_given_up(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario() -> None:
        store = FakeStore(away=True)
        acknowledgements = over(store)
        handle(acknowledgements, STREAM, 1)
        with pytest.raises(StoreUnavailable):
            await acknowledgements.flush()
        await acknowledgements.close()
        assert store.places == {}

    run(scenario())
    assert "the last acknowledgements of private queues are not stored" in caplog.text


def test_what_another_gateway_s_session_has_acknowledged_holds_nothing_back() -> None:
    """The host had it here first, and went away without a word."""

    async def scenario() -> None:
        store = FakeStore()
        acknowledgements = over(store)
        acknowledgements.start()
        handle(acknowledgements, STREAM, 1)
        acknowledgements.delivered(STREAM, 2)
        await asyncio.sleep(1.5)
        store.places[STREAM] = 2
        await asyncio.sleep(100)
        handle(acknowledgements, STREAM, 3, 4)
        await asyncio.sleep(1.5)
        assert store.places == {STREAM: 4}
        await acknowledgements.close()

    run(scenario())


def test_a_stream_of_which_nothing_is_open_is_forgotten() -> None:
    async def scenario() -> None:
        acknowledgements = over(FakeStore())
        handle(acknowledgements, STREAM, 1)
        acknowledgements.delivered(OTHER, 7)
        await acknowledgements.flush()
        assert list(acknowledgements._streams) == [OTHER]

    run(scenario())
