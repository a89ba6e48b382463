"""A room with more and more members: what making it, reading it and one more member take."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from bench_suite.sizes.series import Growth, Series
from bench_suite.sizes.stopwatch import milliseconds
from bench_suite.system import Progress
from gateway.domain.room import MemberRole
from gateway.store import Store

SIZES: Final = (10, 100, 1_000, 10_000)
GROWTHS: Final = (
    Growth("create", "making the room, ms", most=1.0, digits=2),
    Growth("roster", "all memberships, read at most twice a second, ms", most=1.0, digits=2),
    Growth("membership", "one membership, ms", digits=2),
    Growth("list", "the list for a host, ms", most=1.0, digits=2),
    Growth("join", "one more member, ms", digits=2),
)


def measure(folder: Path, say: Progress) -> Series:
    """In SQLite, in a file of ``folder``."""
    series = Series("members", "members of one room", GROWTHS)
    asyncio.run(_measure(series, folder / "members.db", say))
    return series


async def _measure(series: Series, file: Path, say: Progress) -> None:
    store = await Store.open(f"sqlite:///{file}", migrate=True)
    try:
        for size in SIZES:
            say(f"members: {size:,}")
            series.points[size] = await _timed(store, size)
    finally:
        await store.close()


async def _timed(store: Store, size: int) -> dict[str, float]:
    now = datetime.now(UTC)
    members = {f"user{number}": MemberRole.PARTICIPANT for number in range(size - 1)}
    members["host"] = MemberRole.HOST
    rooms: list[int] = []
    joined = iter(range(size, 2 * size + 100))

    async def create() -> None:
        rooms.append((await store.create_room("sizes", members, now)).id)

    async def join() -> None:
        await store.set_member(rooms[0], f"user{next(joined)}", MemberRole.PARTICIPANT)

    return {
        "create": await milliseconds(create, times=5),
        "roster": await milliseconds(lambda: store.roster(rooms[-1])),
        "membership": await milliseconds(lambda: store.membership(rooms[-1], "user3")),
        "list": await milliseconds(lambda: store.members(rooms[-1])),
        "join": await milliseconds(join),
    }
