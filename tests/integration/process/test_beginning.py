"""``gateway init``, ``--version``, and where a command finds its configuration."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from gateway import config
from gateway.cli.initial import CONF, filled
from gateway.cli.listening import listeners
from gateway.config import Server
from tests.integration.process.conftest import Run
from tests.integration.process.test_serving import serving


@pytest.fixture
def folder(environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory; nothing is said by variables."""
    for name in [name for name in environment if name.startswith("GATEWAY_")]:
        del environment[name]
    place = tmp_path / "empty"
    place.mkdir()
    monkeypatch.chdir(place)
    return place


def test_a_configuration_to_begin_with_is_complete_and_has_secrets_of_its_own(
    run: Run, folder: Path
) -> None:
    result = run("init", "--origin", "https://학교.example/")
    assert result.returncode == 1
    assert "--origin: " in result.stderr
    assert not list(folder.iterdir())
    begun = run("init", "--origin", "https://학교.example")
    assert begun.returncode == 0, begun.stderr
    file = folder / "gateway.toml"
    assert file.stat().st_mode & 0o777 == 0o600
    first = config.load(file)
    assert first.server.origins == ("https://xn--9d0b527e.example",)
    secrets = {first.broker.password.get_secret_value(), *first.auth.secrets}
    assert first.server.drain_token is not None
    secrets.add(first.server.drain_token.get_secret_value())
    assert len(secrets) == 3
    assert all(secret not in begun.stdout + begun.stderr for secret in secrets)
    # Found without being named; and left alone, whoever begins again.
    assert "server.origins = ['https://xn--9d0b527e.example']" in run("check-config").stdout
    again = run("init")
    assert (again.returncode, "gateway.toml exists already" in again.stderr) == (1, True)
    assert config.load(file) == first
    assert run("--config", "other.toml", "init").returncode == 0
    other = config.load(folder / "other.toml")
    assert not secrets & set(config.secrets_of(other))
    assert run("--config", "nowhere/other.toml", "init").returncode == 1


def test_a_key_that_the_example_does_not_have_is_no_silent_omission() -> None:
    with pytest.raises(LookupError, match=r"server\.prot"):
        filled((CONF / "gateway.toml").read_text(), {"server.prot": 1})


def test_without_a_configuration_it_says_how_to_get_one(run: Run, folder: Path) -> None:
    result = run("check-config")
    assert result.returncode == 2
    assert "there is no gateway.toml here" in result.stderr
    assert "`gateway init` writes one" in result.stderr


def test_the_version_is_told_without_a_configuration(run: Run, folder: Path) -> None:
    result = run("--version")
    assert result.returncode == 0
    assert result.stdout.startswith("interact-gateway ")
    assert "\ntornado 6." in result.stdout
    assert "not installed" not in result.stdout


def test_the_doctor_tells_a_gateway_from_another_program(environment: dict[str, str]) -> None:
    with serving(environment) as (_, public, internal):
        ports = [int(url.rpartition(":")[2]) for url in (public, internal)]
        server = Server(address="127.0.0.1", port=ports[0], internal_port=ports[1])
        found = asyncio.run(listeners(server))
    assert [each.problem for each in found] == [None, None]
    assert found[0].what == f"public listener: a gateway serves at port {ports[0]}"
    free = asyncio.run(listeners(server))
    assert [each.what for each in free] == [
        f"{name} listener: 127.0.0.1:{port}"
        for name, port in zip(("public", "internal"), ports, strict=True)
    ]
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        taken = Server(address="127.0.0.1", port=other.getsockname()[1], internal_port=0)
        problem = asyncio.run(listeners(taken))[0].problem
    assert problem is not None
    assert problem.endswith("is in use, and no gateway answers there")
    foreign = asyncio.run(listeners(Server(address="192.0.2.1", internal_port=0)))[0]
    assert foreign.problem is not None
    assert "cannot listen on 192.0.2.1, port 8080: Cannot assign" in foreign.problem
