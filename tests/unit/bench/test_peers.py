"""The peers' configurations are filled in completely."""

from pathlib import Path

import pytest

from bench_suite.peers import PROXIES, rendered
from bench_suite.system import Lab
from devenv.cluster import Cluster
from devenv.tls import Pair


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    cluster = Cluster(tmp_path / "cluster", 3)
    pair = Pair(tmp_path / "ca.pem", tmp_path / "server.pem", tmp_path / "key.pem")
    return Lab(cluster, tmp_path, pair, 5000, lambda text: None)


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("name", PROXIES)
def test_every_node_is_balanced_over_and_every_connection_has_a_place(
    lab: Lab, name: str, tls: bool
) -> None:
    text = rendered(PROXIES[name], lab, folder=lab.folder, port=12345, tls=tls)
    for node in lab.cluster.nodes:
        assert f"127.0.0.1:{node.web_stomp_port}" in text
    assert "127.0.0.1:12345" in text
    assert ("server" in text and ".pem" in text) == tls
    assert any(limit in text for limit in ("5100", "10200", "6000"))


def test_dollars_of_nginx_itself_stay(lab: Lab) -> None:
    text = rendered(PROXIES["nginx"], lab, folder=lab.folder, port=1, tls=False)
    assert "$http_upgrade" in text
    assert "$$" not in text
