"""Secrets in files of their own, and as systemd's credentials."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from gateway import config, secret_files
from gateway.config import Config, ConfigError

SECRET = "a secret that is long enough to sign with"
NODE = {"name": "r1", "web_stomp": "ws://127.0.0.1:15674/ws", "amqp": "amqp://127.0.0.1"}


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("GATEWAY_") or name == secret_files.DIRECTORY_VARIABLE:
            monkeypatch.delenv(name)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The configuration's folder, with two secrets in files; the working directory is another."""
    (tmp_path / "password").write_text("hunter2\n")
    (tmp_path / "secret").write_bytes(b"\xef\xbb\xbf" + SECRET.encode() + b"\r\n" + b"n" * 40)
    return tmp_path


def parsed(folder: Path, **tables: dict[str, Any]) -> Config:
    given: dict[str, dict[str, Any]] = {
        "broker": {"user": "u", "nodes": [NODE]},
        "auth": {"secret_file": "secret"},
    }
    merged = {
        name: given.get(name, {}) | tables.get(name, {}) for name in given.keys() | tables.keys()
    }
    return config.parse(merged, source="gateway.toml", folder=folder)


def refused(folder: Path, **tables: dict[str, Any]) -> str:
    with pytest.raises(ConfigError) as caught:
        parsed(folder, **tables)
    return str(caught.value)


def test_secrets_are_read_from_beside_the_configuration(folder: Path) -> None:
    found = parsed(folder, broker={"password_file": "password"})
    assert found.broker.password.get_secret_value() == "hunter2"
    assert found.auth.secrets == (SECRET, "n" * 40)
    assert {"hunter2", SECRET} <= set(config.secrets_of(found))


def test_every_secret_has_a_file() -> None:
    assert set(secret_files.secret_keys(Config)) == {
        "auth.hook.secret",
        "auth.jwt.proxy_password",
        "auth.jwt.secret",
        "auth.secret",
        "broker.password",
        "server.drain_token",
        "store.url",
    }


def test_a_file_of_the_configuration_may_name_them_too(folder: Path) -> None:
    (folder / "url").write_text("postgresql://u:hunter3@db/interact\n")
    (folder / "gateway.toml").write_text(
        'broker.user = "u"\nbroker.password_file = "password"\nauth.secret_file = "secret"\n'
        'store.url_file = "url"\n'
        'broker.nodes = [{name = "a", web_stomp = "ws://h/", amqp = "amqp://h"}]\n'
    )
    found = config.load(folder / "gateway.toml")
    assert found.store.url.get_secret_value() == "postgresql://u:hunter3@db/interact"
    assert found.broker.password_file == folder / "password"


def test_the_environment_takes_the_place_of_both_ways(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEWAY_BROKER__PASSWORD_FILE", str(folder / "password"))
    found = parsed(folder, broker={"password": "old"})
    assert found.broker.password.get_secret_value() == "hunter2"
    monkeypatch.delenv("GATEWAY_BROKER__PASSWORD_FILE")
    monkeypatch.setenv("GATEWAY_BROKER__PASSWORD", "new")
    found = parsed(folder, broker={"password_file": "password"})
    assert found.broker.password.get_secret_value() == "new"


def test_systemd_s_credentials_come_between_the_file_and_the_environment(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = folder / "credentials"
    given.mkdir()
    (given / "broker.password").write_text("of systemd")
    (given / "auth.secret").write_text("s" * 32)
    (given / "key.pem").write_text("not ours")
    monkeypatch.setenv(secret_files.DIRECTORY_VARIABLE, str(given))
    found = parsed(folder, broker={"password_file": "nowhere"})
    assert found.broker.password.get_secret_value() == "of systemd"
    assert found.auth.secrets == ("s" * 32,)
    monkeypatch.setenv("GATEWAY_BROKER__PASSWORD", "of the environment")
    assert parsed(folder).broker.password.get_secret_value() == "of the environment"
    (given / "auth.secret").write_bytes(b"\xff")
    assert f"$CREDENTIALS_DIRECTORY: {given}/auth.secret is not UTF-8" in refused(folder)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "broker: password_file: {}/password cannot be read: No such file"),
        (b"", "broker: password_file: {}/password is empty"),
        (b"\n", "broker: password_file: {}/password is empty"),
        (b"\xff", "broker: password_file: {}/password is not UTF-8"),
        (b"x" * 65_537, "broker: password_file: {}/password has more than 65536 bytes"),
        (b"hunter2\nhunter3\n", "broker.password: "),
    ],
)
def test_a_file_that_holds_no_secret_is_named(
    folder: Path, content: bytes | None, told: str
) -> None:
    if content is None:
        (folder / "password").unlink()
    else:
        (folder / "password").write_bytes(content)
    text = refused(folder, broker={"password_file": "password"})
    assert told.format(folder) in text
    assert "hunter" not in text


def test_one_place_gives_a_secret_in_one_way(folder: Path) -> None:
    told = refused(folder, broker={"password": "x", "password_file": "password"})
    assert "broker: password and password_file are both given: leave one out" in told
