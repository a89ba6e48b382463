"""Logins and the order in which they end, on both back ends."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from gateway.domain.revocation import Revocation, Target, TokenMark
from gateway.domain.session import EndedSession, Endings, LoginSession, Proof
from gateway.errors import Invalid, KeptOut, RevocationsFull
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


def entry(
    value: str = "hanna",
    target: Target = Target.USER,
    *,
    at: datetime | None = None,
    hours: float | None = None,
) -> Revocation:
    now = at or datetime.now(UTC)
    kept_out = None if hours is None else now + timedelta(hours=hours)
    return Revocation(
        target=target,
        value=value,
        since=now,
        until=now + timedelta(days=1),
        kept_out_until=kept_out,
        reason="too loud",
        by="root",
    )


def refusing(named: Sequence[Revocation]) -> KeptOut:
    return KeptOut(" ".join(sorted(each.value for each in named)))


@pytest.mark.gen_test
async def test_an_entry_of_the_revocation_list_ends_the_sessions_that_it_names(
    store: Store, other_gateway: Store
) -> None:
    of_token = TokenMark("j1", "s1", 0.0)
    sessions = {
        "password": login(),
        "token": replace(login(proof=Proof.TOKEN), token=of_token),
        "another user's": replace(login("paul"), token=TokenMark("j2", "s1", 0.0)),
        "over": login(lasts=-HOUR),
        "spared": login("mina"),
    }
    for session in sessions.values():
        await store.add_session(session)
    begun = (await other_gateway.sessions_ended_since(0)).newest
    for named, expected in (
        (entry("j9", Target.TOKEN), set()),
        (entry("j1", Target.TOKEN), {"token"}),
        (entry("s1", Target.SUBJECT), {"another user's"}),
        (entry("hanna"), {"password"}),
    ):
        revoked = await store.revoke(named)
        found = await other_gateway.sessions_ended_since(begun)
        assert found == Endings(revoked.newest, found.sessions, found.revocations)
        assert {each.id for each in found.sessions} == {sessions[name].id for name in expected}
        assert all(each.reason == "too loud" for each in found.sessions)
        (told,) = found.revocations
        assert told == replace(named, revision=revoked.newest)
        begun = found.newest
    assert len(await other_gateway.revocations()) == 4


@pytest.mark.gen_test
async def test_a_second_order_lets_nobody_in_and_an_admission_does(store: Store) -> None:
    first = entry(hours=1)
    await store.revoke(first)
    # By a clock that is behind.
    again = await store.revoke(replace(entry(at=first.since - HOUR), reason=""))
    (kept,) = again.revocations
    assert kept.kept_out_until == first.kept_out_until
    assert kept.reason == first.reason == "too loud", "who is kept out is told why, as before"
    assert kept.since > first.since
    assert await store.admit(Target.USER, "hanna")
    (admitted,) = (await store.sessions_ended_since(again.newest)).revocations
    assert admitted == replace(kept, kept_out_until=None, revision=admitted.revision)
    for nobody in ("hanna", "paul", "a\0b"):
        assert not await store.admit(Target.USER, nobody)


@pytest.mark.gen_test
async def test_no_session_begins_that_an_entry_names_unless_the_gateway_says_so(
    store: Store,
) -> None:
    for named in (entry(), entry("j1", Target.TOKEN), entry("s1", Target.SUBJECT), entry("x")):
        await store.revoke(named)
    by_token = replace(login(proof=Proof.TOKEN), token=TokenMark("j1", "s1", 0.0))
    with pytest.raises(KeptOut, match=r"^hanna j1 s1$"):
        await store.add_session(by_token, refusal=refusing)
    with pytest.raises(KeptOut, match=r"^hanna$"):
        await store.add_session(login(), refusal=refusing)
    assert await store.sessions_of("hanna") == []
    assert await store.add_session(login(), refusal=lambda _: None)
    assert await store.add_session(login("mina"), refusal=refusing), "nobody has named her"


@pytest.mark.gen_test
async def test_a_login_and_an_order_at_once_leave_no_session(
    store: Store, other_gateway: Store
) -> None:
    for number in range(10):
        user = f"user{number}"
        session = login(user)

        async def begin(session: LoginSession = session) -> bool:
            try:
                return await store.add_session(session, refusal=refusing)
            except KeptOut:
                return False

        begun, _ = await asyncio.gather(begin(), other_gateway.revoke(entry(user, hours=1)))
        assert begun == (session.id in await ended(store))


@pytest.mark.gen_test
async def test_beyond_the_limit_the_sessions_that_were_not_used_for_longest_end(
    store: Store,
) -> None:
    start = datetime.now(UTC)

    def at(minutes: int) -> LoginSession:
        since = start + timedelta(minutes=minutes)
        return LoginSession(f"s{minutes}", "hanna", Proof.PASSWORD, since, since + 8 * HOUR)

    by_token = login(proof=Proof.TOKEN)
    await store.add_session(by_token, most=1)
    for minutes in range(4):
        await store.add_session(at(minutes), most=3)
    assert await ended(store) == {"s0"}
    await store.saw_sessions({"s1": start + HOUR})
    await store.add_session(at(4), most=3)
    assert await ended(store) == {"s0", "s2"}
    await store.add_session(at(5), most=1)
    kept = await store.sessions_of("hanna", Proof.PASSWORD)
    assert [each.id for each in kept] == ["s5"], "also after the limit was lowered"
    (reason,) = {each.reason for each in (await store.sessions_ended_since(0)).sessions}
    assert "too often" in reason
    assert [each.id for each in await store.sessions_of("hanna", Proof.TOKEN)] == [by_token.id]


@pytest.mark.gen_test
async def test_many_logins_of_one_user_at_once_keep_the_limit(
    store: Store, other_gateway: Store
) -> None:
    gateways = (store, other_gateway)
    await asyncio.gather(
        *(gateways[number % 2].add_session(login(), most=5) for number in range(30))
    )
    assert len(await store.sessions_of("hanna")) == 5


@pytest.mark.gen_test
async def test_a_session_is_shown_with_where_it_came_from_and_when_it_was_seen(
    store: Store, other_gateway: Store
) -> None:
    token = TokenMark("j1", "s1", 0.0)
    session = replace(login(), address="203.0.113.7", device="Firefox", token=token)
    older, over = login(), login(lasts=-HOUR)
    for each in (session, older, over, login("paul")):
        await store.add_session(each)
    seen = session.since + timedelta(minutes=5)
    for moment in (seen, seen - timedelta(minutes=1)):
        await other_gateway.saw_sessions({session.id: moment, "unknown": moment})
    await other_gateway.saw_sessions({})
    shown = replace(session, last_seen=seen)
    assert await store.session(session.id) == shown
    assert await store.sessions_of("hanna") == [shown, older]
    assert await store.sessions_of("hanna", Proof.TOKEN) == []
    for unknown in ("", "nothing", "a\0b", "\ud800"):
        assert await store.session(unknown) is None
    assert await store.end_own_sessions("paul", Proof.PASSWORD, only=session.id) == []
    assert await store.end_own_sessions("hanna", Proof.TOKEN, only=session.id) == []
    for nothing in ("a\0b", "\ud800"):
        assert await store.end_own_sessions("hanna", Proof.PASSWORD, only=nothing) == []
    (one,) = await store.end_own_sessions("hanna", Proof.PASSWORD, only=session.id)
    assert one.id == session.id
    assert await store.session(session.id) is None
    third = login()
    await store.add_session(third)
    (rest,) = await store.end_own_sessions("hanna", Proof.PASSWORD, but=third.id)
    assert rest.id == older.id
    assert await store.sessions_of("hanna") == [third]


@pytest.mark.gen_test
async def test_a_logout_and_a_removal_at_once_wait_for_each_other(
    store: Store, other_gateway: Store
) -> None:
    """Each needs the session's row and the counter."""
    for _ in range(20):
        await store.put_account(HANNA)
        session = login()
        await store.add_session(session, HANNA)
        await asyncio.gather(
            store.end_session(session),
            other_gateway.remove_account("hanna"),
            store.add_session(login(), most=1),
            other_gateway.saw_sessions({session.id: datetime.now(UTC)}),
        )


@pytest.mark.gen_test
async def test_many_old_sessions_and_entries_are_forgotten_in_portions(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.store.sessions.PORTION", 3)
    for number in range(8):
        await store.add_session(login(lasts=-HOUR))
        await store.revoke(entry(f"u{number}", at=datetime.now(UTC) - timedelta(days=2)))
    kept = login()
    await store.add_session(kept)
    await store.revoke(entry("mina"))
    assert await store.forget_sessions(datetime.now(UTC)) == 8
    assert await store.session(kept.id) is not None
    assert [each.value for each in await store.revocations()] == ["mina"]
    assert await store.forget_sessions(datetime.now(UTC)) == 0


@pytest.mark.gen_test
async def test_the_revocation_list_has_an_end(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.store.revocations.MOST", 2)
    for name in ("a", "b"):
        await store.revoke(entry(name))
    with pytest.raises(RevocationsFull):
        await store.revoke(entry("c"))
    await store.revoke(entry("a", hours=1))
