"""A room with more and more messages: what reading, posting and forgetting take then.

The messages of before are written by plain SQL, because only what is done beside them counts.
"""

import asyncio
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from uuid import uuid4

from bench_suite import messages
from bench_suite.sizes.series import Growth, Series
from bench_suite.sizes.stopwatch import TIMES, milliseconds
from bench_suite.system import Progress
from broker.topology import Audience, Stream
from gateway.domain.room import MemberRole
from gateway.store import Store
from gateway.store.retention import REST, ROWS

SIZES: Final = (1_000, 10_000, 100_000, 1_000_000, 10_000_000)
GROWTHS: Final = (
    Growth("first_page", "first page (100), ms", digits=2),
    Growth("resume", "resume near the end (50), ms", digits=2),
    Growth("types", "the last of a rare type (20), ms", digits=2),
    Growth("state", "kept state, ms", digits=2),
    Growth("append", "a batch of 64 posts, ms", digits=2),
    Growth("retention", f"forgetting {ROWS}, ms", digits=2),
    Growth("bytes", "bytes on the disk for each", digits=0),
)
#: Of so many messages one has another type than most.
_RARE: Final = 1_000
_INSERT: Final = """
    INSERT INTO messages (id, room, audience, seq, sender, sent_at, type, body, role)
    VALUES (?, ?, 'public', ?, ?, ?, ?, ?, 'participant')
"""
_AGE: Final = """
    UPDATE messages SET sent_at = ? WHERE room = ? AND audience = 'public' AND seq > ?
"""
#: Of times in SQLite.
_FORMAT: Final = "%Y-%m-%d %H:%M:%S.%f"
_BEGAN: Final = datetime(2020, 1, 1, tzinfo=UTC)
_BODY: Final = '"%s"' % ("." * 64)


def measure(folder: Path, say: Progress, *, most: int = SIZES[-1]) -> Series:
    """In SQLite, in a file of ``folder``, up to ``most`` messages."""
    series = Series("history", "messages in one room", GROWTHS)
    asyncio.run(_measure(series, folder / "history.db", say, most))
    return series


async def _measure(series: Series, file: Path, say: Progress, most: int) -> None:
    store = await Store.open(f"sqlite:///{file}", migrate=True, call_timeout=600.0)
    try:
        room = await store.create_room("sizes", {"host": MemberRole.HOST}, datetime.now(UTC))
        stream, stored = Stream(Audience.PUBLIC, room.id), 0
        for size in SIZES:
            if size > most:
                break
            say(f"history: {size:,} messages")
            size_of_file = _fill(file, stream, stored, size)
            values, stored = await _timed(store, stream, size)
            values["bytes"] = size_of_file / size
            series.points[size] = values
    finally:
        await store.close()


def _fill(file: Path, stream: Stream, stored: int, size: int) -> int:
    """Write messages until the stream's head is at ``size``. The bytes of the file then."""
    with sqlite3.connect(file, isolation_level=None) as database:
        database.execute("PRAGMA synchronous = OFF")
        database.execute("PRAGMA cache_size = -500000")
        database.execute("BEGIN")
        # What was posted meanwhile becomes as old as what is around it.
        database.execute(_AGE, (_BEGAN.strftime(_FORMAT), stream.room, stored - 64 * TIMES))
        database.executemany(_INSERT, _rows(stream, stored, size))
        database.execute(
            "UPDATE streams SET head = ? WHERE room = ? AND audience = 'public'",
            (size, stream.room),
        )
        database.execute("COMMIT")
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    return file.stat().st_size


def _rows(stream: Stream, stored: int, size: int) -> Iterator[tuple[object, ...]]:
    for seq in range(stored + 1, size + 1):
        sent_at = (_BEGAN + timedelta(seconds=seq)).strftime(_FORMAT)
        kind = "poll" if seq % _RARE == 0 else "message"
        yield uuid4().hex, stream.room, seq, f"user{seq % 500}", sent_at, kind, _BODY


async def _timed(store: Store, stream: Stream, head: int) -> tuple[dict[str, float], int]:
    """Milliseconds of each thing, and where the stream's head is afterwards."""

    async def append() -> None:
        await store.append([messages.draft(stream, "host") for _ in range(64)])

    oldest = (await store.read(stream, after=0, limit=1)).first

    async def forget() -> None:
        nonlocal oldest
        oldest += ROWS
        # As old as the first message that stays.
        await store.prune(_BEGAN + timedelta(seconds=oldest))

    values = {
        "first_page": await milliseconds(lambda: store.read_json(stream, after=0, limit=100)),
        "resume": await milliseconds(lambda: store.read_json(stream, after=head - 50, limit=50)),
        "types": await milliseconds(
            lambda: store.read_json(stream, after=head // 2, limit=20, types=["poll"])
        ),
        "state": await milliseconds(lambda: store.read_state(stream, limit=100)),
        "append": await milliseconds(append),
        "retention": await milliseconds(forget, times=5) - 1000 * REST,
    }
    waiting = await store.unpublished_in(stream, after=0, limit=64 * TIMES)
    for start in range(0, len(waiting.messages), 512):
        await store.mark_published([each.id for each in waiting.messages[start : start + 512]])
    return values, (await store.heads([stream]))[stream]
