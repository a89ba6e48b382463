"""``/api/admin/messages/{id}``: a message's way, found by one id."""

from __future__ import annotations

from functools import partial
from urllib.parse import quote

import pytest

from tests.integration.http.conftest import Call


@pytest.fixture
def observer(call: Call) -> Call:
    """Calls as an observer does."""
    return partial(call, user="olga", roles=("observer",))


@pytest.mark.gen_test
async def test_a_message_is_found_by_its_id_its_requests_and_its_place(
    call: Call, room: str, observer: Call
) -> None:
    said = {"body": "a secret", "type": "chat"}
    posted = await call("POST", f"{room}/messages", user="bob", json=said)
    again = await call(
        "POST", f"{room}/messages", user="bob", json=said | {"id": posted.json["id"]}
    )
    assert again.json["seq"] == posted.json["seq"] == 1
    requests = [each.headers["X-Request-Id"] for each in (again, posted)]
    for id in (posted.json["id"], *requests, "public.1/1"):
        answer = await observer("GET", f"/api/admin/messages/{quote(id, safe='')}")
        assert answer.status == 200
        assert answer.json["missing"] == {}
        assert b"secret" not in answer.body
        (found,) = answer.json["messages"]
        assert (found["room"], found["audience"], found["seq"]) == (1, "public", 1)
        assert (found["sender"], found["type"], found["bytes"]) == (
            "bob",
            "chat",
            len('"a secret"'),
        )
        (passage,) = found["gateways"]
        assert [post["request"] for post in passage["posts"]] == requests
        assert all(post["stored_at"] <= post["answered_at"] for post in passage["posts"])
        # Nobody follows the room.
        assert "delivered" not in passage


@pytest.mark.gen_test
@pytest.mark.parametrize(
    "id", ["0123456789ab", "public.1/1", "public.0/1", "6d0ee2ba-9cf3-4f0a-8c4e-2f5a1a3f0b55"]
)
async def test_what_nobody_has_sent_is_nothing(observer: Call, id: str) -> None:
    answer = await observer("GET", f"/api/admin/messages/{quote(id, safe='')}")
    assert (answer.status, answer.json) == (200, {"messages": [], "missing": {}})


@pytest.mark.gen_test
async def test_it_is_for_operators_and_takes_no_nonsense(
    call: Call, room: str, observer: Call
) -> None:
    refused = await call("GET", "/api/admin/messages/x", user="anna", roles=("host",))
    assert refused.problem == (403, "access_refused")
    for id in ("x" * 101, "a%0Ab"):
        assert (await observer("GET", f"/api/admin/messages/{id}")).status == 400
