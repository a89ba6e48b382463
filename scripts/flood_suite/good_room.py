"""A room that behaves well: a host and twenty participants who speak, ask, listen and come in.

Everything is measured end to end, from when it was due. So a gateway that makes them wait does not
make them measure less.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from bench_suite.conversation import Listener, said
from bench_suite.frames import FrameReader
from bench_suite.subscriber import MASK, Client, Subscriber
from broker.protocol.stomp import serialise
from broker.protocol.websocket import Opcode, build
from broker.topology import Audience
from flood_suite.http import Http, Persistent
from flood_suite.site import Site, queue, topic
from flood_suite.sockets import Refused, connected

#: The name of the room's host.
HOST = "host"
PARTICIPANTS = 20
#: Seconds between two public messages of one participant: 20 a second in the room, half of them by
#: POST, half by SEND.
_INTERVAL = 1.0
#: Seconds between two questions to the host, of all together; between two who come in; and between
#: two looks of a load balancer.
_QUESTIONS, _NEWCOMERS, _READINESS = 0.5, 1.0, 0.5
#: Seconds that an answer may take, and everything that was said may take to arrive.
_PATIENCE = 30.0
_BUFFER = 1 << 16
_NANO = 1_000_000_000


def participant(number: int) -> str:
    """The name of a participant."""
    return f"pupil{number}"


def members() -> list[str]:
    """The names of all participants, and of one who comes in again and again."""
    return [*map(participant, range(PARTICIPANTS)), _NEWCOMER]


_NEWCOMER = "latecomer"


@dataclass
class Timed:
    """Delays in nanoseconds, and beside each the moment at which it began."""

    moments: list[int] = field(default_factory=list)
    delays: list[int] = field(default_factory=list)

    def note(self, began: int) -> None:
        self.moments.append(began)
        self.delays.append(time.monotonic_ns() - began)

    def between(self, begin: int, end: int) -> list[int]:
        """The delays of what began in this time."""
        pairs = zip(self.moments, self.delays, strict=True)
        return [delay for moment, delay in pairs if begin <= moment < end]


@dataclass
class Experience:
    """What the room saw in a stretch of time; delays in nanoseconds.

    ``wrong``: each answer that was no success, each lost connection, and each message that was
    missing, repeated or foreign."""

    deliveries: list[int]
    posts: list[int]
    questions: list[int]
    entries: list[int]
    wrong: Counter[str]


class _Ear(Listener):
    """Hears what is said; who comes and goes is not numbered, and may be told or not."""

    def _message(self, payload: bytes) -> None:
        if b"\nsender:\n" not in payload:
            super()._message(payload)


class _Speaker(Subscriber):
    """One participant's connection: hears everything, and may SEND."""

    def __init__(self, client: Client, room: int, place: int, *, buffer: memoryview) -> None:
        self.listener = _Ear(room, place, PARTICIPANTS, other=self._frame, own=lambda: None)
        self.acknowledged: dict[str, asyncio.Event] = {}
        super().__init__(client, self.listener, buffer=buffer)

    def _frame(self, opcode: int, payload: bytes) -> None:
        if payload.startswith(b"RECEIPT") and self.joined:
            begin = payload.index(b"\nreceipt-id:") + 12
            self.acknowledged.pop(payload[begin : payload.index(b"\n", begin)].decode()).set()
        else:
            super()._frame(opcode, payload)


class _Desk(Subscriber):
    """The host's private queue: everything is acknowledged, questions are timed."""

    def __init__(self, client: Client, *, buffer: memoryview) -> None:
        self.questions = Timed()
        self._frames = FrameReader(message=self._message, other=self._frame)
        super().__init__(client, self, buffer=buffer)

    def feed(self, chunk: bytes | memoryview) -> None:
        self._frames.feed(chunk)

    def _message(self, payload: bytes) -> None:
        begin = payload.find(b"#?;")
        if begin >= 0:
            self.questions.note(int(payload[begin + 3 :].partition(b";")[0]))
        begin = payload.index(b"\nack:") + 5
        name = payload[begin : payload.index(b"\n", begin)].decode()
        self._transport.write(build(Opcode.TEXT, serialise("ACK", [("id", name)]), mask=MASK))


class GoodRoom:
    """The room, from `join` to `leave`."""

    def __init__(self, site: Site) -> None:
        self._site = site
        buffer = memoryview(bytearray(_BUFFER))
        public = topic(site.good_room)
        self._tokens = {name: site.token(name) for name in members()}
        client = Client("127.0.0.1", site.port, "", "", subscribe=public, destination=public)
        self._speakers = [
            _Speaker(
                replace(client, passcode=self._tokens[participant(place)]),
                site.good_room,
                place,
                buffer=buffer,
            )
            for place in range(PARTICIPANTS)
        ]
        desk = replace(
            client,
            passcode=site.token(HOST, "host"),
            subscribe=queue(site.good_room),
            acknowledge=True,
        )
        self._desk = _Desk(desk, buffer=buffer)
        self._counts = [0] * PARTICIPANTS
        self._asked = 0
        self._posts = Timed()
        self._entries = Timed()
        self._wrong: list[tuple[int, str]] = []
        self._going: list[asyncio.Task[None]] = []

    async def join(self) -> None:
        """Connect everybody, and begin to speak. Raises `OSError` or `TimeoutError`."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(_PATIENCE):
            for each in (*self._speakers, self._desk):
                await loop.create_connection(
                    lambda each=each: each, "127.0.0.1", self._site.port, ssl=self._site.context
                )
                await each.ready
        begin = time.monotonic_ns()
        share = _INTERVAL / PARTICIPANTS
        speaking = [
            self._every(_INTERVAL, begin + int(place * share * _NANO), self._speech(place))
            for place in range(PARTICIPANTS)
        ]
        others = [
            self._every(_QUESTIONS, begin, self._question()),
            self._every(_NEWCOMERS, begin, self._enter),
            self._every(_READINESS, begin, self._look_at_readiness),
        ]
        self._going = [asyncio.create_task(each) for each in (*speaking, *others)]

    async def experience(self, begin: int, end: int) -> Experience:
        """What was seen of what began between two moments of the monotonic clock (nanoseconds).
        Waits until all of it has arrived, but not for ever."""
        until = time.monotonic() + _PATIENCE
        while time.monotonic() < until and not self._has_arrived():  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        wrong = Counter(text for moment, text in self._wrong if begin <= moment < end)
        for speaker in self._speakers:
            heard = speaker.listener.heard
            wrong.update(heard.told)
            heard.told.clear()
            if speaker.lost:
                wrong[f"a participant's connection was lost: {speaker.lost}"] += 1
        if self._desk.lost:
            wrong[f"the host's connection was lost: {self._desk.lost}"] += 1
        if not self._has_arrived():
            wrong[f"not everything arrived within {_PATIENCE:.0f} s"] += 1
        return Experience(
            [
                delay
                for speaker in self._speakers
                for delay in Timed(
                    speaker.listener.heard.moments, speaker.listener.heard.delays
                ).between(begin, end)
            ],
            self._posts.between(begin, end),
            self._desk.questions.between(begin, end),
            self._entries.between(begin, end),
            wrong,
        )

    async def leave(self) -> None:
        for task in self._going:
            task.cancel()
        await asyncio.gather(*self._going, return_exceptions=True)
        for each in (*self._speakers, self._desk):
            each.close()

    def _has_arrived(self) -> bool:
        # What is under way now was counted when it was answered.
        return len(self._desk.questions.delays) >= self._asked and all(
            speaker.lost or _at_least(speaker.listener.heard.counts, self._counts)
            for speaker in self._speakers
        )

    async def _every(
        self, interval: float, due: int, action: Callable[[int], Awaitable[None]]
    ) -> None:
        """Do something at a steady rate. What takes longer than the interval delays the next, which
        is then timed from when it was due."""
        while True:
            await asyncio.sleep(max(0.0, (due - time.monotonic_ns()) / _NANO))
            try:
                async with asyncio.timeout(_PATIENCE):
                    await action(due)
            except TimeoutError:
                self._wrong.append((due, f"no answer within {_PATIENCE:.0f} s"))
            except Refused as error:
                self._wrong.append((due, f"refused: {error}"))
            except (OSError, EOFError) as error:
                self._wrong.append((due, f"{type(error).__name__}: {error}"))
            due += int(interval * _NANO)

    def _speech(self, place: int) -> Callable[[int], Awaitable[None]]:
        """What a participant says: by POST on a connection that stays, or by SEND."""
        return self._posting(place) if place % 2 else self._sending(place)

    def _posting(self, place: int) -> Callable[[int], Awaitable[None]]:
        token = self._tokens[participant(place)]
        standing = Persistent(self._site)

        async def speak(due: int) -> None:
            text = said(self._site.good_room, place, self._counts[place] + 1, at=due)
            await self._post(standing, due, token, {"type": "chat", "body": text.decode()})
            self._counts[place] += 1

        return speak

    def _sending(self, place: int) -> Callable[[int], Awaitable[None]]:
        speaker = self._speakers[place]

        async def speak(due: int) -> None:
            if speaker.lost:
                return
            text = said(self._site.good_room, place, self._counts[place] + 1, at=due)
            receipt = f"{place}-{due}"
            acknowledged = speaker.acknowledged[receipt] = asyncio.Event()
            headers = [("destination", topic(self._site.good_room)), ("type", "chat")]
            headers += [("content-type", "text/plain"), ("receipt", receipt)]
            speaker.send("SEND", headers, text)
            await acknowledged.wait()
            self._posts.note(due)
            self._counts[place] += 1

        return speak

    def _question(self) -> Callable[[int], Awaitable[None]]:
        """A private message to the host."""
        token = self._tokens[participant(0)]
        standing = Persistent(self._site)

        async def ask(due: int) -> None:
            message = {"type": "chat", "audience": str(Audience.PRIVATE), "body": f"#?;{due};"}
            await self._post(standing, due, token, message)
            self._asked += 1

        return ask

    async def _post(
        self, standing: Persistent, due: int, token: str, message: Mapping[str, str]
    ) -> None:
        """Raises `Refused` unless it is taken."""
        path = f"/api/rooms/{self._site.good_room}/messages"
        answer = await standing.ask("POST", path, token=token, body=message)
        if answer.status not in (201, 202):
            raise Refused(f"POST {answer.code}")
        self._posts.note(due)

    async def _enter(self, due: int) -> None:
        """Somebody comes in by a page, which is loaded as somebody unknown, at an address that the
        flood may share; the page has credentials in its handshake."""
        async with await Http.open(self._site) as http:
            page = await http.ask("GET", "/")
        if page.status != 200:
            raise Refused(f"GET / {page.code}")
        async with connected(self._site, self._tokens[_NEWCOMER]) as socket:
            await socket.subscribe(topic(self._site.good_room))
            self._entries.note(due)
            socket.send("DISCONNECT", {"receipt": "bye"})
            await socket.until(b"RECEIPT")

    async def _look_at_readiness(self, due: int) -> None:
        """What a load balancer asks, on a connection of its own."""
        async with await Http.open(self._site) as http:
            answer = await http.ask("GET", "/readyz")
        if answer.status != 200:
            raise Refused(f"/readyz {answer.status}")


def _at_least(counts: Sequence[int], wanted: Sequence[int]) -> bool:
    return all(count >= least for count, least in zip(counts, wanted, strict=True))
