"""Orders of the command line stand in the journal, with who gave them."""

from __future__ import annotations

import asyncio
import os
import pwd
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any, TypeVar

import pytest

from gateway.domain.journal import Entry, EntryKind, Search
from gateway.domain.room import MemberRole
from gateway.store import Store
from tests.integration.process.conftest import Run

T = TypeVar("T")
ACTIONS = frozenset({EntryKind.ACTION})


def in_store(environment: dict[str, str], work: Callable[[Store], Coroutine[Any, Any, T]]) -> T:
    async def do() -> T:
        store = await Store.open(environment["GATEWAY_STORE__URL"], migrate=True)
        try:
            return await work(store)
        finally:
            await store.close()

    return asyncio.run(do())


def noted(environment: dict[str, str], **search: Any) -> list[Entry]:
    """The orders in the journal, the first one first."""
    wanted = Search(kinds=ACTIONS, **search)
    return in_store(environment, lambda store: store.journal.search(wanted))[::-1]


def test_orders_are_noted_with_the_system_user_who_gave_them(
    run: Run, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SUDO_USER", raising=False)
    assert run("user", "add", "kim", "--role", "host").returncode == 0
    assert run("user", "show-as", "kim", "Kim").returncode == 0
    assert run("user", "end", "kim", "--minutes", "5", "--reason", "too loud").returncode == 0
    assert run("user", "admit", "kim").returncode == 0
    monkeypatch.setenv("SUDO_USER", "deploy")
    assert run("user", "remove", "kim").returncode == 0
    assert run("revoke", "--sub", "kim").returncode == 0
    # What is refused is no order.
    assert run("user", "remove", "kim").returncode == 1
    me = pwd.getpwuid(os.getuid()).pw_name
    entries = noted(environment)
    assert [(each.code, each.user, each.by) for each in entries] == [
        ("accounts_made", "kim", f"command line ({me})"),
        ("account_shown_as", "kim", f"command line ({me})"),
        ("end_user", "kim", f"command line ({me})"),
        ("admit", "kim", f"command line ({me})"),
        ("account_removed", "kim", f"command line (deploy as {me})"),
        ("end_tokens", None, f"command line (deploy as {me})"),
    ]
    assert entries[0].detail == "new account kim (host)"
    assert "keep out until" in entries[2].detail
    assert entries[2].detail.endswith("(too loud): 0 sessions")
    assert {each.gateway for each in entries} == {"command line"}
    assert noted(environment, user="kim") == entries[:-1]
    assert run("names", "list").returncode == 0


def test_a_deletion_is_noted_without_the_persons_name_and_stays(
    run: Run, environment: dict[str, str]
) -> None:
    async def room(store: Store) -> int:
        members = {"hana": MemberRole.HOST, "kim": MemberRole.PARTICIPANT}
        return (await store.create_room("a room", members, datetime.now(UTC), creator="hana")).id

    number = in_store(environment, room)
    assert run("user", "end", "kim").returncode == 0
    assert run("erase", "user", "kim").returncode == 0
    assert run("erase", "room", str(number)).returncode == 0
    ended, of_user, of_room = noted(environment)
    assert (ended.code, ended.user, ended.detail) == ("end_user", None, "(deleted by request)")
    assert of_user.detail == "deletion no. 1 of the record: what a person has left in all rooms"
    assert of_room.detail == f"deletion no. 2 of the record: room {number}"
    assert (of_user.user, of_room.room) == (None, number)
    assert noted(environment, room=number) == [of_room]


def test_without_a_journal_nothing_is_noted(run: Run, environment: dict[str, str]) -> None:
    environment["GATEWAY_JOURNAL__KEEP_DAYS"] = "0"
    assert run("user", "add", "kim").returncode == 0
    assert noted(environment) == []
