"""The command line, and the gateway as a process of its own; without a broker."""

from __future__ import annotations

import io
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.cli import arguments as cli
from tests.integration.conftest import SqliteTables

SECRET = "the gateway's own secret, long enough"
JWT_SECRET = "the issuer's secret, long enough for HS256"


DRAIN_TOKEN = "who-has-this-may-drain"


@dataclass(frozen=True)
class Result:
    """The result of a command."""

    returncode: int
    stdout: str
    stderr: str


Run = Callable[..., Result]


@pytest.fixture
def environment(tmp_path: Path, sqlite_tables: SqliteTables) -> dict[str, str]:
    """A configuration beyond the example; tests change it before they run commands."""
    sqlite_tables(tmp_path / "interact.db")
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("GATEWAY_")}
    return inherited | {
        "GATEWAY_CONFIG": str(Path(__file__).parents[3] / "conf" / "gateway.toml"),
        "GATEWAY_AUTH__SECRET": SECRET,
        "GATEWAY_AUTH__JWT__SECRET": JWT_SECRET,
        "GATEWAY_AUTH__JWT__ALGORITHMS": '["HS256"]',
        "GATEWAY_AUTH__JWT__ISSUER": "school",
        "GATEWAY_AUTH__JWT__AUDIENCE": "interact",
        "GATEWAY_BROKER__PASSWORD": "hunter2",
        # Port 9 (discard): nobody listens there.
        "GATEWAY_BROKER__NODES": (
            '[{"name":"r1","web_stomp":"ws://127.0.0.1:9/ws","amqp":"amqp://127.0.0.1:9"}]'
        ),
        "GATEWAY_STORE__URL": f"sqlite:///{tmp_path}/interact.db",
        "GATEWAY_SERVER__ADDRESS": "127.0.0.1",
        "GATEWAY_SERVER__PORT": "0",
        "GATEWAY_SERVER__INTERNAL_PORT": "0",
        "GATEWAY_SERVER__DRAIN_TOKEN": DRAIN_TOKEN,
        "GATEWAY_SERVER__NOTICE_TIME": "0",
    }


def command_line(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "gateway", *arguments]


@pytest.fixture
def run(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Runs one command to its end, in this process: starting one takes a second each time."""
    root = logging.getLogger()
    before = list(root.handlers), root.level

    def run(*arguments: str, stdin: str = "") -> Result:
        with monkeypatch.context() as patch:
            for name in [name for name in os.environ if name.startswith("GATEWAY_")]:
                patch.delenv(name)
            for name, value in environment.items():
                patch.setenv(name, value)
            patch.setattr(sys, "stdin", io.StringIO(stdin))
            with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
                try:
                    code = cli.main(arguments)
                except SystemExit as end:
                    # argparse ends so.
                    code = int(end.code or 0)
        return Result(code, out.getvalue(), err.getvalue())

    yield run
    root.handlers[:], level = before
    root.setLevel(level)
    logging.captureWarnings(capture=False)
