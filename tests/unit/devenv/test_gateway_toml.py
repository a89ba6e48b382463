"""The gateway's configuration that `scripts/run` writes."""

import tomllib
from pathlib import Path

from devenv import gateway_toml
from devenv.cluster import Cluster
from devenv.tls import Pair
from gateway import config

SECRET = "x" * 48


def test_the_gateway_accepts_it_and_finds_every_node(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path / "broker", 3)
    tables = gateway_toml.tables(
        cluster,
        port=8080,
        internal_port=8081,
        database=tmp_path / "interact.db",
        secret=SECRET,
        tls=None,
    )

    settings = config.parse(tomllib.loads(gateway_toml.render(tables)), source="test")

    assert [node.web_stomp for node in settings.broker.nodes] == [
        node.web_stomp_url for node in cluster.nodes
    ]
    assert settings.broker.password.get_secret_value() == cluster.gateway.password
    assert settings.server.address == "127.0.0.1"
    assert settings.server.origins == ("http://localhost:8080", "http://127.0.0.1:8080")
    assert settings.store.url.get_secret_value() == f"sqlite:///{tmp_path}/interact.db"


def test_with_a_pair_it_speaks_tls_and_expects_secure_origins(tmp_path: Path) -> None:
    pair = Pair(tmp_path / "ca.pem", tmp_path / "cert.pem", tmp_path / "key.pem")
    tables = gateway_toml.tables(
        Cluster(tmp_path / "broker", 1),
        port=9443,
        internal_port=9444,
        database=tmp_path / "interact.db",
        secret=SECRET,
        tls=pair,
    )

    settings = config.parse(tomllib.loads(gateway_toml.render(tables)), source="test")

    assert settings.server.tls is not None
    assert settings.server.tls.certificate == pair.certificate
    assert settings.server.origins[0] == "https://localhost:9443"


def test_text_is_quoted_so_that_it_comes_back_as_it_was() -> None:
    table = {"top": 'a "quoted" \\ 한글\n', "inner": {"list": ["x", "y"], "deep": {"on": True}}}

    assert tomllib.loads(gateway_toml.render(table)) == table


def test_on_the_machines_own_address_pages_come_from_there_alone(tmp_path: Path) -> None:
    tables = gateway_toml.tables(
        Cluster(tmp_path / "broker", 1),
        port=8080,
        internal_port=8081,
        database=tmp_path / "interact.db",
        secret=SECRET,
        tls=None,
        address="192.168.0.17",
    )
    settings = config.parse(tomllib.loads(gateway_toml.render(tables)), source="test")
    assert settings.server.address == "192.168.0.17"
    assert settings.server.origins == ("http://192.168.0.17:8080",)
    assert settings.server.internal_address == "127.0.0.1"
