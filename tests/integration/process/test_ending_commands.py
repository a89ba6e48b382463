"""``gateway user end``, ``admit``, ``sessions``, ``ended``, and ``gateway revoke``."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from gateway.cli import orders
from gateway.domain.revocation import TokenMark
from gateway.domain.session import LoginSession, Proof
from gateway.store import Store
from tests.integration.process.conftest import Run

LONG = "x" * 300


def log_in(environment: dict[str, str], *sessions: LoginSession) -> None:
    async def add() -> None:
        store = await Store.open(environment["GATEWAY_STORE__URL"], migrate=True)
        for session in sessions:
            await store.add_session(session)
        await store.close()

    asyncio.run(add())


def session(id: str, user: str = "anna", *, token: TokenMark | None = None) -> LoginSession:
    now = datetime(2026, 11, 30, 9, tzinfo=UTC)
    later = datetime.now(UTC) + timedelta(hours=8)
    proof = Proof.PASSWORD if token is None else Proof.TOKEN
    return LoginSession(
        id, user, proof, now, later, address="203.0.113.7", device="Firefox", token=token
    )


def shown(run: Run, user: str = "anna") -> list[str]:
    return [line.split("\t")[-1] for line in run("user", "sessions", user).stdout.splitlines()]


def test_a_users_sessions_are_shown_and_end(run: Run, environment: dict[str, str]) -> None:
    log_in(environment, session("s1"), session("s2"), session("s3", "bob"))
    (line, _) = run("user", "sessions", "anna").stdout.splitlines()
    assert line.startswith("2026-11-30T09:00:00.000000Z\t2026-11-30T09:00:00.000000Z\t")
    assert "\tpassword\t203.0.113.7\tFirefox\ts" in line
    told = run("user", "end", "anna", "--minutes", "90", "--reason", "too loud").stdout
    assert told == "ended anna: 2 sessions, and what is open by tokens\n"
    assert (shown(run), shown(run, "bob")) == ([], ["s3"])
    (name, since, until, by, reason) = run("user", "ended").stdout.rstrip("\n").split("\t")
    assert (name, by, reason) == ("user anna", orders.giver(), "too loud")
    lasts = datetime.fromisoformat(until) - datetime.fromisoformat(since)
    assert lasts == timedelta(minutes=90)
    assert run("user", "admit", "anna").stdout == "admitted anna\n"
    again = run("user", "admit", "anna")
    assert again.returncode == 1
    assert again.stderr.endswith("gateway: anna is not kept out\n")
    assert run("user", "ended").stdout.split("\t")[2] == ""


@pytest.mark.parametrize(
    ("claim", "ended"), [(["--jti", "t1"], {"s1"}), (["--sub", "anna"], {"s1", "s2"})]
)
def test_a_tokens_sessions_end_with_it(
    run: Run, environment: dict[str, str], claim: list[str], ended: set[str]
) -> None:
    marks = {"s1": TokenMark("t1", "anna", 0.0), "s2": TokenMark("t2", "anna", 0.0)}
    log_in(environment, session("s0"), *(session(id, token=mark) for id, mark in marks.items()))
    told = run("revoke", *claim).stdout
    named = f"{claim[0][2:]} {claim[1]}"
    assert told == f"revoked {named}: {len(ended)} sessions, and what is open by tokens\n"
    assert set(shown(run)) == {"s0", "s1", "s2"} - ended


def test_a_user_of_rabbitmqs_own_is_meant_by_a_name_that_nobody_else_could_have(run: Run) -> None:
    assert run("user", "end", "kim☺", "--minutes", "5").returncode == 0
    # Written in another form: orders have one.
    assert run("user", "end", "ｌｅｅ", "--minutes", "5").returncode == 0
    names = {line.split("\t")[0] for line in run("user", "ended").stdout.splitlines()}
    assert names == {"user kim☺", "user lee"}
    assert run("user", "admit", "kim☺").returncode == 0


def test_a_time_is_taken_with_its_zone(run: Run) -> None:
    until = (datetime.now(UTC) + timedelta(days=3)).replace(microsecond=0)
    assert run("user", "end", "anna", "--until", until.isoformat()).returncode == 0
    shown_until = run("user", "ended").stdout.split("\t")[2]
    assert datetime.fromisoformat(shown_until) == until


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["user", "end", "anna", "--until", "2020-01-01T00:00Z"], 1, "within the next 366 days"),
        (["user", "end", "anna", "--until", "2999-01-01T00:00Z"], 1, "within the next 366 days"),
        (["user", "end", "anna", "--until", "noon"], 2, "invalid"),
        (["user", "end", "anna", "--minutes", "0"], 1, "within 366 days"),
        (["user", "end", "anna", "--minutes", "nan"], 1, "within 366 days"),
        (["user", "end", "anna", "--minutes", "5", "--until", "2027-01-01"], 2, "not allowed"),
        (["user", "end", "anna", "--reason", LONG], 1, "200 printable"),
        (["user", "end", "anna", "--reason", "a\nb"], 1, "200 printable"),
        (["user", "end", "a\nb"], 1, "printable characters only"),
        (["revoke"], 2, "required"),
        (["revoke", "--jti", ""], 1, "empty"),
        (["revoke", "--jti", "a", "--sub", "b"], 2, "not allowed"),
        (["revoke", "--jti", "a", "--minutes", "5"], 1, "stays so"),
    ],
)
def test_an_order_that_makes_no_sense_is_refused(
    run: Run, arguments: list[str], code: int, told: str
) -> None:
    result = run(*arguments)
    assert (result.returncode, told in result.stderr) == (code, True), result.stderr
    assert run("user", "ended").stdout == ""
