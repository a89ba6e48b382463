"""Installing packages, and the advice when that is impossible."""

import os
from pathlib import Path

import pytest

from devenv import packages
from devenv.errors import SetupError


def _lack(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    for name in names:
        monkeypatch.setitem(packages.PRESENT, name, lambda: False)


def _programs(folder: Path, **bodies: str) -> str:
    """A PATH with these shell scripts and nothing else."""
    for name, body in bodies.items():
        path = folder / name.replace("_", "-")
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)
    return str(folder)


def test_nothing_is_run_when_nothing_is_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(packages.PRESENT, "npm", lambda: True)
    monkeypatch.setenv("PATH", str(tmp_path))
    said: list[str] = []

    packages.ensure(["npm"], said.append)

    assert said == []


def test_a_psql_client_alone_is_no_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", _programs(tmp_path, psql="exit 0", npm="exit 0"))

    assert packages.missing(["npm"]) == ["npm"], "node is not there, so npm cannot run"
    (tmp_path / "npm").rename(tmp_path / "node")
    assert packages.missing(["npm"]) == ["npm"]


def test_without_apt_the_message_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _lack(monkeypatch, "rabbitmq-server", "npm")
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(SetupError, match="rabbitmq-server npm"):
        packages.ensure(["rabbitmq-server", "npm"], lambda text: None)


@pytest.mark.parametrize(
    ("programs", "complaint"),
    [
        ({}, "no sudo"),
        ({"sudo": "exit 1"}, "sudo asks for a password"),
    ],
)
def test_without_the_right_to_install_the_message_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, programs: dict[str, str], complaint: str
) -> None:
    _lack(monkeypatch, "rabbitmq-server")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("PATH", _programs(tmp_path, apt_get="exit 99", **programs))

    with pytest.raises(SetupError, match=complaint) as caught:
        packages.ensure(["rabbitmq-server"], lambda text: None)

    assert "apt-get install rabbitmq-server" in str(caught.value)


def test_the_output_of_apt_is_shown_when_it_fails(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _lack(monkeypatch, "rabbitmq-server")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    path = _programs(
        tmp_path,
        apt_get="exit 99",
        # Stands for the whole privileged step: `sudo -n sh -c … sh rabbitmq-server`.
        sudo='[ "$2" = true ] && exit 0; echo "E: no network for $6"; exit 100',
    )
    monkeypatch.setenv("PATH", path)

    with pytest.raises(SetupError, match="E: no network for rabbitmq-server"):
        packages.ensure(["rabbitmq-server"], lambda text: None)
