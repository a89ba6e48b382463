"""``gateway backup`` and ``restore``: while messages come in, to another place, and back."""

from __future__ import annotations

import asyncio
import errno
import os
import re
import shlex
import sqlite3
import subprocess
from functools import partial
from pathlib import Path

import pytest

from broker.topology import Stream
from gateway.store import Store, backup
from tests.conftest import NewDatabase
from tests.integration.process.conftest import SECRET, Run
from tests.integration.store.content import draft, history, new_stream, stored

#: Seconds between two posts: fifty a second.
_PACE = 0.02


def test_a_copy_taken_while_messages_come_in_has_every_one_until_then(
    run: Run, environment: dict[str, str], tmp_path: Path
) -> None:
    copy, elsewhere = tmp_path / "copy-4.db", tmp_path / "elsewhere.db"
    url = environment["GATEWAY_STORE__URL"]

    async def copied_while_posting() -> tuple[Stream, int, int]:
        """The stream, and what was stored when the last copy began and when it was there."""
        store = await Store.open(url)
        stream = await new_stream(store)
        # Long enough for a copy of several steps to be disturbed.
        for _ in range(10):
            await store.append([draft(stream, "x" * 60_000) for _ in range(10)])
        before = seq = 0
        # At several moments of the write-ahead log.
        for number in range(5):
            copying: asyncio.Task[backup.Contents] | None = None
            posts = 0
            while copying is None or not copying.done():
                (message,) = stored(await store.append([draft(stream)]))
                seq, posts = message.seq or 0, posts + 1
                if copying is None and posts == 5:
                    before = seq
                    work = partial(backup.copy, Path(store.name), tmp_path / f"copy-{number}.db")
                    copying = asyncio.create_task(asyncio.to_thread(work))
                await asyncio.sleep(_PACE)
            assert before <= copying.result().messages <= seq
        await store.close()
        return stream, before, seq

    stream, before, after = asyncio.run(copied_while_posting())
    assert copy.stat().st_mode & 0o777 == 0o600
    assert len([path for path in tmp_path.iterdir() if "copy" in path.name]) == 5
    environment["GATEWAY_STORE__URL"] = f"sqlite:///{elsewhere}"
    restored = run("restore", str(copy))
    assert restored.returncode == 0, restored.stderr

    async def seqs() -> list[int]:
        store = await Store.open(f"sqlite:///{elsewhere}")
        found = [message.seq or 0 for message in await history(store, stream)]
        # It goes on from there.
        (message,) = stored(await store.append([draft(stream, "again")]))
        assert message.seq == len(found) + 1
        await store.close()
        return found

    found = asyncio.run(seqs())
    assert found == list(range(1, len(found) + 1))
    assert before <= len(found) <= after


def test_nothing_is_overwritten_and_nothing_unfit_is_brought_back(
    run: Run, environment: dict[str, str], tmp_path: Path
) -> None:
    copy, database = tmp_path / "copy.db", tmp_path / "interact.db"
    made = run("backup", str(copy))
    assert made.stdout.startswith(f"wrote and checked {copy}: at revision ")
    taken = copy.read_bytes()
    for arguments in (("backup", str(copy)), ("restore", str(copy))):
        refused = run(*arguments)
        assert refused.returncode == 1
        assert "exists already, and is left alone" in refused.stderr
    assert copy.read_bytes() == taken
    assert run("backup", str(tmp_path / "nowhere" / "copy.db")).returncode == 1
    database.unlink()
    (tmp_path / "interact.db-wal").write_bytes(b"of a gateway that still runs")
    assert "interact.db-wal exists already" in run("restore", str(copy)).stderr
    (tmp_path / "interact.db-wal").unlink()
    spoilt = tmp_path / "spoilt.db"
    # A page in the middle, as a disk loses it.
    spoilt.write_bytes(taken[:8192] + b"\x00" * 4096 + taken[12288:])
    (tmp_path / "letter.db").write_text("to my aunt" * 1000)
    other = sqlite3.connect(tmp_path / "other.db")
    other.execute("CREATE TABLE t (a)")
    other.close()
    for name, told in (
        ("spoilt.db", "spoilt.db"),
        ("letter.db", "letter.db: file is not a database"),
        ("other.db", "other.db is no database of the gateway's"),
        ("none.db", "none.db does not exist"),
    ):
        refused = run("restore", str(tmp_path / name))
        assert (refused.returncode, told in refused.stderr) == (1, True), refused.stderr
        assert "Traceback" not in refused.stderr
        assert not database.exists()
    with sqlite3.connect(copy) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.execute("UPDATE compatibility SET oldest = '9999'")
    connection.close()
    assert "9999, which this version cannot use" in run("restore", str(copy)).stderr
    copy.write_bytes(taken)
    assert run("restore", str(copy)).returncode == 0
    assert run("user", "list").returncode == 0


def test_a_copy_goes_to_a_file_system_without_hard_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = tmp_path / "interact.db", tmp_path / "stick" / "copy.db"

    async def make() -> None:
        await (await Store.open(f"sqlite:///{source}", migrate=True)).close()

    asyncio.run(make())
    target.parent.mkdir()

    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    assert backup.copy(source, target) == backup.check(source)
    assert [path.name for path in target.parent.iterdir()] == ["copy.db"]
    assert target.stat().st_mode & 0o777 == 0o600


def test_it_says_by_name_what_else_a_backup_needs(
    run: Run, environment: dict[str, str], tmp_path: Path
) -> None:
    password = tmp_path / "broker-password"
    password.write_text("hunter2")
    del environment["GATEWAY_BROKER__PASSWORD"]
    environment["GATEWAY_BROKER__PASSWORD_FILE"] = str(password)
    told = run("backup", str(tmp_path / "copy.db")).stdout
    for line in (
        f"the configuration {environment['GATEWAY_CONFIG']}",
        f"broker.password_file: {password}",
        "the variable GATEWAY_AUTH__SECRET",
    ):
        assert f"\n  {line}\n" in told
    assert "hunter2" not in told
    assert SECRET not in told
    environment["GATEWAY_STORE__URL"] = "postgresql://interact:hunter3@db/interact"
    hint = run("backup", str(tmp_path / "dump"))
    assert hint.returncode == 1
    assert "pg_dump --format=custom" in hint.stderr
    assert "postgresql://db/interact" in hint.stderr
    assert "hunter3" not in hint.stderr


@pytest.mark.postgres
def test_postgresql_s_own_tools_bring_everything_back(
    tmp_path: Path, postgres_url: str, new_database: NewDatabase
) -> None:
    """As docs/how-to/backup.md says, line by line."""
    there = new_database()
    guide = (Path(__file__).parents[3] / "docs" / "how-to" / "backup.md").read_text()
    commands = re.findall(r"^pg_(?:dump|restore) [^#\n]+", guide, re.MULTILINE)
    assert len(commands) == 2

    async def filled() -> Stream:
        store = await Store.open(postgres_url, migrate=True)
        stream = await new_stream(store)
        await store.append([draft(stream, "before")])
        await store.close()
        return stream

    async def gone_on(stream: Stream) -> list[object]:
        store = await Store.open(there)
        # Numbers, and the functions by which applications post, go on from there.
        await store.append([draft(stream, "again")])
        found = [message.body for message in await history(store, stream)]
        await store.close()
        return found

    stream = asyncio.run(filled())
    (programs, *_) = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for command, database in zip(commands, (postgres_url, there), strict=True):
        words = shlex.split(
            command.replace("postgresql://db.example/interact", database.replace("+asyncpg", ""))
        )
        subprocess.run([programs / words[0], *words[1:]], cwd=tmp_path, check=True)  # noqa: S603 - as the guide has it
    assert asyncio.run(gone_on(stream)) == ["before", "again"]
