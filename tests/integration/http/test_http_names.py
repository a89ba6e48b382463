"""One form of user names at every door of the HTTP API, and the names shown beside them."""

from __future__ import annotations

from http.cookies import SimpleCookie
from typing import Any
from unicodedata import normalize
from urllib.parse import quote

import jwt
import pytest
from tornado.ioloop import IOLoop

from gateway.auth.accounts import Accounts
from gateway.auth.session_cookie import SESSION_COOKIE
from gateway.config import Config
from gateway.domain.room import MemberRole
from gateway.store import Account, Store
from tests.integration.http.conftest import JWT_SECRET, Answer, Call

PASSWORD = "correct horse battery"
MEMBER = MemberRole.PARTICIPANT
COMPOSED = "김하나"
DECOMPOSED = normalize("NFD", COMPOSED)


@pytest.fixture
def hana(accounts: Accounts[Any], store: Store, io_loop: IOLoop) -> str:
    async def add() -> None:
        password_hash = await accounts.hash(PASSWORD)
        roles = frozenset({"host"})
        await store.put_account(Account(COMPOSED, password_hash, roles, "Hana Kim"))

    io_loop.run_sync(add)
    return COMPOSED


def cookie_of(answer: Answer) -> dict[str, str]:
    morsel = SimpleCookie(answer.headers["Set-Cookie"])[SESSION_COOKIE]
    return {"Cookie": f"{SESSION_COOKIE}={morsel.value}"}


def signed(settings: Config, user: str, **claims: Any) -> dict[str, str]:
    """A token as an issuer writes it, whatever the user's name."""
    given = settings.auth.jwt
    assert given is not None
    own = {"sub": user, "iss": "school", "aud": "interact", "exp": 4_000_000_000, "roles": ["host"]}
    token = jwt.encode(own | claims, JWT_SECRET, algorithm="HS256")
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.gen_test
async def test_an_account_is_logged_in_to_however_its_name_is_typed(call: Call, hana: str) -> None:
    login = await call("POST", "/api/session", json={"user": DECOMPOSED, "password": PASSWORD})
    assert (login.status, login.json["user"], login.json["name"]) == (200, hana, "Hana Kim")
    headers = cookie_of(login)
    # The page says whom it believes to be, as somebody has typed it.
    for name in (COMPOSED, DECOMPOSED):
        answer = await call("GET", "/api/session", headers=headers | {"Interact-User": quote(name)})
        assert (answer.status, answer.json["name"]) == (200, "Hana Kim")


@pytest.mark.gen_test
async def test_a_token_is_its_users_however_the_issuer_writes_the_name(
    call: Call, settings: Config
) -> None:
    for written in ("ｍｉｎａ", "mina"):
        me = await call("GET", "/api/session", headers=signed(settings, written))
        assert me.json["user"] == "mina"
    refused = await call("GET", "/api/session", headers=signed(settings, "mi☺na"))
    assert refused.problem == (401, "token_invalid")
    assert "RFC 8265" in refused.json["detail"]
    other = await call("GET", "/api/session", headers=signed(settings, "Mina"))
    assert other.json["user"] == "Mina"


@pytest.mark.gen_test
async def test_members_are_the_same_people_in_bodies_and_paths(
    call: Call, settings: Config
) -> None:
    wide = "ｂｏｂ"
    made = await call(
        "POST",
        "/api/rooms",
        headers=signed(settings, "mina"),
        json={"title": "a room", "members": [{"user": wide, "role": "participant"}]},
    )
    path = f"/api/rooms/{made.json['id']}"
    assert (await call("GET", path, user="bob")).status == 200
    listed = await call("GET", f"{path}/members", user="mina")
    # What was written is shown until something better is known.
    assert listed.json["members"] == [
        {"user": "bob", "role": "participant", "name": wide},
        {"user": "mina", "role": "host"},
    ]
    added = await call(
        "PUT",
        f"{path}/members/{quote(DECOMPOSED)}",
        user="mina",
        json={"role": "participant"},
    )
    assert added.json == {"user": COMPOSED, "role": "participant"}
    assert (await call("GET", path, headers=signed(settings, COMPOSED))).status == 200
    twice = await call(
        "POST",
        "/api/rooms",
        headers=signed(settings, "mina"),
        json={"title": "a room", "members": [{"user": wide}, {"user": "bob"}]},
    )
    assert twice.problem == (400, "invalid_request")
    gone = await call("DELETE", f"{path}/members/{quote(wide)}", user="mina")
    assert gone.status == 204
    assert (await call("GET", path, user="bob")).status == 403


@pytest.mark.gen_test
async def test_one_that_could_not_be_brought_into_form_can_be_removed(
    call: Call, store: Store, room: str
) -> None:
    number = int(room.rpartition("/")[2])
    for name in ("ｂｏｂ", "mi☺na"):
        await store.set_member(number, name, MEMBER)
        gone = await call("DELETE", f"{room}/members/{quote(name)}", user="anna")
        assert gone.status == 204
    users = [member.user for member in await store.members(number)]
    assert "bob" in users
    assert not {"ｂｏｂ", "mi☺na"} & set(users)


@pytest.mark.gen_test
async def test_a_display_name_is_in_messages_and_lists(
    call: Call, settings: Config, hana: str
) -> None:
    login = await call("POST", "/api/session", json={"user": hana, "password": PASSWORD})
    headers = cookie_of(login)
    made = await call("POST", "/api/rooms", headers=headers, json={"title": "a room"})
    path = f"/api/rooms/{made.json['id']}"
    await call("POST", f"{path}/messages", headers=headers, json={"body": "hello"})
    await call("PUT", f"{path}/members/bob", headers=headers, json={"role": "participant"})
    await call("POST", f"{path}/messages", user="bob", json={"body": "hello"})
    first, second = (await call("GET", f"{path}/messages", headers=headers)).json["messages"]
    assert (first["sender"], first["name"]) == (hana, "Hana Kim")
    assert "name" not in second
    members = (await call("GET", f"{path}/members", headers=headers)).json["members"]
    assert {member["user"]: member.get("name") for member in members} == {
        hana: "Hana Kim",
        "bob": None,
    }


@pytest.fixture
def named_by_token(tables: dict[str, Any]) -> None:
    tables["auth"]["jwt"]["name_claim"] = "name"


@pytest.mark.usefixtures("named_by_token")
@pytest.mark.gen_test
async def test_a_display_name_of_a_token_is_in_messages_and_after_a_login_in_lists(
    call: Call, settings: Config, room: str
) -> None:
    bob = signed(settings, "bob", name="Bob Lee")
    await call("POST", f"{room}/messages", headers=bob, json={"body": "hello"})
    (message,) = (await call("GET", f"{room}/messages", user="anna")).json["messages"]
    assert (message["sender"], message["name"]) == ("bob", "Bob Lee")
    token = bob["Authorization"].removeprefix("Bearer ")
    login = await call("POST", "/api/session", json={"token": token})
    assert login.json["name"] == "Bob Lee"
    members = (await call("GET", f"{room}/members", user="anna")).json["members"]
    assert {"user": "bob", "role": "participant", "name": "Bob Lee"} in members


@pytest.fixture
def accounts_only(tables: dict[str, Any]) -> None:
    del tables["auth"]["jwt"]


@pytest.mark.usefixtures("accounts_only")
@pytest.mark.gen_test
async def test_members_that_nobody_can_be_are_marked_where_accounts_are_the_only_login(
    call: Call, hana: str
) -> None:
    login = await call("POST", "/api/session", json={"user": hana, "password": PASSWORD})
    headers = cookie_of(login)
    made = await call(
        "POST",
        "/api/rooms",
        headers=headers,
        json={"title": "a room", "members": [{"user": "mistyped"}]},
    )
    path = f"/api/rooms/{made.json['id']}/members"
    members = (await call("GET", path, headers=headers)).json["members"]
    assert {member["user"]: member.get("unknown", False) for member in members} == {
        hana: False,
        "mistyped": True,
    }
    for user, unknown in (("nobody", True), (hana, False)):
        added = await call("PUT", f"{path}/{quote(user)}", headers=headers, json={"role": "host"})
        assert added.json.get("unknown", False) is unknown


@pytest.mark.gen_test
async def test_members_are_not_marked_where_others_vouch_for_them(call: Call, room: str) -> None:
    members = (await call("GET", f"{room}/members", user="anna")).json["members"]
    assert members
    assert not any("unknown" in member for member in members)
