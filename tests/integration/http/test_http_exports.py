"""``/api/rooms/{room}/export/…``: what remains of a lesson, for its hosts."""

from __future__ import annotations

import asyncio
import csv
import logging
import re
import time
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any
from urllib.parse import unquote
from uuid import uuid4

import pytest
from tornado.httpclient import HTTPRequest
from tornado.simple_httpclient import HTTPStreamClosedError, SimpleAsyncHTTPClient

from broker.topology import Audience, Stream
from gateway.assembly import Gateway
from gateway.budget.table import EXPORTS, Scope
from gateway.config import Config
from gateway.domain.identity import Identity
from gateway.domain.message import Draft
from gateway.domain.room import MemberRole
from gateway.domain.stay import Stay
from gateway.errors import Refused, StoreUnavailable
from gateway.http.listeners import Listener
from gateway.reports import reading
from gateway.reports.cells import Style
from gateway.reports.exports import Kind
from gateway.reports.words import WORDS
from gateway.store import Store
from tests.integration.http.conftest import Call, token
from tests.integration.http.edge.clients import until

HOST, PARTICIPANT = MemberRole.HOST, MemberRole.PARTICIPANT
NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
TABLES = ("attendance.csv", "polls.csv", "questions.csv", "messages.csv", "page.html")


async def say(call: Call, room: str, user: str, body: Any, **rest: Any) -> str:
    answer = await call("POST", f"{room}/messages", user=user, json={"body": body, **rest})
    assert answer.status in (201, 202), answer.body
    id: str = answer.json["id"]
    return id


async def table(call: Call, room: str, name: str, query: str = "") -> list[list[str]]:
    answer = await call("GET", f"{room}/export/{name}{query}", user="anna")
    assert answer.status == 200, answer.body
    assert answer.headers["Content-Type"].startswith("text/csv")
    assert answer.headers["Cache-Control"] == "no-store"
    text = answer.body.decode()
    assert text.startswith("\ufeff")
    return list(csv.reader(StringIO(text[1:], newline="")))


@pytest.mark.gen_test
async def test_everything_that_was_said_is_there_in_words(call: Call, room: str) -> None:
    await say(call, room, "bob", {"text": "안녕하세요"})
    await say(call, room, "bob", "=cmd|' /C calc'!A1", audience="private", type="question")
    head, *rows = await table(call, room, "messages.csv", "?language=ko&zone=Asia/Seoul")
    assert head == "대상 순번 시각 (Asia/Seoul)|사용자|이름|역할|유형|내용|비고".replace(
        " 순번 ", "|순번|"
    ).split("|")
    assert [row[:2] + row[3:] for row in rows] == [
        ["전체", "1", "bob", "", "참가자", "메시지", "안녕하세요", ""],
        ["진행자", "1", "bob", "", "참가자", "질문", "'=cmd|' /C calc'!A1", ""],
    ]
    said_at = datetime.fromisoformat(rows[0][2])
    here = datetime.now(UTC).replace(tzinfo=None) + timedelta(hours=9)
    assert abs(said_at - here) < timedelta(minutes=1)


@pytest.mark.gen_test
async def test_what_the_pages_say_to_each_other_is_told_in_words(call: Call, room: str) -> None:
    asked = {"question": "Why?", "options": ["yes", "no"]}
    await say(call, room, "anna", asked, type="poll", keep="poll:7")
    await say(call, room, "anna", {"until": None, "hidden": False}, type="voting", keep="voting:7")
    vote = {"type": "vote", "audience": "private", "keep": "vote:7"}
    await say(call, room, "bob", {"poll": "7", "option": 1}, **vote)
    await say(call, room, "anna", {"chat": False, "slow": 300}, type="settings", keep="settings")
    _, *rows = await table(call, room, "messages.csv", "?language=ko")
    assert [row[6:8] for row in rows] == [
        ["투표", "Why? — yes / no"],
        ["응답 시간", "응답을 받습니다."],
        ["방의 질서", "진행자만 모두에게 쓸 수 있음; 한 사람이 5분에 한 번 쓸 수 있음"],
        ["투표 응답", "Why? — no"],
    ]


@pytest.mark.gen_test
async def test_polls_and_questions_have_their_answers(call: Call, room: str) -> None:
    options = {"question": "Why?", "options": ["yes", "no"]}
    poll = await say(call, room, "anna", options, type="poll")
    for option in (0, 1):
        chosen = {"poll": poll, "option": option}
        await say(call, room, "bob", chosen, type="vote", audience="private")
    await say(call, room, "anna", {**options, "poll": poll, "totals": [0, 1]}, type="poll-closed")
    asked = await say(call, room, "bob", {"text": "when?"}, type="question", audience="private")
    answer = {"text": "at noon", "question": asked, "quote": "when?"}
    await say(call, room, "anna", answer, type="answer")
    _, (*vote, voted_at, note) = await table(call, room, "polls.csv")
    assert (vote, note) == (["1", "Why?", "bob", "", "no"], "")
    datetime.fromisoformat(voted_at)
    _, row = await table(call, room, "questions.csv", "?language=en")
    assert row[2:8] == ["bob", "", "when?", "answered", "at noon", "anna"]
    page = await call("GET", f"{room}/export/page.html", user="anna")
    text = page.body.decode()
    for words in ("Maths", "Why?", "at noon", "“when?” — at noon", '<td class="number">1</td>'):
        assert words in text, words


@pytest.mark.gen_test
async def test_attendance_outlives_the_membership(
    call: Call, room: str, store: Store, gateway: Gateway
) -> None:
    await store.name_members("bob", "Bob B.")
    minutes = [timedelta(minutes=each) for each in (0, 30, 40, 50)]
    came, left, again, gone = (NOON + each for each in minutes)
    await store.note_stays([Stay(1, "bob", PARTICIPANT, came, left, left)])
    await store.note_stays([Stay(1, "bob", PARTICIPANT, again, None, gone)])
    await call("DELETE", f"{room}/members/bob", user="anna")
    _, *rows = await table(call, room, "attendance.csv", "?language=en")
    role = ["bob", "Bob B.", "Participant"]
    assert rows == [
        [*role, "2026-05-04 12:00:00", "2026-05-04 12:30:00", "30", ""],
        [*role, "2026-05-04 12:40:00", "2026-05-04 12:50:00", "10", "last seen then"],
    ]


@pytest.mark.gen_test
async def test_a_closed_room_can_be_exported(call: Call, room: str) -> None:
    await say(call, room, "bob", "hi")
    await call("DELETE", room, user="anna")
    assert len(await table(call, room, "messages.csv")) == 2


@pytest.mark.gen_test
@pytest.mark.parametrize("name", TABLES)
async def test_only_hosts_get_it(call: Call, room: str, name: str) -> None:
    path = f"{room}/export/{name}"
    assert (await call("GET", path)).problem == (401, "not_authenticated")
    for user in ("bob", "mallory"):
        assert (await call("GET", path, user=user)).problem == (403, "access_refused")
    assert (await call("GET", path, user="root", roles=("admin",))).status == 200
    unknown = path.replace(room, "/api/rooms/99")
    assert (await call("GET", unknown, user="anna")).problem == (404, "unknown_room")


@pytest.mark.gen_test
@pytest.mark.parametrize(
    "query",
    [
        "zone=Nowhere/There",
        "zone=../../etc/passwd",
        "zone=/etc/passwd",
        "language=de",
        "separator=;",
        "x=1",
    ],
)
async def test_a_query_that_makes_no_sense_is_refused(call: Call, room: str, query: str) -> None:
    answer = await call("GET", f"{room}/export/polls.csv?{query}", user="anna")
    assert answer.problem == (400, "invalid_request")


@pytest.mark.gen_test
async def test_the_file_is_named_by_the_room_s_title_in_the_readers_language(
    call: Call, room: str
) -> None:
    await call("PATCH", room, user="anna", json={"title": '중1 "과학" ../7b\r\nX: y'})
    headers = {"Accept-Language": "ko-KR,ko;q=0.9,en;q=0.8"}
    answer = await call("GET", f"{room}/export/polls.csv", user="anna", headers=headers)
    named = answer.headers["Content-Disposition"]
    plain, full = named.removeprefix("attachment; ").split("; ")
    assert plain == 'filename="room-1-polls.csv"'
    assert unquote(full.removeprefix("filename*=UTF-8''")) == "중1 과학 .. 7b X y 투표.csv"


@pytest.mark.gen_test
async def test_the_page_runs_and_loads_nothing_whatever_was_said(
    call: Call, room: str, store: Store
) -> None:
    for text in ("<script>alert(1)</script>", "</td></table><b>", "a\ud800b"):
        stream = Stream(Audience.PUBLIC, 1)
        await store.append([Draft(uuid4(), stream, "bob", NOON, "message", text, PARTICIPANT)])
    answer = await call("GET", f"{room}/export/page.html", user="anna")
    policy = answer.headers["Content-Security-Policy"]
    assert re.match(r"default-src 'none'; style-src 'sha256-[\w+/=]+'; ", policy)
    text = answer.body.decode()
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert text.count("</table>") == text.count("<table>") == 4
    assert text.endswith("</html>\n")


async def fill(store: Store, audience: Audience, count: int) -> None:
    stream = Stream(audience, 1)
    for start in range(0, count, 500):
        drafts = [
            Draft(uuid4(), stream, "bob", NOON, "message", {"text": f"no. {number}"}, PARTICIPANT)
            for number in range(start, min(start + 500, count))
        ]
        await store.append(drafts)


@pytest.mark.gen_test
async def test_a_long_talk_comes_in_pages_and_is_whole(call: Call, room: str, store: Store) -> None:
    await fill(store, Audience.PUBLIC, 2 * reading.PAGE)
    await fill(store, Audience.PRIVATE, reading.PAGE + 1)
    _, *rows = await table(call, room, "messages.csv", "?language=en")
    assert [(row[0], int(row[1])) for row in rows] == [
        *(("everyone", seq + 1) for seq in range(2 * reading.PAGE)),
        *(("hosts", seq + 1) for seq in range(reading.PAGE + 1)),
    ]
    assert rows[reading.PAGE][-2] == f"no. {reading.PAGE}"


def style() -> Style:
    return Style(WORDS["en"], UTC)


@pytest.mark.gen_test
async def test_what_is_said_meanwhile_is_not_waited_for(
    call: Call, room: str, store: Store, gateway: Gateway
) -> None:
    await fill(store, Audience.PUBLIC, reading.PAGE)
    anna = Identity("anna", frozenset(), 2.0**40)
    async with aclosing(gateway.services.exports.csv(anna, 1, Kind.MESSAGES, style())) as parts:
        count = 0
        async for part in parts:
            count += part.count(b"\r\n")
            if b"no. 0" in part:
                await fill(store, Audience.PUBLIC, reading.PAGE)
    assert count == 1 + reading.PAGE


@pytest.mark.gen_test
async def test_an_export_ends_when_its_reader_is_no_host_any_more(
    call: Call, room: str, store: Store, gateway: Gateway
) -> None:
    await call("PUT", f"{room}/members/carol", user="anna", json={"role": "host"})
    await fill(store, Audience.PUBLIC, 2 * reading.PAGE)
    carol = Identity("carol", frozenset(), 2.0**40)
    parts = gateway.services.exports.csv(carol, 1, Kind.MESSAGES, style())
    assert await anext(parts)
    assert b"no. 0" in await anext(parts)
    await call("DELETE", f"{room}/members/carol", user="anna")
    with pytest.raises(Exception, match="not a member"):
        await anext(parts)
    assert gateway.budgets.cap(EXPORTS).taken(Scope.ALL) == 0


@pytest.mark.gen_test
async def test_nothing_is_read_for_somebody_who_lost_the_role_while_waiting_for_a_turn(
    call: Call, room: str, store: Store, gateway: Gateway
) -> None:
    await call("PUT", f"{room}/members/carol", user="anna", json={"role": "host"})
    await fill(store, Audience.PUBLIC, 2)
    carol = Identity("carol", frozenset(), 2.0**40)
    turns = gateway.services.history.turns
    parts = gateway.services.exports.csv(carol, 1, Kind.MESSAGES, style())
    assert await anext(parts)
    async with turns.turn("x"), turns.turn("y"):
        page = asyncio.ensure_future(anext(parts))
        await until(lambda: turns.in_hand == 3)
        await call("DELETE", f"{room}/members/carol", user="anna")
    with pytest.raises(Refused, match="not a member"):
        await page


@pytest.mark.gen_test
async def test_an_export_ends_with_its_readers_token(
    room: str,
    store: Store,
    public: Listener,
    settings: Config,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await fill(store, Audience.PUBLIC, reading.PAGE + 1)
    read, ends = store.read_into, time.time() + 2.0

    async def slow(*args: Any, after: int, **rest: Any) -> Any:
        if after:
            await until(lambda: time.time() > ends)
        return await read(*args, after=after, **rest)

    monkeypatch.setattr(store, "read_into", slow)
    bearer = {"Authorization": f"Bearer {token(settings, 'anna', lifetime=2.0)}"}
    request = HTTPRequest(f"{public.url}{room}/export/messages.csv", headers=bearer)
    told: list[bytes] = []
    request.streaming_callback = told.append
    with pytest.raises(HTTPStreamClosedError):
        await SimpleAsyncHTTPClient(force_instance=True).fetch(request)
    said = b"".join(told)
    assert b"no. 0" in said
    assert f"no. {reading.PAGE}".encode() not in said


@pytest.mark.gen_test
async def test_an_answer_that_breaks_off_is_not_taken_for_a_whole_one(
    room: str,
    store: Store,
    gateway: Gateway,
    public: Listener,
    settings: Config,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await fill(store, Audience.PUBLIC, 2 * reading.PAGE)
    read = store.read_into

    async def fails(*args: Any, after: int, **rest: Any) -> Any:
        if after:
            raise StoreUnavailable("the database is away")
        return await read(*args, after=after, **rest)

    monkeypatch.setattr(store, "read_into", fails)
    host, _, port = public.url.rpartition("/")[2].partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        f"GET {room}/export/messages.csv HTTP/1.1\r\nHost: x\r\n"
        f"Authorization: Bearer {token(settings, 'anna')}\r\n\r\n".encode()
    )
    with caplog.at_level(logging.WARNING):
        answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"no. 0" in answer
    # No last chunk: the client knows that something is missing.
    assert not answer.endswith(b"0\r\n\r\n")
    assert "cut off" in caplog.text
    assert gateway.budgets.cap(EXPORTS).taken(Scope.ALL) == 0


@pytest.mark.gen_test
async def test_an_error_before_the_first_part_is_an_answer_like_all_others(
    call: Call, room: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(_: int) -> Any:
        raise StoreUnavailable("the database is away")

    monkeypatch.setattr(store, "room", fails)
    answer = await call("GET", f"{room}/export/page.html", user="anna")
    assert answer.problem == (503, "store_unavailable")
    assert "Content-Disposition" not in answer.headers
