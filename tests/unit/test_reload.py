"""A new configuration is applied as far as it can be, or not at all."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any

import pytest

from gateway import config
from gateway.config import Config, ConfigError
from gateway.reload import Change, PutInForce, Reload


def read(**tables: dict[str, Any]) -> Config:
    node = {"name": "r1", "web_stomp": "ws://127.0.0.1:15674/ws", "amqp": "amqp://127.0.0.1"}
    given = {
        "broker": {"user": "u", "password": "p", "nodes": [node]},
        "auth": {"secret": "a secret that is long enough to sign with"},
        **tables,
    }
    return config.parse(given, source="gateway.toml")


@dataclass
class File:
    """The configuration that is read next, and the keys of it in force."""

    now: Config | ConfigError = field(default_factory=read)
    log_level: str = "info"
    origins: tuple[str, ...] = ()

    def read(self) -> Config:
        if isinstance(self.now, ConfigError):
            raise self.now
        return self.now

    def change_log(self, new: Config) -> PutInForce:
        def put_in_force() -> None:
            self.log_level = new.log.level

        return put_in_force

    def change_origins(self, new: Config) -> PutInForce:
        if "https://evil.example" in new.server.origins:
            raise ConfigError("server.origins: not this one")

        def put_in_force() -> None:
            self.origins = new.server.origins

        return put_in_force


@pytest.fixture
def file() -> File:
    return File()


@pytest.fixture
def reload(file: File, caplog: pytest.LogCaptureFixture) -> Reload:
    caplog.set_level(logging.INFO)
    changes: dict[Change, list[str]] = {
        file.change_log: ["log.level"],
        file.change_origins: ["server.origins"],
    }
    return Reload(read(), read=file.read, changes=changes)


def test_keys_that_may_change_are_applied_and_named(
    file: File, reload: Reload, caplog: pytest.LogCaptureFixture
) -> None:
    file.now = read(log={"level": "error"}, server={"origins": ["https://a.example"]})
    reload()
    assert (file.log_level, file.origins) == ("error", ("https://a.example",))
    assert caplog.messages == ["reloaded: log.level, server.origins"]


def test_keys_that_need_a_restart_are_named_each_time_and_the_rest_is_applied(
    file: File, reload: Reload, caplog: pytest.LogCaptureFixture
) -> None:
    file.now = read(
        log={"level": "error"},
        server={"port": 9090},
        auth={"secret": "another secret that is long enough"},
    )
    reload()
    reload()
    assert file.log_level == "error"
    waiting = "these keys have changed, but need a restart: auth.secret, server.port"
    assert caplog.messages == [
        "reloaded: log.level",
        waiting,
        "reloaded: no key, perhaps files",
        waiting,
    ]


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (ConfigError("gateway.toml:\n  log.level: nonsense\n  x: unknown key"), "x: unknown key"),
        (
            read(log={"level": "error"}, server={"origins": ["https://evil.example"]}),
            "server.origins: not this one",
        ),
    ],
)
def test_of_a_wrong_one_nothing_is_put_in_force(
    file: File,
    reload: Reload,
    caplog: pytest.LogCaptureFixture,
    wrong: Config | ConfigError,
    told: str,
) -> None:
    file.now = wrong
    reload()
    assert (file.log_level, file.origins) == ("info", ())
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.getMessage().startswith(
        "the new configuration is refused, and the old one stays in force: "
    )
    assert told in record.getMessage()
    assert "\n" not in record.getMessage()
    file.now = read(log={"level": "error"})
    reload()
    assert file.log_level == "error"
