"""The broker's configuration files: what production relies on, and what private nodes change."""

import re
from pathlib import Path

from devenv import broker_conf
from gateway.live.relay import dialler, relay

CONF = Path(__file__).parents[3] / "conf" / "rabbitmq"
PRODUCTION = broker_conf.parse((CONF / "rabbitmq.conf").read_text())


def test_comments_and_blank_lines_are_no_settings() -> None:
    text = "# a = 1\n\nb = 2 # why\n  c.d=e = f\n"

    assert broker_conf.parse(text) == {"b": "2", "c.d": "e = f"}


def test_rendered_settings_are_parsed_back() -> None:
    assert broker_conf.parse(broker_conf.render(PRODUCTION)) == PRODUCTION


def test_production_asks_its_own_accounts_first_and_uncached() -> None:
    assert PRODUCTION["auth_backends.1"] == "internal"
    assert PRODUCTION["auth_backends.2"] == "cache"
    assert PRODUCTION["auth_cache.cached_backend"] == "http"
    assert int(PRODUCTION["auth_cache.cache_ttl"]) <= 5000


def test_production_posts_to_each_path_of_the_gateways_back_end() -> None:
    assert PRODUCTION["auth_http.http_method"] == "post"
    for kind in ("user", "vhost", "resource", "topic"):
        assert PRODUCTION[f"auth_http.{kind}_path"].endswith(f"/broker/auth/{kind}")


def test_production_survives_a_partition_and_bodies_that_are_not_text() -> None:
    assert PRODUCTION["cluster_partition_handling"] == "pause_minority"
    assert PRODUCTION["web_stomp.ws_frame"] == "binary"


def test_nothing_in_production_listens_on_every_address() -> None:
    listeners = {
        key: value
        for key, value in PRODUCTION.items()
        if "listener" in key or key.endswith("tcp.ip")
    }

    assert len(listeners) == 5
    assert all(value.startswith("127.0.0.1") for value in listeners.values())


def test_a_connect_without_a_login_is_not_guest() -> None:
    advanced = (CONF / "advanced.config").read_text()

    assert re.search(r"\{rabbitmq_stomp,\s*\[\{default_user,\s*\[\]\}\]\}", advanced)
    assert re.search(r"\{net_ticktime,\s*4\}", advanced)


def test_a_relay_leaves_a_node_that_hangs_before_its_private_queue_knows_of_it() -> None:
    advanced = (CONF / "advanced.config").read_text()
    seconds, intensity = (
        int(value)
        for name in ("net_ticktime", "net_tickintensity")
        for value in re.findall(rf"\{{{name},\s*(\d+)\}}", advanced)
    )
    earliest, latest = seconds - seconds / intensity, seconds + seconds / intensity
    assert relay.PATIENCE * dialler.HEART_BEAT[1] / 1000 < earliest
    assert latest < 5, "a host's pause is to be 5 s at most"


def test_a_private_node_has_its_own_settings_and_peers() -> None:
    merged = broker_conf.private(
        PRODUCTION, {"listeners.tcp.1": "127.0.0.1:1"}, peers=["r1@localhost", "r2@localhost"]
    )

    assert merged["listeners.tcp.1"] == "127.0.0.1:1"
    assert merged["auth_backends.1"] == "internal"
    nodes = {key: value for key, value in merged.items() if "classic_config.nodes" in key}
    assert list(nodes.values()) == ["r1@localhost", "r2@localhost"]


def test_the_first_node_lists_itself_once() -> None:
    merged = broker_conf.private(PRODUCTION, {}, peers=["r1@localhost", "r1@localhost"])

    assert [value for key, value in merged.items() if "classic_config.nodes" in key] == [
        "r1@localhost"
    ]


def test_settings_for_new_versions_only_stand_where_old_ones_ignore_them() -> None:
    assert "consumer_disconnected_timeout" not in PRODUCTION
    assert re.search(
        r"\{rabbit,\s*\[\{consumer_disconnected_timeout,\s*0\}\]\}",
        (CONF / "advanced.config").read_text(),
    )
