"""Received bytes are checked completely, however they were cut."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench_suite.journal import Journal, Reader
from broker.protocol.websocket import Opcode, build

_TOPIC = "/topic/acdm.mo.interact.public.7"


def _message(seq: int, *, topic: str = _TOPIC, mark: str = "", at: int = 0) -> bytes:
    body = f'{{"seq":{seq},"body":"{at:016x}...."}}'
    head = f"subscription:s\ndestination:{topic}\nmessage-id:{mark}{seq}\nseq:{seq}"
    frame = f"MESSAGE\n{head}\n\n{body}\0"
    return build(Opcode.TEXT, frame.encode())


def _reader(journal: Journal) -> Reader:
    return Reader(journal, other=lambda opcode, payload: None)


def _cut(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[start:end] for start, end in pairwise(edges) if start < end]


@given(st.lists(st.lists(st.integers(0, 10_000), max_size=8), min_size=1, max_size=4))
def test_the_same_bytes_are_accepted_from_everyone_however_they_are_cut(
    cuts: list[list[int]],
) -> None:
    data = b"".join(_message(seq) for seq in range(5, 25))
    journal = Journal(_TOPIC, first=5)
    for each in cuts:
        reader = _reader(journal)
        for chunk in _cut(data, each):
            reader.feed(memoryview(chunk))
        assert (reader.last, reader.faults) == (24, 0)


@given(st.lists(st.integers(0, 10_000), max_size=8), st.integers(0, 18))
def test_subscribers_whose_frames_differ_are_checked_one_by_one(
    cuts: list[int], missing: int
) -> None:
    journal = Journal(_TOPIC, first=1)
    first, second, third = (_reader(journal) for _ in range(3))
    for reader, mark in ((first, "a"), (second, "b")):
        for chunk in _cut(b"".join(_message(seq, mark=mark) for seq in range(1, 21)), cuts):
            reader.feed(chunk)
        assert (reader.last, reader.faults) == (20, 0)
    holed = [_message(seq, mark="c") for seq in range(1, 21)]
    del holed[missing]
    for chunk in _cut(b"".join(holed), cuts):
        third.feed(chunk)
    assert third.faults == 1
    assert f"came after {missing}" in third.told[0]


@given(st.lists(st.integers(0, 10_000), max_size=8), st.sampled_from([0, 3, 9]))
def test_a_hole_in_bytes_that_others_have_received_is_found(cuts: list[int], missing: int) -> None:
    journal = Journal(_TOPIC, first=1)
    whole = [_message(seq) for seq in range(1, 12)]
    _reader(journal).feed(b"".join(whole))
    late = _reader(journal)
    del whole[missing]
    for chunk in _cut(b"".join(whole), cuts):
        late.feed(chunk)
    assert late.faults == 1


@given(st.lists(st.integers(0, 10_000), max_size=8))
def test_a_repetition_is_found(cuts: list[int]) -> None:
    journal = Journal(_TOPIC, first=1)
    data = b"".join(_message(seq) for seq in (1, 2, 3))
    _reader(journal).feed(data)
    reader = _reader(journal)
    for chunk in _cut(data + _message(3) + _message(4), cuts):
        reader.feed(chunk)
    assert (reader.faults, reader.last) == (1, 4)


@pytest.mark.parametrize(
    "foreign",
    [
        _message(2, topic="/topic/acdm.mo.interact.public.8"),
        build(Opcode.TEXT, b"MESSAGE\ndestination:" + _TOPIC.encode() + b"\n\nno number\0"),
    ],
)
def test_a_foreign_message_is_found(foreign: bytes) -> None:
    reader = _reader(Journal(_TOPIC, first=1))
    reader.feed(_message(1) + foreign + _message(2))
    assert (reader.faults, reader.last) == (1, 2)
    assert "foreign" in reader.told[0]


@given(st.lists(st.integers(0, 10_000), max_size=8), st.integers(0, 5))
def test_pings_and_heart_beats_come_between_anywhere(cuts: list[int], place: int) -> None:
    journal = Journal(_TOPIC, first=1)
    frames = [_message(seq) for seq in range(1, 6)]
    _reader(journal).feed(b"".join(frames))
    others: list[tuple[int, bytes]] = []
    reader = Reader(journal, other=lambda opcode, payload: others.append((opcode, payload)))
    frames.insert(place, build(Opcode.PING, b"?") + build(Opcode.TEXT, b"\n"))
    for chunk in _cut(b"".join(frames), cuts):
        reader.feed(chunk)
    assert others == [(Opcode.PING, b"?"), (Opcode.TEXT, b"\n")]
    assert (reader.last, reader.faults) == (5, 0)


def test_a_message_counts_when_all_of_it_has_come() -> None:
    journal = Journal(_TOPIC, first=1)
    data = _message(1) + _message(2)
    _reader(journal).feed(data)
    reader = _reader(journal)
    reader.feed(data[:-1])
    assert reader.last == 1
    reader.feed(data[-1:])
    assert reader.last == 2


def test_the_time_of_publishing_is_read_from_the_body() -> None:
    journal = Journal(_TOPIC, first=1)
    _reader(journal).feed(_message(1, at=123456789))
    assert journal.published == [123456789]


def test_messages_that_are_acknowledged_are_all_told() -> None:
    told: list[bytes] = []
    journal = Journal(_TOPIC, first=1)
    for _ in range(2):
        Reader(journal, other=lambda opcode, payload: None, message=told.append).feed(_message(1))
    assert len(told) == 2
