"""A user's own sessions, and the orders that end a user's access."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import jwt
import pytest
from tornado.ioloop import IOLoop
from tornado.iostream import StreamClosedError
from tornado.tcpclient import TCPClient

from gateway.assembly import Gateway
from gateway.auth.accounts import Accounts
from gateway.auth.session_cookie import SESSION_COOKIE
from gateway.domain.identity import Identity
from gateway.drain import leaving
from gateway.errors import StoreUnavailable
from gateway.http.listeners import Listener
from gateway.store import Account, Store
from tests.integration.http.conftest import JWT_SECRET, Answer, Call
from tests.integration.http.live_fake import FakeLive
from tests.integration.http.test_http_session import PASSWORD, cookie_of, logged_in

Cookie = dict[str, str]


@pytest.fixture
def anna(accounts: Accounts[Any], store: Store, io_loop: IOLoop) -> str:
    async def add() -> None:
        password_hash = await accounts.hash(PASSWORD)
        for name, role in (("anna", "host"), ("root", "admin")):
            await store.put_account(Account(name, password_hash, frozenset({role})))

    io_loop.run_sync(add)
    return "anna"


@pytest.fixture
def tables(tables: dict[str, Any]) -> dict[str, Any]:
    """The clocks are the same, so a token that is issued after an order is a new one."""
    tables["auth"]["jwt"]["leeway"] = 0
    return tables


@pytest.fixture
def admin(call: Call) -> Call:
    """Calls as an admin does."""
    return partial(call, user="root", roles=("admin",))


def signed(user: str = "anna", *, jti: str = "t1", at: float = 0.0, **claims: object) -> str:
    """A token of the surrounding system, issued ``at`` seconds from now."""
    now = time.time()
    claims = {"sub": user, "iss": "school", "aud": "interact", "jti": jti, "iat": now + at} | claims
    return jwt.encode(claims | {"exp": now + 60}, JWT_SECRET, algorithm="HS256")


def bearing(proof: str) -> Cookie:
    return {"Authorization": f"Bearer {proof}"}


async def traded(call: Call, proof: str) -> Cookie:
    answer = await call("POST", "/api/session", json={"token": proof})
    assert answer.status == 200, answer.body
    return {"Cookie": cookie_of(answer)}


async def whose(call: Call, headers: Cookie) -> Any:
    """The user, or the problem, of a call with these credentials."""
    answer = await call("GET", "/api/session", headers=headers)
    return answer.json["user"] if answer.status == 200 else answer.problem


async def own_sessions(call: Call, headers: Cookie) -> list[dict[str, Any]]:
    answer = await call("GET", "/api/sessions", headers=headers)
    assert answer.status == 200, answer.body
    found: list[dict[str, Any]] = answer.json["sessions"]
    return found


# One's own sessions


@pytest.mark.gen_test
async def test_a_user_sees_where_they_are_logged_in(call: Call, anna: str) -> None:
    first = await call(
        "POST",
        "/api/session",
        json={"user": anna, "password": PASSWORD},
        headers={"User-Agent": "Firefox\t" + "x" * 500, "X-Forwarded-For": "203.0.113.7"},
    )
    second = await logged_in(call)
    await logged_in(call, "root")
    own = await own_sessions(call, second)
    assert [each["current"] for each in own] == [True, False]
    other = own[1]
    assert other["address"] == "203.0.113.7"
    assert other["device"] == ("Firefox" + "x" * 500)[:200]
    assert other["since"] == other["last_seen"] < other["until"] == first.json["expires_at"]
    seen_by_the_other = await own_sessions(call, {"Cookie": cookie_of(first)})
    assert {each["id"] for each in seen_by_the_other} == {each["id"] for each in own}


@pytest.mark.gen_test
async def test_a_user_ends_one_of_their_sessions_and_nobody_else_does(
    call: Call, anna: str, gateway: Gateway
) -> None:
    phone, laptop, root = [await logged_in(call, user) for user in (anna, anna, "root")]
    (lost,) = [each["id"] for each in await own_sessions(call, laptop) if not each["current"]]
    socket = FakeLive(rooms=set(), user=anna, session=lost)
    gateway.live.registry.serve(socket, address="", user=anna)
    path = f"/api/sessions/{lost}"
    for stranger in (root, bearing(signed(anna))):
        answer = await call("DELETE", path, headers=stranger)
        assert answer.problem == (404, "unknown_session")
    assert (await call("DELETE", path)).problem == (401, "not_authenticated")
    assert await whose(call, phone) == anna
    assert (await call("DELETE", path, headers=laptop)).status == 204
    assert socket.ended == "session_ended"
    assert await whose(call, phone) == (401, "session_ended")
    assert await whose(call, laptop) == anna
    assert len(await own_sessions(call, laptop)) == 1
    for unknown in (lost, "nothing", "%00"):
        answer = await call("DELETE", f"/api/sessions/{unknown}", headers=laptop)
        assert answer.problem == (404, "unknown_session")


@pytest.mark.gen_test
async def test_a_user_ends_all_other_sessions_at_once(call: Call, anna: str) -> None:
    others = [await logged_in(call) for _ in range(3)]
    here, root = await logged_in(call), await logged_in(call, "root")
    assert (await call("DELETE", "/api/sessions", headers=here)).json == {"ended": 3}
    assert [await whose(call, each) for each in others] == [(401, "session_ended")] * 3
    assert await whose(call, here) == anna
    assert await whose(call, root) == "root"


@pytest.mark.gen_test
async def test_an_account_and_a_token_of_one_name_do_not_see_each_others_sessions(
    call: Call, anna: str
) -> None:
    account, by_token = await logged_in(call), await traded(call, signed(anna))
    for headers in (account, by_token):
        (own,) = await own_sessions(call, headers)
        assert own["current"]
    (seen,) = await own_sessions(call, bearing(signed(anna)))
    assert not seen["current"]
    answer = await call("DELETE", f"/api/sessions/{seen['id']}", headers=account)
    assert answer.problem == (404, "unknown_session")
    assert (await call("DELETE", "/api/sessions", headers=account)).json == {"ended": 0}
    assert await whose(call, by_token) == anna


@pytest.fixture
def two_sessions(tables: dict[str, Any]) -> None:
    tables["auth"]["sessions_per_user"] = 2


@pytest.mark.usefixtures("two_sessions")
@pytest.mark.gen_test
async def test_beyond_the_limit_the_oldest_session_ends(
    call: Call, anna: str, gateway: Gateway
) -> None:
    sessions = [await logged_in(call) for _ in range(4)]
    await gateway.cluster.session_revocation.poll()
    ended = (401, "session_ended")
    assert [await whose(call, each) for each in sessions] == [ended, ended, anna, anna]


# A row for each session


@pytest.mark.gen_test
async def test_a_signed_cookie_without_a_row_is_nobodys_and_is_looked_up_once(
    call: Call, gateway: Gateway, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a database was begun anew, or an account was removed and made again there."""
    opened = gateway.auth.sessions.open(Identity("anna", frozenset({"admin"}), time.time() + 60))
    headers = {"Cookie": f"{SESSION_COOKIE}={gateway.auth.sessions.sign(opened)}"}
    asked: list[str] = []
    find = store.session

    async def counted(id: str) -> Any:
        asked.append(id)
        return await find(id)

    monkeypatch.setattr(store, "session", counted)
    found = await asyncio.gather(*(whose(call, headers) for _ in range(5)))
    assert {*found, await whose(call, headers)} == {(401, "session_ended")}
    assert asked == [opened.session]


@pytest.mark.gen_test
async def test_a_session_of_another_gateway_is_looked_up_once(
    call: Call, anna: str, gateway: Gateway, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = await logged_in(call)
    asked = 0
    find, available = store.session, True

    async def counted(id: str) -> Any:
        nonlocal asked
        asked += 1
        if not available:
            raise StoreUnavailable("the database is not available", retry_after=1.0)
        return await find(id)

    monkeypatch.setattr(store, "session", counted)
    # As a gateway that has just started.
    gateway.auth.known_sessions._known.clear()
    gateway.auth.credentials.forget_sessions()
    available = False
    assert await whose(call, headers) == (503, "store_unavailable")
    available = True
    assert [await whose(call, headers) for _ in range(3)] == [anna] * 3
    gateway.auth.credentials.forget_sessions()
    assert await whose(call, headers) == anna
    assert asked == 2


@pytest.mark.gen_test
async def test_a_session_that_ends_while_it_is_looked_up_counts_no_more(
    call: Call, anna: str, gateway: Gateway, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = await logged_in(call)
    find = store.session

    async def slow(id: str) -> Any:
        found = await find(id)
        assert found is not None
        await store.end_session(found)
        await gateway.cluster.session_revocation.poll()
        return found

    monkeypatch.setattr(store, "session", slow)
    gateway.auth.known_sessions._known.clear()
    gateway.auth.credentials.forget_sessions()
    made = await call("POST", "/api/rooms", json={"title": "x"}, headers=headers)
    assert made.problem == (401, "session_ended")


@pytest.mark.gen_test
async def test_an_account_that_is_made_again_does_not_revive_its_cookies(
    call: Call, anna: str, gateway: Gateway, store: Store, accounts: Accounts[Any]
) -> None:
    headers = await logged_in(call)
    await store.remove_account(anna)
    await store.put_account(Account(anna, await accounts.hash(PASSWORD), frozenset({"admin"})))
    await gateway.cluster.session_revocation.poll()
    assert await whose(call, headers) == (401, "session_ended")
    assert await whose(call, await logged_in(call)) == anna


@pytest.mark.gen_test
async def test_when_a_session_was_seen_is_written_in_batches(
    call: Call, anna: str, gateway: Gateway, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = await logged_in(call)
    (session,) = await store.sessions_of(anna)
    written: list[dict[str, datetime]] = []
    write = store.saw_sessions

    async def counted(seen: dict[str, datetime]) -> None:
        written.append(seen)
        await write(seen)

    monkeypatch.setattr(store, "saw_sessions", counted)
    for _ in range(20):
        await whose(call, headers)
    assert not written
    known = gateway.auth.known_sessions
    await known.write([])
    ((seen,),) = [list(each.values()) for each in written]
    assert seen > session.since
    (session,) = await store.sessions_of(anna)
    assert session.last_seen == seen
    await known.write([])
    assert len(written) == 1, "nothing new"
    await known.write([session.id])
    assert len(written) == 2, "its socket is open"


# Orders


async def order(admin: Call, **wanted: object) -> Answer:
    return await admin("POST", "/api/admin/disconnect", json=wanted)


@pytest.mark.gen_test
async def test_an_admin_ends_a_user_whatever_they_have_logged_in_with(
    call: Call, admin: Call, anna: str, gateway: Gateway
) -> None:
    proof, another = signed(anna, jti="t1", at=-10), signed("mina", jti="t2")
    ended = [await logged_in(call), await traded(call, proof), bearing(proof)]
    spared = {"root": await logged_in(call, "root"), "mina": bearing(another)}
    assert [await whose(call, each) for each in ended] == [anna] * 3
    answer = await order(admin, user=anna, reason="too loud")
    assert answer.json == {"done": {gateway.cluster.bus.gateway: 0}, "missing": {}}
    for each in ended:
        refused = await call("GET", "/api/session", headers=each)
        assert refused.problem == (401, "session_ended")
        assert "too loud" in refused.json["detail"]
    refused = await call("POST", "/api/session", json={"token": proof})
    assert refused.problem == (401, "session_ended")
    for user, headers in spared.items():
        assert await whose(call, headers) == user
    # They may log in again.
    assert await whose(call, await logged_in(call)) == anna
    assert await whose(call, bearing(signed(anna))) == anna


@pytest.mark.gen_test
async def test_who_is_kept_out_comes_in_by_no_way_until_then(
    call: Call, admin: Call, call_internal: Call, anna: str, gateway: Gateway
) -> None:
    before = await logged_in(call)
    socket = FakeLive(rooms=set(), user=anna)
    gateway.live.registry.serve(socket, address="", user=anna)
    until = datetime.now(UTC) + timedelta(hours=1)
    answer = await order(admin, user=anna, until=until.isoformat(), reason="too loud")
    assert answer.json["done"] == {gateway.cluster.bus.gateway: 1}
    assert socket.ended == "kept_out"
    late = signed(anna)
    attempts = [
        await call("GET", "/api/session", headers=before),
        await call("GET", "/api/session", headers=bearing(late)),
        await call("POST", "/api/session", json={"user": anna, "password": PASSWORD}),
        await call("POST", "/api/session", json={"token": late}),
    ]
    for refused in attempts:
        assert refused.problem == (403, "kept_out")
        assert "too loud" in refused.json["detail"]
        assert until.strftime("%Y-%m-%dT%H:%M:%SZ") in refused.json["detail"]
        assert 3500 < int(refused.headers["Retry-After"]) <= 3600
    wrong = await call("POST", "/api/session", json={"user": anna, "password": "guess"})
    assert wrong.problem == (401, "not_authenticated"), "only the owner is told"
    asked = "/broker/auth/vhost?username={}&vhost=%2F&ip=127.0.0.1"
    denied = await call_internal("GET", asked.format(anna))
    assert denied.body == b"deny"
    assert (await call_internal("GET", asked.format("mina"))).body == b"allow"
    await order(admin, user=anna)
    refused = await call("POST", "/api/session", json={"user": anna, "password": PASSWORD})
    assert refused.problem == (403, "kept_out"), "a second order lets nobody in"
    (entry,) = (await admin("GET", "/api/admin/revocations")).json["revocations"]
    assert (entry["user"], entry["by"]) == (anna, "root")
    for status, problem in ((204, None), (404, "not_kept_out")):
        answer = await admin("POST", "/api/admin/admit", json={"user": anna})
        assert answer.status == status
        assert problem is None or answer.problem == (status, problem)
    assert await whose(call, await logged_in(call)) == anna
    assert await whose(call, before) == (401, "session_ended")
    assert (await call_internal("GET", asked.format(anna))).body == b"allow"


@pytest.mark.parametrize(
    ("revoked", "ended"),
    [
        ({"jti": "t1"}, {"t1", "t1 traded"}),
        ({"sub": "anna"}, {"t1", "t1 traded", "t2", "t2 traded"}),
        ({"jti": "x" * 300}, set()),
    ],
)
@pytest.mark.gen_test
async def test_a_token_on_the_revocation_list_ends_with_what_it_was_traded_for(
    call: Call, admin: Call, gateway: Gateway, revoked: dict[str, str], ended: set[str]
) -> None:
    proofs = {jti: signed(jti=jti, at=-10) for jti in ("t1", "t2")}
    proofs["another"] = signed("mina", jti="t3", at=-10)
    headers = {name: bearing(proof) for name, proof in proofs.items()}
    headers |= {f"{name} traded": await traded(call, proof) for name, proof in proofs.items()}
    assert {await whose(call, each) for each in headers.values()} == {"anna", "mina"}
    answer = await admin("POST", "/api/admin/revocations", json=revoked | {"reason": "lost"})
    assert answer.json == {"done": {gateway.cluster.bus.gateway: 0}, "missing": {}}
    found = {name: await whose(call, each) for name, each in headers.items()}
    assert {name for name, who in found.items() if who == (401, "session_ended")} == ended


@pytest.mark.parametrize(
    "wanted",
    [
        {"user": "anna", "until": "2020-01-01T00:00:00Z"},
        {"user": "anna", "until": "2999-01-01T00:00:00Z"},
        {"user": "anna", "until": "2027-01-01T00:00:00"},
        {"user": "anna", "until": 5},
        {"user": "anna", "reason": "x" * 201},
        {"user": "anna", "reason": "a\nb"},
        {"gateway": "g", "connection": "c", "reason": "x"},
    ],
)
@pytest.mark.gen_test
async def test_an_order_that_makes_no_sense_is_refused(
    call: Call, admin: Call, anna: str, wanted: dict[str, object]
) -> None:
    headers = await logged_in(call)
    assert (await order(admin, **wanted)).problem == (400, "invalid_request")
    assert await whose(call, headers) == anna


@pytest.mark.parametrize(
    "wanted", [{}, {"jti": "a", "sub": "b"}, {"jti": "a", "until": "2027-01-01T00:00:00Z"}]
)
@pytest.mark.gen_test
async def test_a_revocation_names_one_claim(admin: Call, wanted: dict[str, str]) -> None:
    answer = await admin("POST", "/api/admin/revocations", json=wanted)
    assert answer.problem == (400, "invalid_request")


@pytest.mark.gen_test
async def test_without_the_database_an_order_is_not_done_by_half(
    call: Call, admin: Call, anna: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = await logged_in(call)

    async def away(_: object) -> None:
        raise StoreUnavailable("the database is not available", retry_after=1.0)

    monkeypatch.setattr(store, "revoke", away)
    assert (await order(admin, user=anna)).problem == (503, "store_unavailable")
    assert await whose(call, headers) == anna


@pytest.mark.parametrize("path", ["disconnect", "admit", "revocations"])
@pytest.mark.gen_test
async def test_only_admins_order(call: Call, anna: str, path: str) -> None:
    headers = await logged_in(call)
    answer = await call("POST", f"/api/admin/{path}", json={"user": "root"}, headers=headers)
    assert answer.problem == (403, "access_refused")


# What is under way


@pytest.mark.gen_test
async def test_a_token_that_is_revoked_while_it_is_traded_opens_nothing(
    call: Call, gateway: Gateway, store: Store, admin: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    add = store.add_session

    async def late(*arguments: Any, **options: Any) -> bool:
        await admin("POST", "/api/admin/revocations", json={"jti": "t1"})
        return await add(*arguments, **options)

    monkeypatch.setattr(store, "add_session", late)
    answer = await call("POST", "/api/session", json={"token": signed()})
    assert answer.problem == (401, "session_ended")
    assert await store.sessions_of("anna") == []


@pytest.mark.gen_test
async def test_a_read_that_waits_while_the_session_ends_gives_nothing(
    call: Call, anna: str, room: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = await logged_in(call)
    await call("POST", f"{room}/messages", json={"body": "secret"}, headers=headers)
    read = store.read_json

    async def slow(*arguments: Any, **options: Any) -> Any:
        page = await read(*arguments, **options)
        await call("DELETE", "/api/session", headers=headers)
        return page

    monkeypatch.setattr(store, "read_json", slow)
    answer = await call("GET", f"{room}/messages", headers=headers)
    assert answer.problem == (401, "session_ended")
    assert b"secret" not in answer.body


@pytest.fixture
def large_pages(tables: dict[str, Any]) -> None:
    tables["limits"]["page_size"] = 200


@pytest.mark.usefixtures("large_pages")
@pytest.mark.gen_test
async def test_an_answer_that_is_not_taken_is_cut_off_when_the_session_ends(
    call: Call, anna: str, room: str, gateway: Gateway, public: Listener
) -> None:
    headers = await logged_in(call)
    for _ in range(16):
        await call("POST", f"{room}/messages", json={"body": "x" * 60_000}, headers=headers)
    stream = await TCPClient(resolver=None).connect("127.0.0.1", public.port, max_buffer_size=4096)
    try:
        head = f"GET {room}/messages HTTP/1.1\r\nHost: x\r\nCookie: {headers['Cookie']}\r\n\r\n"
        await stream.write(head.encode())
        received = await stream.read_bytes(2000)
        assert b" 200 " in received
        answers = gateway.services.answers
        async with asyncio.timeout(20):
            while not len(answers):  # noqa: ASYNC110 - it is read in its own time
                await asyncio.sleep(0.01)
        await call("DELETE", "/api/session", headers=headers)
        assert not len(answers)
        taken, is_cut_off = 0, False
        while not is_cut_off:
            try:
                taken += len(await stream.read_bytes(4096, partial=True))
            except StreamClosedError:
                is_cut_off = True
        assert taken < 900_000, "the kernel had some of it"
    finally:
        stream.close()
    await gateway.live.registry.close(leaving(), within=1)
