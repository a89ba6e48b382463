"""``/api/admin/events``: the journal, and what an observer may see and not do."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from gateway.assembly import Gateway
from gateway.domain.journal import Entry, EntryKind
from gateway.http.contract.operation import Who
from tests.integration.http.conftest import Call, FakeBroker

ORDERS: dict[str, Any] = {
    "disconnect": {"user": "kim"},
    "admit": {"user": "kim"},
    "revocations": {"sub": "kim"},
    "erasures": {"user": "kim"},
    "drain": {"node": "r1"},
    "resume": {"node": "r1"},
}


@pytest.fixture
def observer(call: Call) -> Call:
    """Calls as an observer does."""
    return partial(call, user="olga", roles=("observer",))


async def events(call: Call, query: str = "") -> list[dict[str, Any]]:
    answer = await call("GET", f"/api/admin/events{query}")
    assert answer.status == 200, answer.json
    found: list[dict[str, Any]] = answer.json["events"]
    return found


@pytest.mark.gen_test
async def test_orders_and_refusals_are_found_with_who_gave_them_and_whom_they_concern(
    call: Call, room: str, gateway: Gateway, observer: Call
) -> None:
    await call("POST", "/api/admin/disconnect", user="root", roles=("admin",), json=ORDERS["admit"])
    refused = await call("GET", f"{room}/members", user="stranger")
    assert refused.status == 403
    await gateway.journal_writer.write()
    (order,) = await events(observer, "?user=kim&kind=action,node")
    assert (order["code"], order["by"], order["gateway"]) == (
        "end_user",
        "root",
        gateway.cluster.bus.gateway,
    )
    (refusal,) = await events(observer, "?user=stranger")
    assert (refusal["kind"], refusal["status"], refusal["room"]) == ("refusal", 403, 1)
    assert await events(observer, "?room=1&kind=refusal") == [refusal]
    id = refused.headers["X-Request-Id"]
    assert await events(observer, f"?connection={id}") == [refusal]
    assert await events(observer, f"?to={refusal['at']}&user=stranger") == []
    assert await events(observer, f"?from={refusal['at']}&user=stranger") == [refusal]


@pytest.mark.gen_test
async def test_who_removed_a_member_closed_a_room_and_had_it_deleted_is_found(
    call: Call, room: str, gateway: Gateway, observer: Call
) -> None:
    assert (await call("DELETE", f"{room}/members/bob", user="anna")).status == 204
    # Closed already the second time: nobody has done it then. 202: the queue goes later.
    for _ in range(2):
        assert (await call("DELETE", room, user="anna")).status in {202, 204}
    await gateway.journal_writer.write()
    closed, removed = await events(observer, "?room=1&kind=action")
    assert (closed["code"], closed["by"]) == ("room_closed", "anna")
    assert (removed["code"], removed["by"], removed["user"]) == ("member_removed", "anna", "bob")
    erasing = partial(call, "POST", "/api/admin/erasures", user="root", roles=("admin",))
    for order in ({"room": 1, "user": "bob"}, {"room": 1}):
        assert (await erasing(json=order)).status in {200, 202}
    await gateway.journal_writer.write()
    last, first = await events(observer, "?room=1")
    assert (last["code"], last["by"], last["room"]) == ("erasure", "root", 1)
    assert first["detail"].endswith("what a person has left in room 1")
    assert "bob" not in str([first, last])


@pytest.mark.gen_test
async def test_the_journal_comes_in_pages(gateway: Gateway, observer: Call) -> None:
    entries = [
        Entry(at=1_700_000_000.25, kind=EntryKind.NODE, code=str(number)) for number in range(5)
    ]
    await gateway.services.admin.journal.add(entries, gateway="a")  # type: ignore[attr-defined]
    first = (await observer("GET", "/api/admin/events?kind=node&size=3")).json
    second = (
        await observer("GET", f"/api/admin/events?kind=node&size=3&after={first['next']}")
    ).json
    shown = [event["code"] for event in [*first["events"], *second["events"]]]
    assert shown == ["4", "3", "2", "1", "0"]
    assert "next" not in second
    assert first["events"][0]["at"] == "2023-11-14T22:13:20.250000Z"


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("kind=closed", "kind"),
        ("from=yesterday", "from"),
        ("from=2026-05-04T12:00:00", "from"),
        ("from=2026-05-04T12:00:00Z&to=2026-05-04T12:00:00Z", "from must be before to"),
        ("room=0", "room"),
        ("room=x", "room"),
        ("size=201", "size"),
        ("after=WzEsMl0", "after"),
        ("after=W10=", "after"),
        ("user=", "user"),
        ("user=a&user=b", "user"),
        ("since=1", "since"),
    ],
)
async def test_a_wrong_parameter_is_named(observer: Call, query: str, named: str) -> None:
    answer = await observer("GET", f"/api/admin/events?{query}")
    assert answer.problem == (400, "invalid_request")
    assert named in answer.json["detail"]


@pytest.mark.gen_test
async def test_an_observer_sees_the_dashboard_and_gives_no_orders(observer: Call) -> None:
    seen = []
    for path, methods in (await observer("GET", "/api/openapi.json")).json["paths"].items():
        # A stream does not end.
        if not path.startswith("/api/admin/") or "{" in path or path.endswith("/live"):
            continue
        if (told := methods.get("get")) is not None:
            answer, may = await observer("GET", path), Who.OBSERVER.value in told["description"]
            assert answer.status == (200 if may else 403), path
            seen += [path.removeprefix("/api/admin/")] if may else []
    assert sorted(seen) == ["connections", "erasures", "events", "history", "revocations"]
    for path, order in ORDERS.items():
        answer = await observer("POST", f"/api/admin/{path}", json=order)
        assert answer.problem == (403, "access_refused"), path


@pytest.mark.gen_test
async def test_a_room_is_shown_with_its_streams_its_queue_and_its_open_poll(
    call: Call, room: str, observer: Call, broker: FakeBroker
) -> None:
    await call("POST", f"{room}/messages", user="bob", json={"body": "a secret"})
    opened = {"body": {"until": None}, "type": "voting", "keep": "voting:p1"}
    assert (await call("POST", f"{room}/messages", user="anna", json=opened)).status == 201
    shown = await observer("GET", "/api/admin/rooms/1")
    assert b"secret" not in shown.body
    assert shown.json["hosts"] == ["anna"]
    assert shown.json["open_polls"] == ["voting:p1"]
    public = shown.json["streams"]["public"]
    assert (public["head"], public["first"], public["lately"]) == (2, 1, 2)
    queue = shown.json["private_queue"]
    assert (queue["messages"], queue["consumers"]) == (3, 1)
    broker.away = True
    queue = (await observer("GET", "/api/admin/rooms/1")).json["private_queue"]
    assert (queue.get("messages"), queue["problem"]) == (None, "nobody is there")
    assert (await observer("GET", "/api/admin/rooms/2")).problem == (404, "unknown_room")
    assert (await call("GET", "/api/admin/rooms/1", user="anna")).status == 403


@pytest.mark.gen_test
async def test_others_do_not_see_the_journal(call: Call) -> None:
    answer = await call("GET", "/api/admin/events", user="teacher", roles=("host",))
    assert answer.problem == (403, "access_refused")
