"""Rooms where everyone speaks: each listener notices holes, repetitions and strangers."""

import json

from bench_suite.conversation import Listener, said
from broker.protocol.websocket import Opcode, build


class _Member:
    def __init__(self) -> None:
        self.echoes = 0
        self.listener = Listener(
            7, 0, 3, other=lambda opcode, payload: None, own=self._hears_itself
        )

    def _hears_itself(self) -> None:
        self.echoes += 1

    def hears(self, text: bytes, *, seq: int | None = None) -> None:
        body = text
        head = "MESSAGE\n"
        if seq is not None:
            # As a gateway wraps it.
            head += f"seq:{seq}\n"
            body = json.dumps({"seq": seq, "body": text.decode()}).encode()
        frame = build(Opcode.TEXT, head.encode() + b"\n" + body + b"\0")
        self.listener.feed(frame[:20])
        self.listener.feed(frame[20:])


def test_everyone_is_counted_apart_and_a_member_hears_itself() -> None:
    member = _Member()
    for place, count in ((0, 1), (2, 1), (2, 2), (0, 2)):
        member.hears(said(7, place, count))
    assert member.listener.heard.counts == [2, 0, 2]
    assert member.listener.heard.faults == 0
    assert len(member.listener.heard.delays) == 4
    assert member.echoes == 2


def test_a_hole_and_a_repetition_are_found() -> None:
    member = _Member()
    for count in (1, 3, 3):
        member.hears(said(7, 1, count))
    assert member.listener.heard.faults == 2


def test_another_rooms_message_is_found() -> None:
    member = _Member()
    member.hears(said(8, 1, 1))
    member.hears(b"something else")
    assert member.listener.heard.faults == 2


def test_numbers_of_the_gateway_must_follow_each_other() -> None:
    member = _Member()
    member.hears(said(7, 1, 1), seq=11)
    member.hears(said(7, 1, 2), seq=12)
    assert member.listener.heard.faults == 0
    member.hears(said(7, 1, 3), seq=14)
    assert member.listener.heard.faults == 1
