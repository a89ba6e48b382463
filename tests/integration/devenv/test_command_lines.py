"""Every script says how it is used before anything is installed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from devenv import broker, command_lines

_PROJECT = Path(__file__).parents[3]


@pytest.fixture
def bare_checkout(tmp_path: Path) -> Path:
    """A checkout without `.venv`; its only Python, `python`, has the standard library alone."""
    checkout = tmp_path / "checkout"
    shutil.copytree(_PROJECT / "scripts", checkout / "scripts")
    python = tmp_path / "python"
    # -S: no site-packages.
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S "$@"\n')
    python.chmod(0o755)
    return checkout


def _run(checkout: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own files
        [checkout / "scripts" / command[0], *command[1:]],
        env={**os.environ, "PYTHON": str(checkout.parent / "python")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    "command",
    [
        *(
            (name, option)
            for name in (*command_lines.PARSERS, "test")
            for option in ("-h", "--help")
        ),
        ("run", "--nodes", "3", "--help"),
    ],
    ids=" ".join,
)
def test_help_is_answered_before_anything_is_installed(
    bare_checkout: Path, command: tuple[str, ...]
) -> None:
    ended = _run(bare_checkout, *command)

    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith(f"usage: scripts/{command[0]} ")
    assert {path.name for path in bare_checkout.iterdir()} == {"scripts"}, "nothing was made"


def test_the_help_of_pytest_is_pytests(bare_checkout: Path) -> None:
    # It needs the packages, and this checkout does not say which.
    ended = _run(bare_checkout, "test", "unit", "--help")

    assert ended.returncode != 0
    assert "usage: scripts/test" not in ended.stdout


def test_broker_can_do_what_its_command_line_names() -> None:
    assert tuple(broker._ACTIONS) == command_lines.NODE_ACTIONS
