"""A client that also sends messages."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

from bench_suite.conversation import Heard, Listener, said
from bench_suite.subscriber import Client, Subscriber

#: Seconds for the last messages to be heard by all.
_ARRIVAL = 60.0


@dataclass(frozen=True)
class Member:
    """A client with its place among so many in a room."""

    client: Client
    room: int
    place: int
    size: int


@dataclass
class Talked:
    """The result of a conversation.

    ``seconds`` until everything has arrived; ``heard``: the messages of all together.
    """

    seconds: float
    heard: Heard


class Talker(Subscriber):
    """A member of a room that speaks and listens."""

    def __init__(self, member: Member, *, buffer: memoryview) -> None:
        self.listener = Listener(
            member.room, member.place, member.size, other=self._frame, own=self._again
        )
        super().__init__(member.client, self.listener, buffer=buffer)
        self.member = member
        self.sent = 0
        self._until = 0.0

    def start(self, until: float) -> None:
        """Send from now on, up to a moment of the monotonic clock."""
        self._until = until
        self._again()

    def _again(self) -> None:
        if time.monotonic() < self._until:
            self.sent += 1
            member = self.member
            headers = [("destination", member.client.subscribe), ("content-type", "text/plain")]
            self.send("SEND", headers, said(member.room, member.place, self.sent))


async def talk(talkers: Sequence[Talker], seconds: float) -> Talked:
    """Let everyone speak for so many seconds; then check what each has received."""
    started = time.monotonic()
    for talker in talkers:
        talker.start(started + seconds)
    rooms: dict[int, list[Talker]] = {}
    for talker in talkers:
        rooms.setdefault(talker.member.room, []).append(talker)
    await asyncio.sleep(seconds)
    late = started + seconds + _ARRIVAL
    # A look now and then costs less than an event with every message.
    while time.monotonic() < late and not all(map(_is_complete, rooms.values())):  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    total = Heard([], [])
    for members in rooms.values():
        spoken = {talker.member.place: talker.sent for talker in members}
        for talker in members:
            heard = talker.listener.heard
            total.delays += heard.delays
            total.faults += heard.faults
            total.told += heard.told
            if talker.lost:
                total.faults += 1
                total.told.append(f"a connection was lost: {talker.lost}")
            elif heard.counts != [spoken[place] for place in range(len(members))]:
                total.faults += 1
                total.told.append(f"room {talker.member.room}: not everything was heard")
    total.told = total.told[:5]
    return Talked(time.monotonic() - started, total)


def _is_complete(members: Sequence[Talker]) -> bool:
    spoken = [talker.sent for talker in sorted(members, key=lambda one: one.member.place)]
    return all(talker.lost or talker.listener.heard.counts == spoken for talker in members)
