"""``/api/rooms/{room}/events``: a topic as server-sent events, from the request to its end."""

from __future__ import annotations

import asyncio
import json as jsons
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID

import pytest

from broker.topology import Audience, Stream
from gateway.assembly import Gateway
from gateway.config import Config
from gateway.domain.message import Message
from gateway.drain import Drain
from gateway.errors import Kicked, StoreUnavailable
from gateway.http.listeners import Listener
from gateway.limits import LiveLimits
from gateway.live.client import event_follower
from gateway.live.client.event_follower import EventFollower
from gateway.live.hub import topic
from gateway.store import Store
from tests.event_stream_parser import Event, parse
from tests.fake_feeds import FakeFeeds
from tests.integration.http.conftest import ORIGIN, Answer, Call, token
from tests.integration.http.edge.clients import until
from tests.unit.live.fakes import foreign, published

KEY = "acdm.mo.interact.public.1"
STREAM = Stream(Audience.PUBLIC, 1)


@dataclass
class Follower:
    """A client that reads an event stream."""

    status: int
    headers: dict[str, str]
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    chunked: bool
    chunks: list[bytes] = field(default_factory=list)
    _rest: bytes = b""

    async def chunk(self) -> bytes:
        """The next part of the body; empty at its orderly end."""
        if not self.chunked:
            return await self.reader.read(65_536)
        size = int((await self.reader.readuntil(b"\r\n"))[:-2], 16)
        data = await self.reader.readexactly(size + 2)
        assert data.endswith(b"\r\n")
        self.chunks.append(data[:-2])
        return data[:-2]

    async def event(self) -> Event:
        """The next event; comments are passed over."""
        async with asyncio.timeout(10):
            while True:
                whole, end, rest = self._rest.partition(b"\n\n")
                if end:
                    self._rest = rest
                    if found := list(parse(whole + end)):
                        return found[0]
                else:
                    data = await self.chunk()
                    assert data, "the stream has ended"
                    self._rest += data

    async def message(self) -> dict[str, Any]:
        event = await self.event()
        assert event.name == "message", event
        said: dict[str, Any] = jsons.loads(event.data)
        if said["seq"] is not None:
            assert event.id == str(said["seq"])
        return said

    async def seqs(self, count: int) -> list[int]:
        """Those of the next messages; a ``joined`` in between does not count."""
        found: list[int] = []
        while len(found) < count:
            event = await self.event()
            if event.name != "joined":
                found.append(jsons.loads(event.data)["seq"])
        return found

    async def end(self) -> dict[str, Any]:
        """What the event ``end`` says; nothing comes behind it."""
        while (event := await self.event()).name != "end":
            pass
        async with asyncio.timeout(10):
            assert await self.chunk() == b""
            assert await self.reader.read() == b""
        told: dict[str, Any] = jsons.loads(event.data)
        assert set(told) == {"code", "reason", "retry"}
        assert event.retry == told["retry"] or told["retry"] is None
        return told


Follow = Callable[..., AbstractAsyncContextManager[Follower]]


@pytest.fixture
def follow(public: Listener, settings: Config, room: str, gateway: Gateway) -> Follow:
    """Follows the room: as ``user``, or with the ``headers`` given."""
    cast("FakeFeeds", gateway.live.hub._feeds).at_once = True

    @asynccontextmanager
    async def open_(
        user: str | None = "bob",
        *,
        query: str = "",
        headers: dict[str, str] | None = None,
        version: str = "HTTP/1.1",
        small: bool = False,
    ) -> AsyncIterator[Follower]:
        sent = {"Host": "x"} | (headers or {})
        if user is not None:
            sent["Authorization"] = f"Bearer {token(settings, user)}"
        end = socket.socket()
        if small:
            end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        end.setblocking(False)
        await asyncio.get_running_loop().sock_connect(end, ("127.0.0.1", public.port))
        reader, writer = await asyncio.open_connection(sock=end, limit=2**22)
        lines = [f"GET {room}/events{query} {version}", *(f"{n}: {v}" for n, v in sent.items())]
        writer.write("\r\n".join([*lines, "", ""]).encode())
        async with asyncio.timeout(10):
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        pairs = (line.split(": ", 1) for line in head[1:] if line)
        given = {name.lower(): value for name, value in pairs}
        try:
            chunked = given.get("transfer-encoding") == "chunked"
            yield Follower(int(head[0].split()[1]), given, reader, writer, chunked)
        finally:
            writer.close()

    return open_


Say = Callable[..., Awaitable[int]]


@pytest.fixture
def say(call: Call, room: str, limits: LiveLimits) -> Say:
    quick = dict.fromkeys(("posts_per_second", "posts_burst"), 1_000_000)
    limits.now = limits.now.model_copy(update=quick)

    async def post(body: Any = "x", *, audience: str = "public", user: str = "anna") -> int:
        json = {"body": body, "audience": audience}
        answer = await call("POST", f"{room}/messages", user=user, json=json)
        assert answer.status == 201, answer.body
        seq: int = answer.json["seq"]
        return seq

    return post


async def refused(follower: Follower) -> tuple[int, str]:
    async with asyncio.timeout(10):
        body = await follower.reader.readexactly(int(follower.headers["content-length"]))
    assert follower.headers["content-type"] == "application/problem+json"
    return follower.status, jsons.loads(body)["code"]


def followers(gateway: Gateway) -> list[EventFollower]:
    return [each for each in gateway.live.registry if isinstance(each, EventFollower)]


@pytest.mark.gen_test
async def test_a_follower_gets_what_is_said_from_now_on_as_the_history_has_it(
    follow: Follow, say: Say, call: Call, room: str
) -> None:
    await say("before")
    async with follow() as bob:
        assert bob.status == 200
        assert await bob.event() == Event("joined", '{"seq": 1}', id="1", retry=2000)
        await say({"text": "안녕\n"})
        event = await bob.event()
        stored = (await call("GET", f"{room}/messages?after=1", user="bob")).json["messages"]
        assert (event.name, event.id) == ("message", "2")
        assert jsons.loads(event.data) == stored[0]


@pytest.mark.gen_test
async def test_nobody_on_the_way_may_keep_compress_or_gather_it(follow: Follow) -> None:
    async with follow(headers={"Origin": ORIGIN}) as bob:
        assert bob.headers["content-type"] == "text/event-stream"
        assert bob.headers["cache-control"] == "no-store, no-transform"
        assert bob.headers["x-accel-buffering"] == "no"
        assert bob.headers["x-content-type-options"] == "nosniff"
        assert bob.headers["transfer-encoding"] == "chunked"
        assert bob.headers["connection"] == "close"
        assert len(bob.headers["x-request-id"]) == 12
        assert bob.headers["access-control-allow-origin"] == ORIGIN
        assert bob.headers["vary"] == "Origin"


@pytest.mark.gen_test
async def test_a_client_that_comes_back_gets_what_it_missed_and_goes_on(
    follow: Follow, say: Say
) -> None:
    for _ in range(300):
        await say()
    async with follow(headers={"Last-Event-ID": "2"}, query="?after=1") as bob:
        speaking = asyncio.gather(*(say() for _ in range(20)))
        assert await bob.seqs(318) == list(range(3, 321))
        await speaking


@pytest.mark.gen_test
async def test_the_place_of_a_client_that_resumes_is_never_moved_back(
    follow: Follow, say: Say
) -> None:
    await say()
    await say()
    async with follow(query="?after=0") as bob:
        assert await bob.seqs(2) == [1, 2]
        assert await bob.event() == Event("joined", '{"seq": 0}', retry=2000)


@pytest.mark.gen_test
async def test_an_older_proxy_gets_the_same_without_chunks(follow: Follow, say: Say) -> None:
    async with follow(version="HTTP/1.0") as bob:
        assert "transfer-encoding" not in bob.headers
        await bob.event()
        await say("one")
        assert (await bob.message())["body"] == "one"


@pytest.mark.gen_test
async def test_what_no_member_said_is_told_apart(follow: Follow, gateway: Gateway) -> None:
    feeds = cast("FakeFeeds", gateway.live.hub._feeds)
    async with follow() as bob:
        await bob.event()
        forged = b'{"id":"x","room":1,"audience":"public","seq":9,"sender":"anna"}'
        feeds.bring(0, KEY, foreign(forged, ("Sender ", "anna"), ("seq", "9")))
        feeds.bring(0, KEY, foreign(b"\xff not text"))
        instant = Message(stream=STREAM, **(_instant()))
        feeds.bring(0, KEY, published(instant, instant=True))
        assert await bob.event() == Event("other", forged.decode())
        said = await bob.event()
        assert (said.name, said.id) == ("message", None)
        assert jsons.loads(said.data)["body"] == "clap"


def _instant() -> dict[str, Any]:
    return {
        "id": UUID(int=5),
        "seq": None,
        "sender": "anna",
        "sent_at": datetime(2026, 1, 2, tzinfo=UTC),
        "type": "clap",
        "body": "clap",
    }


@pytest.mark.gen_test
async def test_all_followers_share_what_was_built_once(
    follow: Follow, say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[int | None] = []
    encode = event_follower.EventForm.encode

    def counted(self: event_follower.EventForm, delivery: Any) -> bytes:
        built.append(delivery.seq)
        return encode(self, delivery)

    monkeypatch.setattr(event_follower.EventForm, "encode", counted)
    async with follow() as bob, follow("anna") as anna:
        await bob.event()
        await anna.event()
        await say("x")
        assert await bob.event() == await anna.event()
    assert built == [1]


@pytest.mark.gen_test
async def test_a_quiet_room_is_heard_by_comments(
    follow: Follow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_follower, "HEART_BEAT", 0.3)
    monkeypatch.setattr(event_follower, "_LOOK", 0.1)
    async with follow() as bob:
        await bob.event()
        async with asyncio.timeout(10):
            assert [await bob.chunk(), await bob.chunk()] == [b":\n\n"] * 2


@pytest.mark.gen_test
async def test_the_private_topic_is_for_hosts(follow: Follow, say: Say) -> None:
    async with follow(query="?audience=private") as bob:
        assert await refused(bob) == (403, "access_refused")
    async with follow("anna", query="?audience=private") as anna:
        await anna.event()
        await say("a question", audience="private", user="bob")
        assert (await anna.message())["body"] == "a question"


@pytest.mark.parametrize(
    ("user", "asks", "expected"),
    [
        (None, {}, (401, "not_authenticated")),
        ("carla", {}, (403, "access_refused")),
        ("bob", {"headers": {"Origin": "https://evil.example"}}, (403, "origin_refused")),
        ("bob", {"headers": {"Sec-Fetch-Site": "cross-site"}}, (403, "origin_refused")),
        ("bob", {"headers": {"Sec-Fetch-Site": "same-site"}}, (403, "origin_refused")),
        ("bob", {"headers": {"Last-Event-ID": "-1"}}, (400, "invalid_request")),
        ("bob", {"query": "?after=x"}, (400, "invalid_request")),
        ("bob", {"query": "?audience=everybody"}, (400, "invalid_request")),
        ("bob", {"query": "?after=7"}, (400, "invalid_request")),
        ("bob", {"query": "?identity=another"}, (410, "room_replaced")),
    ],
)
@pytest.mark.gen_test
async def test_whatever_cannot_be_followed_is_refused_with_a_status(
    user: str | None, asks: dict[str, Any], expected: tuple[int, str], follow: Follow
) -> None:
    async with follow(user, **asks) as follower:
        assert await refused(follower) == expected


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "same-origin"},
        # Somebody who has typed the address.
        {"Sec-Fetch-Site": "none"},
        {"Sec-Fetch-Site": "cross-site", "Origin": ORIGIN},
    ],
)
@pytest.mark.gen_test
async def test_an_own_or_an_allowed_page_may_follow(
    headers: dict[str, str], follow: Follow
) -> None:
    async with follow(headers=headers) as bob:
        assert bob.status == 200


@pytest.mark.gen_test
async def test_without_the_history_nothing_is_begun(
    follow: Follow, store: Store, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: Any, **__: Any) -> Any:
        raise StoreUnavailable("the database is away")

    monkeypatch.setattr(topic, "_STORE_WITHIN", 0.0)
    monkeypatch.setattr(store, "read", away)
    async with follow() as bob:
        assert await refused(bob) == (503, "store_unavailable")
        assert int(bob.headers["retry-after"]) >= 1
    await until(lambda: not len(gateway.live.registry))


@pytest.mark.gen_test
async def test_a_room_that_is_closed_has_ended_for_good(
    follow: Follow, call: Call, room: str
) -> None:
    async with follow() as bob:
        await bob.event()
        assert (await call("DELETE", room, user="anna")).status in (202, 204)
        told = await bob.end()
        assert (told["code"], told["retry"]) == ("room_closed", None)
    async with follow() as bob:
        assert await refused(bob) == (410, "room_closed")


@pytest.mark.gen_test
async def test_a_removed_member_is_told_at_once(
    follow: Follow, call: Call, room: str, gateway: Gateway
) -> None:
    async with follow() as bob, follow("anna") as anna:
        await bob.event()
        await anna.event()
        async with asyncio.timeout(20):
            assert (await call("DELETE", f"{room}/members/bob", user="anna")).status == 204
            told = (await bob.event()).data
        assert jsons.loads(told)["code"] == "removed"
        await until(lambda: [each.user for each in followers(gateway)] == ["anna"])


@pytest.mark.gen_test
async def test_a_logout_ends_what_the_login_has_opened(
    follow: Follow, call: Call, settings: Config
) -> None:
    login = await call("POST", "/api/session", json={"token": token(settings, "bob")})
    cookie = {"Cookie": login.headers["Set-Cookie"].partition(";")[0]}
    async with follow(None, headers=cookie) as bob:
        await bob.event()
        async with asyncio.timeout(20):
            assert (await call("DELETE", "/api/session", headers=cookie)).status == 204
            told = jsons.loads((await bob.event()).data)
        assert (told["code"], told["retry"]) == ("session_ended", None)


@pytest.mark.gen_test
async def test_a_token_that_ends_ends_it(follow: Follow, settings: Config) -> None:
    short = {"Authorization": f"Bearer {token(settings, 'bob', lifetime=2.0)}"}
    async with follow(None, headers=short) as bob:
        await bob.event()
        told = await bob.end()
        assert (told["code"], told["retry"]) == ("token_expired", None)


@pytest.mark.gen_test
async def test_an_admin_sees_it_and_ends_it(follow: Follow, call: Call, gateway: Gateway) -> None:
    async with follow() as bob:
        await bob.event()
        page = await call("GET", "/api/admin/connections", user="root", roles=("admin",))
        (row,) = page.json["connections"]
        assert (row["user"], row["rooms"], row["node"]) == ("bob", [1], None)
        assert row["frames_out"] == 1
        assert gateway.live.registry.end_user("bob", Kicked("an admin has ended this")) == 1
        assert (await bob.end())["code"] == "kicked"


@pytest.mark.gen_test
async def test_a_gateway_that_leaves_sends_it_away_for_a_while(
    follow: Follow, gateway: Gateway, drain: Drain
) -> None:
    async with follow() as bob:
        await bob.event()
        drain.begin("a test")
        await drain.move_off(gateway.live.registry)
        told = await bob.end()
        assert told["code"] == "draining"
        assert 1000 <= told["retry"] <= 7000
    async with follow() as bob:
        assert await refused(bob) == (503, "draining")


@pytest.mark.gen_test
async def test_it_counts_as_a_connection_of_its_user(
    follow: Follow, tables: dict[str, Any], limits: LiveLimits
) -> None:
    limits.now = limits.now.model_copy(update={"connections_per_user": 1})
    async with follow() as bob:
        await bob.event()
        async with follow() as again:
            assert await refused(again) == (429, "too_many_of_user")
        async with follow("anna") as anna:
            assert anna.status == 200


@pytest.mark.gen_test
async def test_one_user_follows_a_topic_only_so_often(follow: Follow, limits: LiveLimits) -> None:
    limits.now = limits.now.model_copy(update={"copies_per_user": 1})
    for _ in range(3):
        # A place comes back with the end of the one before.
        async with follow() as bob:
            await bob.event()
            async with follow() as again:
                assert await refused(again) == (429, "too_many_copies")


@pytest.mark.parametrize("way", ["closes", "half-closes"])
@pytest.mark.gen_test
async def test_a_client_that_goes_is_noticed(way: str, follow: Follow, gateway: Gateway) -> None:
    async with follow() as bob:
        await bob.event()
        assert len(gateway.live.registry) == 1
        assert gateway.live.attendance.rooms == [1]
        if way == "closes":
            bob.writer.close()
        else:
            bob.writer.write_eof()
        await until(lambda: not len(gateway.live.registry))
        assert gateway.live.attendance.rooms == []
        assert not any(len(each.broadcaster) for each in gateway.live.hub)


@pytest.mark.gen_test
async def test_a_client_that_vanishes_is_given_up_by_the_kernel(
    follow: Follow, gateway: Gateway
) -> None:
    async with follow() as bob:
        await bob.event()
        (follower,) = followers(gateway)
        seconds = follower.writer._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
        assert seconds == 1000 * event_follower.VANISHED


@pytest.mark.gen_test
async def test_a_client_that_does_not_read_loses_instant_messages_and_then_its_place(
    follow: Follow, say: Say, gateway: Gateway, limits: LiveLimits
) -> None:
    feeds = cast("FakeFeeds", gateway.live.hub._feeds)
    limits.now = limits.now.model_copy(update={"backlog_bytes": 100_000})
    async with follow(small=True) as slow, follow("anna") as quick:
        await slow.event()
        await quick.event()
        (behind, _) = sorted(followers(gateway), key=lambda each: each.user != "bob")
        while behind.writer.backlog <= 100_000:
            await say("x" * 30_000)
            await quick.message()
        sent = behind.writer.frames_out
        feeds.bring(0, KEY, published(Message(stream=STREAM, **_instant()), instant=True))
        assert (await quick.message())["body"] == "clap"
        assert behind.writer.frames_out == sent
        while behind.is_open:
            await say("x" * 30_000)
            await quick.message()
        # What had waited comes before the end; nothing of it is missing, but the instant one.
        told = await slow.end()
        assert told["code"] == "too_slow"
        assert told["retry"] >= 1000


@pytest.mark.gen_test
async def test_who_may_have_nothing_more_does_not_get_what_waits(
    follow: Follow, say: Say, gateway: Gateway
) -> None:
    async with follow(small=True) as slow:
        await slow.event()
        (follower,) = followers(gateway)
        while follower.writer.backlog < 300_000:
            await say("x" * 30_000)
        waited = follower.writer.backlog
        assert gateway.live.registry.end_user("bob", Kicked("an admin has ended this")) == 1
        assert follower.writer.backlog < waited / 4
        # The frame that had left in part is whole, and the end follows.
        assert (await slow.end())["code"] == "kicked"


@pytest.mark.gen_test
async def test_nothing_may_be_sent_behind_the_request(follow: Follow, gateway: Gateway) -> None:
    async with follow() as bob:
        await bob.event()
        bob.writer.write(b"GET / HTTP/1.1\r\n\r\n")
        bob.writer.write(b"x" * 10_000)
        await until(lambda: not followers(gateway))


@pytest.mark.gen_test
async def test_a_preflight_lets_an_allowed_page_say_where_it_was(call: Call, room: str) -> None:
    answer: Answer = await call("OPTIONS", f"{room}/events", headers={"Origin": ORIGIN})
    assert answer.status == 204
    assert "Last-Event-ID" in answer.headers["Access-Control-Allow-Headers"]
    assert answer.headers["Access-Control-Allow-Methods"] == "GET, OPTIONS"


@pytest.mark.gen_test
async def test_a_messages_way_is_found_in_the_log_by_its_id_or_its_stream_and_number(
    follow: Follow, call: Call, room: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    async with follow() as client:
        assert (await client.event()).name == "joined"
        answer = await call("POST", f"{room}/messages", user="anna", json={"body": "hello"})
        assert (await client.message())["seq"] == 1
        request = answer.headers["X-Request-Id"]
        path = f"/api/admin/messages/{request}"
        (found,) = (await call("GET", path, user="olga", roles=("observer",))).json["messages"]
    (passage,) = found["gateways"]
    assert (found["id"], passage["posts"][0]["request"]) == (answer.json["id"], request)
    assert (passage["delivered"], passage["subscribers"]) == (True, 1)
    said = [each.getMessage() for each in caplog.records]
    id = answer.json["id"]
    way = [
        f"message public.1/1 is delivered to 1 subscribers; its id is {id}",
        f"message public.1/1 is published: RabbitMQ has confirmed it; its id is {id}",
        f"message public.1/1 is stored; its id is {id}",
    ]
    assert sorted(line for line in said if "message public.1/1 " in line) == way
    assert sorted(line for line in said if id in line) == way
    # A message's body is in no line.
    assert not any("hello" in line for line in said)
