"""The commands in the documents: blocks that say `sh run` are run as they stand, beside a gateway
without a broker."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.integration.conftest import SqliteTables
from tests.integration.process.conftest import JWT_SECRET, SECRET
from tests.integration.process.test_serving import serving

_PROJECT: Final = Path(__file__).parents[3]
_PAGES: Final = [_PROJECT / "README.md", *sorted((_PROJECT / "docs").rglob("*.md"))]
_BLOCK: Final = re.compile(r"^( *)```([^\n]*)\n(.*?)^ *```$", re.M | re.S)
#: What a reader has elsewhere than this test.
_HERE: Final = {".venv/bin/gateway --config .run/gateway.toml": "gateway"}


@dataclass(frozen=True)
class Block:
    """A fenced block of a page. ``mark``: what stands behind its three backticks."""

    page: str
    mark: str
    text: str

    @property
    def is_run(self) -> bool:
        return self.mark == "sh run"


def _blocks() -> Iterator[Block]:
    for page in _PAGES:
        for indent, mark, text in _BLOCK.findall(page.read_text(encoding="utf-8")):
            lines = [line.removeprefix(indent) for line in text.splitlines()]
            yield Block(str(page.relative_to(_PROJECT)), mark, "\n".join(lines))


_BLOCKS: Final = list(_blocks())
_RUN: Final = sorted({block.page for block in _BLOCKS if block.is_run})


@dataclass(frozen=True)
class Gateway:
    """A gateway that serves, and the shell of somebody beside it."""

    environment: dict[str, str]
    public: str
    internal: str

    def here(self, text: str) -> str:
        """A page's commands for this gateway."""
        for theirs, ours in {
            **_HERE,
            "http://localhost:8080": self.public,
            "http://localhost:8081": self.internal,
        }.items():
            text = text.replace(theirs, ours)
        return text


@pytest.fixture
def beside(
    environment: dict[str, str], tmp_path: Path, sqlite_tables: SqliteTables
) -> Iterator[Gateway]:
    del sqlite_tables
    programs = tmp_path / "bin"
    programs.mkdir()
    gateway = programs / "gateway"
    gateway.write_text(f'#!/bin/sh\nexec {sys.executable} -m gateway "$@"\n')
    gateway.chmod(0o755)
    environment |= {
        "PATH": f"{programs}:{environment['PATH']}",
        "PYTHONPATH": str(_PROJECT),
        "GATEWAY_BROKER__CONFIRM_TIMEOUT": "0.2",
        "GATEWAY_AUTH__SECRET": SECRET,
        "GATEWAY_AUTH__JWT__SECRET": JWT_SECRET,
    }
    with serving(environment) as (_, public, internal):
        yield Gateway(environment, public, internal)


def test_there_are_blocks_to_run() -> None:
    assert len(_RUN) >= 5
    assert "README.md" in _RUN


def test_the_commands_of_each_page_work(beside: Gateway, tmp_path: Path) -> None:
    shell = shutil.which("bash")
    assert shell is not None
    for page in _RUN:
        text = "\n".join(block.text for block in _BLOCKS if block.page == page and block.is_run)
        folder = tmp_path / page.replace("/", "-")
        folder.mkdir()
        done = subprocess.run(  # noqa: S603 - our own documents
            [shell, "-euo", "pipefail", "-x", "-c", beside.here(text)],
            cwd=folder,
            env=beside.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, f"{page}:\n{done.stdout}{done.stderr}"
        # curl ends with 0 whatever the answer is.
        assert '"code": ' not in done.stdout, f"{page}:\n{done.stdout}"
