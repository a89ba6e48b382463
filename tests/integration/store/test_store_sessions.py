"""Logins and the order in which they end, on both back ends."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from gateway.domain.session import EndedSession, Endings, LoginSession, Proof
from gateway.errors import Invalid
from gateway.store import Account, Store

HANNA = Account("hanna", "$argon2id$hash", frozenset({"host", "admin"}))
HOUR = timedelta(hours=1)


def login(
    user: str = "hanna", proof: Proof = Proof.PASSWORD, *, lasts: timedelta = HOUR
) -> LoginSession:
    now = datetime.now(UTC)
    return LoginSession(uuid4().hex, user, proof, now, now + lasts)


async def ended(store: Store, after: int = 0) -> set[str]:
    return {each.id for each in (await store.sessions_ended_since(after)).sessions}


@pytest.mark.gen_test
async def test_a_session_ends_once_and_all_gateways_see_it(
    store: Store, other_gateway: Store
) -> None:
    one, two = login(), login()
    for session in (one, two):
        assert await store.add_session(session)
    assert await ended(other_gateway) == set()
    first = await other_gateway.end_session(one)
    assert first == EndedSession(one.id, one.until, first.revision)
    assert await store.sessions_ended_since(0) == Endings(first.revision, [first])
    assert await store.end_session(one) == first, "the first ending counts"
    second = await store.end_session(two)
    newest = second.revision
    assert await other_gateway.sessions_ended_since(first.revision) == Endings(newest, [second])
    for known in (newest, newest + 10):
        assert await store.sessions_ended_since(known) == Endings(newest, [])


@pytest.mark.gen_test
async def test_nobody_who_looks_misses_an_ending_while_many_end(
    store: Store, other_gateway: Store
) -> None:
    sessions = [login() for _ in range(40)]
    for session in sessions:
        await store.add_session(session)
    seen: set[str] = set()
    endings = [
        asyncio.create_task((store, other_gateway)[n % 2].end_session(session))
        for n, session in enumerate(sessions)
    ]
    revision = 0
    while not all(ending.done() for ending in endings):
        found = await other_gateway.sessions_ended_since(revision)
        for each in found.sessions:
            assert revision < each.revision <= found.newest
            seen.add(each.id)
        revision = found.newest
    seen |= await ended(store, revision)
    await asyncio.gather(*endings)
    assert seen == {session.id for session in sessions}


@pytest.mark.parametrize("change", ["removed", "password", "roles"])
@pytest.mark.gen_test
async def test_an_accounts_sessions_end_with_it_and_nobody_elses(store: Store, change: str) -> None:
    paul = Account("paul", "$argon2id$hash", frozenset())
    for account in (HANNA, paul):
        await store.put_account(account)
    mine = [login(), login()]
    others = [login("paul"), login(proof=Proof.TOKEN)]
    for session in (*mine, *others):
        await store.add_session(session)
    match change:
        case "removed":
            assert await store.remove_account("hanna")
        case "password":
            await store.put_account(Account("hanna", "$argon2id$new", HANNA.roles))
        case _:
            await store.put_account(Account("hanna", HANNA.password_hash, frozenset()))
    assert await ended(store) == {session.id for session in mine}


@pytest.mark.gen_test
async def test_hashing_a_password_again_ends_nothing(store: Store) -> None:
    await store.put_account(HANNA)
    await store.add_session(login(), HANNA)
    newer = await store.rehash_account(HANNA, "$argon2id$stronger")
    assert newer == Account("hanna", "$argon2id$stronger", HANNA.roles)
    assert await store.account("hanna") == newer
    assert await store.rehash_account(HANNA, "$argon2id$late") is None
    assert await store.account("hanna") == newer
    assert await ended(store) == set()


@pytest.mark.parametrize(
    "now",
    [None, Account("hanna", "x", HANNA.roles), Account("hanna", HANNA.password_hash, frozenset())],
)
@pytest.mark.gen_test
async def test_no_session_begins_by_an_account_that_has_changed_meanwhile(
    store: Store, other_gateway: Store, now: Account | None
) -> None:
    await store.put_account(HANNA)
    session = login()
    if now is None:
        await other_gateway.remove_account("hanna")
    else:
        await other_gateway.put_account(now)
    assert not await store.add_session(session, HANNA)
    if now is not None:
        assert await store.add_session(session, now)


@pytest.mark.gen_test
async def test_a_login_and_a_removal_at_once_leave_no_session(
    store: Store, other_gateway: Store
) -> None:
    for _ in range(10):
        await store.put_account(HANNA)
        session = login()
        begun, _ = await asyncio.gather(
            store.add_session(session, HANNA), other_gateway.remove_account("hanna")
        )
        assert begun == (session.id in await ended(store))


@pytest.mark.gen_test
async def test_a_session_that_the_database_does_not_know_can_be_ended_all_the_same(
    store: Store,
) -> None:
    session = login(proof=Proof.TOKEN)
    await store.end_session(session)
    assert await ended(store) == {session.id}


@pytest.mark.gen_test
async def test_sessions_that_are_over_are_not_reported_and_are_forgotten(store: Store) -> None:
    over, going_on = login(lasts=-HOUR), login()
    for session in (over, going_on):
        await store.add_session(session)
        await store.end_session(session)
    assert await ended(store) == {going_on.id}
    await store.forget_sessions(datetime.now(UTC))
    # The order of endings goes on.
    newest = (await store.sessions_ended_since(0)).newest
    assert (await store.end_session(over)).revision > newest
    assert (await store.end_session(going_on)).revision == newest


@pytest.mark.parametrize("user", ["", "x" * 256, "a\0b", "\ud800"])
@pytest.mark.gen_test
async def test_a_user_whose_name_cannot_be_stored_has_no_session(store: Store, user: str) -> None:
    with pytest.raises(Invalid):
        await store.add_session(login(user))
