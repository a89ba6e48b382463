"""Bytes that are kept for clients: how many, and whose connections end when there are too many."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from gateway.budget.table import BACKLOG
from gateway.config import Limits
from gateway.errors import GatewayError, TooSlow
from gateway.limits import LiveLimits
from gateway.live.bytes_in_hand import Account, BytesInHand
from tests.virtual_time import run, settle

OF_USER, IN_ALL = 100, 1000


@dataclass(eq=False)
class Connection:
    """A connection that gives back what is kept for it as it ends."""

    pool: BytesInHand
    user: str | None
    is_host: bool = False
    error: GatewayError | None = None
    account: Account = field(init=False)

    def __post_init__(self) -> None:
        self.account = self.pool.account(self)
        if self.user is not None:
            self.account.belongs_to(self.user)

    def cut_short(self, error: GatewayError) -> None:
        assert self.error is None, "ended twice"
        self.error = error
        self.account.close()


def pool() -> BytesInHand:
    limits = Limits(backlog_bytes_per_user=OF_USER, backlog_bytes_in_all=IN_ALL)
    return BytesInHand(BACKLOG, LiveLimits(limits), met=Counter())


def test_bytes_are_counted_by_user_and_in_all() -> None:
    async def main() -> None:
        found = pool()
        anna, again, bob = (Connection(found, user) for user in ("anna", "anna", "bob"))
        unknown = Connection(found, None)
        for connection, size in ((anna, 40), (again, 50), (bob, 60), (unknown, 7)):
            connection.account.keep(size)
        assert (found.kept, found.of("anna"), found.of("bob")) == (157, 90, 60)
        again.account.keep(10)
        unknown.account.belongs_to("bob")
        assert (found.kept, found.of("anna"), found.of("bob")) == (117, 50, 67)
        for connection in (anna, again, bob, unknown):
            connection.account.close()
            connection.account.close()
            connection.account.keep(5)
        assert (found.kept, found.of("anna"), found.of("bob")) == (0, 0, 0)

    run(main())


def test_a_user_with_too_many_loses_the_connection_that_is_most_behind() -> None:
    async def main() -> None:
        found = pool()
        mine = [Connection(found, "anna") for _ in range(3)]
        bob = Connection(found, "bob")
        bob.account.keep(OF_USER)
        for connection, size in zip(mine, (20, 50, 30), strict=True):
            connection.account.keep(size)
        await settle()
        assert [each.error for each in (*mine, bob)] == [None] * 4
        mine[0].account.keep(21)
        assert mine[1].error is None
        await settle()
        assert isinstance(mine[1].error, TooSlow)
        assert mine[1].error.budget == "backlog/user"
        assert [each.error for each in (mine[0], mine[2], bob)] == [None] * 3
        assert found.of("anna") == 51

    run(main())


def test_beyond_the_limit_in_all_those_most_behind_end_and_hosts_last() -> None:
    async def main() -> None:
        found = pool()
        host = Connection(found, "hana", is_host=True)
        host.account.keep(100)
        others = [Connection(found, f"user {number}") for number in range(10)]
        for number, connection in enumerate(others):
            connection.account.keep(90 - number)
        await settle()
        assert not any(each.error for each in (host, *others))
        Connection(found, None).account.keep(20)
        others[9].account.keep(99)
        others[8].account.keep(99)
        assert found.kept > IN_ALL
        await settle()
        assert [each.error is not None for each in others] == [False] * 8 + [True] * 2
        assert host.error is None
        assert found.kept <= 0.9 * IN_ALL

    run(main())


def test_hosts_end_when_there_is_nobody_else() -> None:
    async def main() -> None:
        found = pool()
        hosts = [Connection(found, f"host {number}", is_host=True) for number in range(11)]
        idle = Connection(found, "idle")
        for host in hosts:
            host.account.keep(99)
        await settle()
        assert sum(each.error is not None for each in hosts) == 2
        assert idle.error is None

    run(main())


def test_what_is_taken_before_the_turn_ends_nobody() -> None:
    async def main() -> None:
        found = pool()
        anna = Connection(found, "anna")
        anna.account.keep(OF_USER + 1)
        anna.account.keep(OF_USER)
        await settle()
        assert anna.error is None

    run(main())
