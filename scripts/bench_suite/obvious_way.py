"""The way in which one would write it in an hour: each POST is committed, then published and
confirmed, then answered.

What it does not do: log-ins, permissions, limits, ids that may be repeated, what was stored and not
published when it ends, a node that fails.
"""

import asyncio
import json
import os
import sqlite3
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, Protocol
from uuid import uuid4

import aiormq
import asyncpg
import uvloop
from aiormq.abc import AbstractChannel
from tornado.web import Application, RequestHandler

from bench_suite import confirmed
from broker.topology import Audience, Stream, Topology
from gateway.domain.message import Draft
from gateway.messages.publication import publication

_STREAM = Stream(Audience.PUBLIC, 1)
_TOPOLOGY = Topology()


class Store(Protocol):
    """A table of messages; each commit is on the disk before it returns."""

    async def add(self, body: str) -> int:
        """The message's number."""
        ...


class InSqlite:
    """A store in SQLite."""

    def __init__(self, file: str) -> None:
        # SQLite's calls block; one thread is what a file with one writer can use.
        self._thread = ThreadPoolExecutor(1)
        self._connection = sqlite3.connect(file, check_same_thread=False)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.execute("CREATE TABLE messages (seq INTEGER PRIMARY KEY, body TEXT)")

    async def add(self, body: str) -> int:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._add, body)

    def _add(self, body: str) -> int:
        with self._connection:
            added = self._connection.execute("INSERT INTO messages (body) VALUES (?)", (body,))
        return added.lastrowid or 0


class InPostgres:
    """A store in PostgreSQL, by a pool of connections."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def add(self, body: str) -> int:
        seq: int = await self._pool.fetchval(
            "INSERT INTO messages (body) VALUES ($1) RETURNING seq", body
        )
        return seq


async def opened(place: str) -> Store:
    """The store in a file, or in the database of a URL."""
    if not place.startswith("postgresql:"):
        return InSqlite(place)
    pool = await asyncpg.create_pool(place)
    await pool.execute("CREATE TABLE messages (seq bigserial PRIMARY KEY, body text)")
    return InPostgres(pool)


class Messages(RequestHandler):
    """A handler that stores, publishes, and answers with the number."""

    def initialize(self, store: Store, channel: AbstractChannel) -> None:
        self._store = store
        self._channel = channel

    async def post(self) -> None:
        posted: dict[str, Any] = json.loads(self.request.body)
        draft = Draft(
            uuid4(), _STREAM, "user", datetime.now(UTC), posted["type"], posted.get("body")
        )
        seq = await self._store.add(self.request.body.decode())
        made = publication(draft.numbered(seq), _TOPOLOGY)
        await confirmed.publish(self._channel, made)
        self.set_status(201)
        self.finish({"seq": seq})


async def serve(port: int, place: str) -> None:
    """Serve on loopback, without a log, until the process is killed."""
    connection = await aiormq.connect(os.environ["AMQP_URL"])
    known = {"store": await opened(place), "channel": await connection.channel()}
    Application([("/", Messages, known)], log_function=lambda handler: None).listen(
        port, "127.0.0.1"
    )
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), sys.argv[2]))
