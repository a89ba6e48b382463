"""An upgrade while people are there, and the way back: gateways of the version before and of this
one, as processes on the same PostgreSQL; without a broker."""

from __future__ import annotations

import json
import subprocess
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests import version_before
from tests.conftest import NewDatabase
from tests.integration.process.conftest import Run, command_line
from tests.integration.process.test_in_front import token
from tests.integration.process.test_serving import serving

ROOM = {"title": "a room", "members": [{"user": "paul", "role": "participant"}]}


def ask(public: str, method: str, path: str, body: object = None) -> tuple[int, Any]:
    """What a gateway answers the host."""
    parts = urlsplit(public)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=30)
    headers = {"Authorization": f"Bearer {token('hana', 'host')}"}
    if body is not None:
        headers["Content-Type"] = "application/json"
    try:
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def say(public: str, room: int, text: str) -> int:
    """Returns the message's number."""
    status, receipt = ask(public, "POST", f"/api/rooms/{room}/messages", {"body": text})
    assert status == 202
    return int(receipt["seq"])


def said(public: str, room: int) -> list[tuple[int, str]]:
    status, page = ask(public, "GET", f"/api/rooms/{room}/messages?audience=public")
    assert status == 200
    assert page["complete"]
    return [(each["seq"], each["body"]) for each in page["messages"]]


@pytest.mark.postgres
def test_gateways_are_replaced_one_by_one_and_taken_back(
    environment: dict[str, str], run: Run, new_database: NewDatabase, tmp_path: Path
) -> None:
    environment["GATEWAY_STORE__URL"] = new_database().replace("+asyncpg", "")
    environment["GATEWAY_SERVER__NAME"] = "this"
    release = version_before.unpack(tmp_path / "release")
    old = environment | {"GATEWAY_SERVER__NAME": "before"}
    migrated = subprocess.run(  # noqa: S603 - our own program
        command_line("migrate"), env=old, cwd=release, capture_output=True, text=True, check=False
    )
    assert migrated.returncode == 0, migrated.stderr
    with serving(old, folder=release) as (process, before, _):
        room = int(ask(before, "POST", "/api/rooms", ROOM)[1]["id"])
        assert say(before, room, "on its own tables") == 1
        assert run("migrate").returncode == 0
        assert say(before, room, "on those of this version") == 2
        with serving(environment) as (_, now, _):
            assert say(now, room, "by this version") == 3
            assert say(before, room, "by the one before") == 4
            assert said(now, room) == said(before, room)
            # It is its own code that runs.
            modules = Path(f"/proc/{process.pid}/cwd").resolve()
            assert modules == release
            process.terminate()
            assert process.wait(60) == 0
            assert say(now, room, "alone") == 5
    with serving(old, folder=release) as (_, again, _):
        assert say(again, room, "taken back") == 6
        assert [number for number, _ in said(again, room)] == [1, 2, 3, 4, 5, 6]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A repository of two versions, neither of which is tagged."""
    folder = tmp_path / "project"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main")
    for version, changes in (("0.1.0", "abc"), ("0.2.0", "d")):
        for change in changes:
            (folder / "setup.cfg").write_text(f"version = {version}\n# {change}\n")
            git(folder, "add", "setup.cfg")
            git(folder, "commit", "--quiet", "--message", change)
    return folder


def git(folder: Path, *arguments: str) -> str:
    who = [f"user.{key}=nobody@school.example" for key in ("name", "email")]
    command = ["git", *(part for each in who for part in ("-c", each)), *arguments]
    return subprocess.run(  # noqa: S603 - our own arguments
        command, cwd=folder, capture_output=True, text=True, check=True
    ).stdout.strip()


def message(folder: Path, revision: str) -> str:
    return git(folder, "log", "-1", "--format=%s", revision)


def test_it_is_the_newest_tag_but_that_of_the_last_commit(project: Path) -> None:
    git(project, "tag", "v0.1.0", "main~3")
    git(project, "tag", "v0.1.10", "main~2")
    git(project, "tag", "v0.2.0")
    assert version_before.find(project) == "v0.1.10"
    git(project, "commit", "--quiet", "--allow-empty", "--message", "e")
    assert version_before.find(project) == "v0.2.0"


def test_without_tags_it_is_the_last_commit_of_another_version(
    project: Path, tmp_path: Path
) -> None:
    assert message(project, version_before.find(project)) == "c"
    git(project, "commit", "--quiet", "--allow-empty", "--message", "e")
    assert message(project, version_before.find(project)) == "c"
    # Without that history it is what there is.
    git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{project}", "shallow")
    assert message(tmp_path / "shallow", version_before.find(tmp_path / "shallow")) == "e"
    git(project, "checkout", "--quiet", "main~4")
    assert message(project, version_before.find(project)) == "a"
