"""``/api/rooms/{room}/messages``: the message pipeline and the sync."""

from __future__ import annotations

import asyncio
import json as jsons
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest

from broker.topology import Audience, Stream
from gateway.assembly import Gateway
from gateway.domain.message import Draft
from gateway.limits import LiveLimits
from gateway.messages.history_reads import HistoryReads
from gateway.store import Store
from tests.integration.http.conftest import Answer, Call, FakeBroker

ID = "0d6f7b9e-58a1-4a5c-9d59-6a7a5e1f0c11"


@pytest.mark.gen_test
async def test_a_message_is_stored_published_and_answered_with_its_number(
    call: Call, room: str, broker: FakeBroker
) -> None:
    answer = await call("POST", f"{room}/messages", user="bob", json={"body": {"text": "안녕"}})
    assert answer.status == 201
    assert set(answer.json) == {"id", "seq", "sent_at", "published"}
    assert (answer.json["seq"], answer.json["published"]) == (1, True)
    UUID(answer.json["id"])
    (publication,) = broker.published
    assert publication.routing_key == "acdm.mo.interact.public.1"
    assert publication.message_id == answer.json["id"]
    sync = await call("GET", f"{room}/messages", user="anna")
    (message,) = sync.json["messages"]
    assert jsons.loads(publication.body) == message
    assert message == {
        "id": answer.json["id"],
        "room": 1,
        "audience": "public",
        "seq": 1,
        "sender": "bob",
        "role": "participant",
        "sent_at": answer.json["sent_at"],
        "type": "message",
        "body": {"text": "안녕"},
    }


@pytest.mark.gen_test
async def test_without_the_broker_the_answer_is_202_and_the_message_is_kept(
    call: Call, room: str, broker: FakeBroker
) -> None:
    broker.away = True
    answer = await call("POST", f"{room}/messages", user="bob", json={"body": 1})
    assert (answer.status, answer.json["published"], answer.json["seq"]) == (202, False, 1)
    assert (await call("GET", f"{room}/messages", user="bob")).json["head"] == 1


@pytest.mark.gen_test
async def test_the_same_id_posted_often_is_one_message(
    call: Call, room: str, broker: FakeBroker
) -> None:
    answers = await asyncio.gather(
        *(
            call("POST", f"{room}/messages", user="bob", json={"body": "once", "id": ID})
            for _ in range(20)
        )
    )
    assert {answer.status for answer in answers} == {201}
    assert len({answer.body for answer in answers}) == 1
    assert [publication.message_id for publication in broker.published] == [ID]
    assert (await call("GET", f"{room}/messages", user="bob")).json["head"] == 1


@pytest.mark.parametrize("header", [ID, f'"{ID}"', ID.upper()])
@pytest.mark.gen_test
async def test_the_id_may_come_as_idempotency_key(call: Call, room: str, header: str) -> None:
    answer = await call(
        "POST",
        f"{room}/messages",
        user="bob",
        json={"body": "x"},
        headers={"Idempotency-Key": header},
    )
    assert answer.json["id"] == ID


@pytest.mark.gen_test
async def test_two_different_ids_in_one_request_are_refused(call: Call, room: str) -> None:
    answer = await call(
        "POST",
        f"{room}/messages",
        user="bob",
        json={"body": "x", "id": str(uuid4())},
        headers={"Idempotency-Key": ID},
    )
    assert answer.problem == (400, "invalid_request")


@pytest.mark.gen_test
async def test_an_id_with_other_content_is_refused(call: Call, room: str) -> None:
    await call("POST", f"{room}/messages", user="bob", json={"body": "x", "id": ID})
    for user, other in (("bob", {"body": "y"}), ("bob", {"body": "x", "type": "vote"})):
        answer = await call("POST", f"{room}/messages", user=user, json={"id": ID, **other})
        assert answer.problem == (422, "id_reused")
    answer = await call("POST", f"{room}/messages", user="anna", json={"body": "x", "id": ID})
    assert answer.problem == (422, "id_reused")


@pytest.mark.gen_test
async def test_an_instant_message_has_no_number_and_no_history(
    call: Call, room: str, broker: FakeBroker
) -> None:
    answer = await call(
        "POST", f"{room}/messages", user="bob", json={"body": "typing", "importance": "instant"}
    )
    assert (answer.status, answer.json["seq"]) == (201, None)
    assert len(broker.published) == 1
    assert (await call("GET", f"{room}/messages", user="bob")).json["head"] == 0


@pytest.mark.parametrize(
    ("json", "told"),
    [
        ({}, "body: this field is required"),
        ({"body": 1, "audience": "all"}, "audience: must be 'public' or 'private'"),
        (
            {"body": 1, "importance": "high"},
            "importance: must be 'guaranteed' or 'instant'",
        ),
        ({"body": 1, "id": "17"}, "id: must be a UUID"),
        ({"body": 1, "id": 17}, "id: must be a UUID"),
        ({"body": 1, "type": 5}, "type: must be a valid string"),
        ({"body": 1, "type": ""}, "type: must have 1 to 100 characters"),
        ({"body": 1, "type": "x" * 101}, "type: must have 1 to 100 characters"),
        *(
            ({"body": 1, "type": each}, f"type: '{each}' is reserved for the gateway")
            for each in ("presence", "deleted", "pending", "refused")
        ),
        ({"body": 1, "seq": 5}, "seq: this field is unknown"),
        ({"body": 1, "sender": "anna"}, "sender: this field is unknown"),
    ],
)
@pytest.mark.gen_test
async def test_a_message_that_makes_no_sense_is_refused_and_goes_nowhere(
    call: Call, room: str, broker: FakeBroker, json: dict[str, Any], told: str
) -> None:
    answer = await call("POST", f"{room}/messages", user="bob", json=json)
    assert answer.problem == (400, "invalid_request")
    assert told in answer.json["detail"]
    assert broker.published == []
    assert (await call("GET", f"{room}/messages", user="bob")).json["head"] == 0


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (b"", "the body must be JSON"),
        (b"[1]", "the body must be a JSON object"),
        (b'{"body":1,}', "the body must be JSON"),
        (b'{"body":NaN}', "NaN is not JSON"),
        (b'{"body":-Infinity}', "-Infinity is not JSON"),
        (b'{"body":1e999}', "the number 1e999 is too large"),
        (b'{"body":1,"body":2}', "the name 'body' is given twice"),
        (b'{"body":{"a":1,"b":2,"a":3}}', "the name 'a' is given twice"),
        (b'{"body":"\xff"}', "the body must be UTF-8"),
        (b'{"body":"\\ud800"}', "the body must be UTF-8"),
        (b'{"body":' + b"[" * 20_000 + b"]" * 20_000 + b"}", "the body is nested too deeply"),
        (
            b'{"body":' + b"[" * 500 + b"]" * 500 + b"}",
            "nested too deeply; at most 100 levels are allowed",
        ),
        (b'{"body":' + b"9" * 5_000 + b"}", "the body must be JSON"),
    ],
)
@pytest.mark.gen_test
async def test_a_body_that_is_not_strictly_json_is_refused(
    call: Call, room: str, broker: FakeBroker, raw: bytes, told: str
) -> None:
    answer = await call(
        "POST",
        f"{room}/messages",
        user="bob",
        body=raw,
        headers={"Content-Type": "application/json"},
    )
    assert answer.problem == (400, "invalid_request")
    assert told in answer.json["detail"]
    assert broker.published == []


@pytest.mark.gen_test
async def test_characters_that_utf8_cannot_encode_spoil_nobody_s_sync(
    call: Call, room: str, store: Store
) -> None:
    """STOMP takes any JSON, an emoji that was cut in two included."""
    stream = Stream(Audience.PUBLIC, 1)
    cut = Draft(uuid4(), stream, "bob", datetime.now(UTC), "message", {"\udc00": "\ud83d"})
    await store.append([cut])
    sync = await call("GET", f"{room}/messages", user="anna")
    assert sync.status == 200
    assert sync.json["messages"][0]["body"] == cut.body


@pytest.mark.gen_test
async def test_a_sync_of_large_messages_comes_in_portions(
    call: Call, room: str, store: Store
) -> None:
    """Nobody else is served while its JSON is made: half a thousand of them took seconds."""
    stream = Stream(Audience.PUBLIC, 1)
    for number in range(40):
        text = f"{number}" + "x" * 60_000
        await store.append([Draft(uuid4(), stream, "bob", datetime.now(UTC), "message", text)])
    seqs: list[int] = []
    after: int | None = 0
    while after is not None:
        sync = await call("GET", f"{room}/messages?after={after}", user="anna")
        assert len(sync.body) < 1_100_000
        seqs += [message["seq"] for message in sync.json["messages"]]
        after = sync.json.get("next")
    assert seqs == list(range(1, 41))


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", ""])
@pytest.mark.gen_test
async def test_a_body_must_say_that_it_is_json(call: Call, room: str, content_type: str) -> None:
    answer = await call(
        "POST",
        f"{room}/messages",
        user="bob",
        json={"body": 1},
        headers={"Content-Type": content_type},
    )
    assert answer.problem == (400, "invalid_request")
    assert "Content-Type: application/json" in answer.json["detail"]


@pytest.mark.gen_test
async def test_any_json_value_comes_back_as_it_was(call: Call, room: str) -> None:
    values: list[Any] = [
        None,
        True,
        0,
        -1.5,
        10**30,
        "",
        "\0 \U0001f600 한글",
        [],
        {},
        {"": [1, {"a": None}]},
    ]
    for value in values:
        answer = await call("POST", f"{room}/messages", user="bob", json={"body": value})
        assert answer.status == 201, answer.body
    found: list[Any] = []
    for after in (0, 5):
        sync = await call("GET", f"{room}/messages?after={after}", user="bob")
        found += [message["body"] for message in sync.json["messages"]]
    assert found == values
    assert [type(value) for value in found] == [type(value) for value in values]


@pytest.mark.gen_test
async def test_outsiders_neither_post_nor_read(call: Call, room: str, broker: FakeBroker) -> None:
    for audience in ("public", "private"):
        answer = await call(
            "POST", f"{room}/messages", user="mallory", json={"body": 1, "audience": audience}
        )
        assert answer.problem == (403, "access_refused")
        answer = await call("GET", f"{room}/messages?audience={audience}", user="mallory")
        assert answer.problem == (403, "access_refused")
    assert broker.published == []


@pytest.mark.gen_test
async def test_a_room_that_does_not_exist_takes_no_message(call: Call) -> None:
    answer = await call("POST", "/api/rooms/9/messages", user="bob", json={"body": 1})
    assert answer.problem == (404, "unknown_room")


@pytest.mark.gen_test
async def test_hosts_read_all_private_messages_and_participants_only_their_own(
    call: Call, room: str
) -> None:
    await call("PUT", f"{room}/members/carol", user="anna", json={"role": "participant"})
    for user in ("bob", "carol", "bob"):
        await call(
            "POST", f"{room}/messages", user=user, json={"body": user, "audience": "private"}
        )

    async def seen_by(user: str) -> list[tuple[int, str]]:
        answer = await call("GET", f"{room}/messages?audience=private", user=user)
        assert answer.json["complete"] is True
        return [(message["seq"], message["sender"]) for message in answer.json["messages"]]

    assert await seen_by("anna") == [(1, "bob"), (2, "carol"), (3, "bob")]
    assert await seen_by("bob") == [(1, "bob"), (3, "bob")]
    assert await seen_by("carol") == [(2, "carol")]


@pytest.mark.gen_test
async def test_the_sync_comes_in_pages_that_leave_nothing_out(call: Call, room: str) -> None:
    for number in range(1, 13):
        await call("POST", f"{room}/messages", user="bob", json={"body": number})
    pages: list[list[int]] = []
    after: int | None = 0
    while after is not None:
        page = (await call("GET", f"{room}/messages?after={after}", user="anna")).json
        assert (page["head"], page["complete"]) == (12, True)
        pages.append([message["seq"] for message in page["messages"]])
        after = page.get("next")
    assert pages == [[1, 2, 3, 4, 5], [6, 7, 8, 9, 10], [11, 12]]


@pytest.mark.gen_test
async def test_a_page_may_be_made_smaller_but_not_larger(call: Call, room: str) -> None:
    for number in range(1, 8):
        await call("POST", f"{room}/messages", user="bob", json={"body": number})
    small = (await call("GET", f"{room}/messages?limit=2", user="bob")).json
    assert (len(small["messages"]), small["next"]) == (2, 2)
    large = (await call("GET", f"{room}/messages?limit=100000", user="bob")).json
    assert (len(large["messages"]), large["next"]) == (5, 5)


@pytest.mark.gen_test
async def test_a_reader_that_has_everything_gets_an_empty_page(call: Call, room: str) -> None:
    await call("POST", f"{room}/messages", user="bob", json={"body": 1})
    for after in (1, 2, 2**63 - 1):
        page = (await call("GET", f"{room}/messages?after={after}", user="bob")).json
        assert page == {"messages": [], "head": 1, "complete": True}


@pytest.mark.gen_test
async def test_messages_no_longer_kept_are_never_a_silent_hole(
    call: Call, room: str, store: Store
) -> None:
    for number in range(1, 4):
        await call("POST", f"{room}/messages", user="bob", json={"body": number})
    await _prune_all(store)
    await call("POST", f"{room}/messages", user="bob", json={"body": 4})
    page = (await call("GET", f"{room}/messages?after=1", user="bob")).json
    assert [message["seq"] for message in page["messages"]] == [4]
    assert (page["complete"], page["from"]) == (False, 4)
    page = (await call("GET", f"{room}/messages?after=3", user="bob")).json
    assert page["complete"] is True
    assert "from" not in page


async def _prune_all(store: Store) -> None:
    """Delete three messages, as soon as the outbox has let go of them."""
    deleted = 0
    async with asyncio.timeout(20):
        while deleted < 3:
            deleted += await store.prune(datetime.now(UTC))


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("after=-1", "after: must be greater than or equal to 0"),
        ("after=x", "after: must be a valid integer"),
        ("after=1&after=2", "after: is given twice in the query"),
        ("limit=0", "limit: must be greater than or equal to 1"),
        ("audience=all", "audience: must be 'public' or 'private'"),
        ("since=5", "since: this field is unknown"),
    ],
)
@pytest.mark.gen_test
async def test_a_query_that_makes_no_sense_is_refused(
    call: Call, room: str, query: str, told: str
) -> None:
    answer = await call("GET", f"{room}/messages?{query}", user="bob")
    assert answer.problem == (400, "invalid_request")
    assert told in answer.json["detail"]


@pytest.mark.gen_test
async def test_a_message_at_the_limit_passes_and_one_beyond_is_too_large(
    call: Call, room: str, broker: FakeBroker
) -> None:
    fits = await call("POST", f"{room}/messages", user="bob", json={"body": "x" * 65_000})
    assert fits.status == 201
    for size in (65_536, 1_000_000, 5_000_000):
        answer = await call("POST", f"{room}/messages", user="bob", json={"body": "x" * size})
        assert answer.problem == (413, "too_large")
    assert len(broker.published) == 1


@pytest.mark.gen_test
async def test_a_user_who_posts_too_fast_is_told_when_to_come_back(
    call: Call, room: str, limits: LiveLimits
) -> None:
    # However slow the machine is, no more than the burst is let through.
    limits.now = limits.now.model_copy(update={"posts_per_second": 1.0})
    answers = await asyncio.gather(
        *(
            call(
                "POST",
                f"{room}/messages",
                user="bob",
                json={"body": n, "importance": "instant"},
            )
            for n in range(150)
        )
    )
    limited = [answer for answer in answers if answer.status == 429]
    assert limited
    assert limited[0].problem == (429, "rate_limited")
    assert limited[0].headers["Retry-After"] == "1"
    assert (await call("POST", f"{room}/messages", user="anna", json={"body": 1})).status == 201


@pytest.mark.parametrize("kind", ["poll", "poll-closed", "answer", "hand-taken", "question-done"])
@pytest.mark.parametrize("importance", ["guaranteed", "instant"])
@pytest.mark.gen_test
async def test_types_reserved_to_hosts_may_be_sent_by_hosts_only(
    call: Call, room: str, broker: FakeBroker, kind: str, importance: str
) -> None:
    wanted = {"body": 1, "type": kind, "importance": importance}
    refused = await call("POST", f"{room}/messages", user="bob", json=wanted)
    assert refused.problem == (403, "access_refused")
    assert kind in refused.json["detail"]
    assert not broker.published
    for who, roles in (("anna", ()), ("root", ("admin",))):
        said = await call("POST", f"{room}/messages", user=who, roles=roles, json=wanted)
        assert said.status == 201


@pytest.mark.gen_test
async def test_a_message_keeps_the_role_that_its_sender_had(call: Call, room: str) -> None:
    """A host who is removed stays the host of what they said, and who becomes one does not become
    the host of what they said before."""
    await call("POST", f"{room}/messages", user="bob", json={"body": "as a participant"})
    await call("PUT", f"{room}/members/bob", user="anna", json={"role": "host"})
    await call("POST", f"{room}/messages", user="bob", json={"body": "as a host"})
    await call("POST", f"{room}/messages", user="root", roles=("admin",), json={"body": "as admin"})
    assert (await call("DELETE", f"{room}/members/bob", user="anna")).status == 204
    sync = await call("GET", f"{room}/messages", user="anna")
    assert [(each["body"], each["role"]) for each in sync.json["messages"]] == [
        ("as a participant", "participant"),
        ("as a host", "host"),
        ("as admin", "host"),
    ]


@pytest.mark.gen_test
async def test_a_sync_of_certain_types_finds_them_however_much_was_said(
    call: Call, room: str
) -> None:
    for kind in ("poll", *["message"] * 8, "hand-taken", "poll-closed", "message"):
        await call("POST", f"{room}/messages", user="anna", json={"body": 1, "type": kind})
    path = f"{room}/messages?types=poll,poll-closed"
    first = await call("GET", f"{path}&limit=1", user="bob")
    assert [each["seq"] for each in first.json["messages"]] == [1]
    assert (first.json["head"], first.json["next"]) == (12, 1)
    rest = await call("GET", f"{path}&after=1", user="bob")
    assert [each["seq"] for each in rest.json["messages"]] == [11]
    assert "next" not in rest.json
    for nothing in ("vote", "%00", ",", "pol%25"):
        sync = await call("GET", f"{room}/messages?types={nothing}", user="bob")
        assert (sync.json["messages"], sync.json["head"]) == ([], 12)
    for refused, told in (
        ("", "types: must"),
        ("x," * 20 + "x", "types: must name at most 20 types"),
    ):
        sync = await call("GET", f"{room}/messages?types={refused}", user="bob")
        assert sync.problem == (400, "invalid_request")
        assert told in sync.json["detail"]


@pytest.mark.gen_test
async def test_a_user_who_reads_too_much_at_once_is_told_and_delays_nobody(
    call: Call,
    room: str,
    gateway: Gateway,
    limits: LiveLimits,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    services = gateway.services
    limits.now = limits.now.model_copy(update={"reads": 3, "reads_per_user": 2})
    read, go_on = store.read_json, asyncio.Event()

    async def wait_and_read(*arguments: Any, **more: Any) -> Any:
        await go_on.wait()
        return await read(*arguments, **more)

    monkeypatch.setattr(store, "read_json", wait_and_read)
    path = f"{room}/messages"
    reads = [asyncio.create_task(_get(call, path, "bob")) for _ in range(2)]
    await _until_in_hand(services.history, 2)
    refused = await call("GET", path, user="bob")
    assert refused.problem == (429, "too_many_reads")
    assert int(refused.headers["Retry-After"]) >= 1
    reads.append(asyncio.create_task(_get(call, path, "anna")))
    await _until_in_hand(services.history, 3)
    assert (await call("GET", path, user="root", roles=("admin",))).problem == (503, "reads_busy")
    go_on.set()
    assert {answer.status for answer in await asyncio.gather(*reads)} == {200}


async def _until_in_hand(reads: HistoryReads, number: int) -> None:
    async with asyncio.timeout(20):
        while reads.in_hand < number:  # noqa: ASYNC110 - the handlers have no event for it
            await asyncio.sleep(0.01)


async def _get(call: Call, path: str, user: str) -> Answer:
    return await call("GET", path, user=user)
