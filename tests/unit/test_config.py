"""The file, the environment over it, and what is told about mistakes in either."""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from gateway import config
from gateway.config import Config, ConfigError

SECRET = "a secret that is long enough to sign with"
EXAMPLE = Path(__file__).parents[2] / "conf" / "gateway.toml"


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("GATEWAY_"):
            monkeypatch.delenv(name)


def table(**tables: dict[str, Any]) -> dict[str, Any]:
    node = {"name": "r1", "web_stomp": "ws://127.0.0.1:15674/ws", "amqp": "amqp://127.0.0.1"}
    return {
        **tables,
        "broker": {"user": "u", "password": "p", "nodes": [node]} | tables.get("broker", {}),
        "auth": {"secret": SECRET} | tables.get("auth", {}),
    }


def refused(given: dict[str, Any]) -> str:
    with pytest.raises(ConfigError) as caught:
        config.parse(given, source="gateway.toml")
    return str(caught.value)


def test_a_file_without_the_optional_keys_takes_their_defaults() -> None:
    found = config.parse(table(), source="gateway.toml")
    assert found.server.port == 8080
    assert found.auth.jwt is None


def test_a_variable_overrides_one_key_and_leaves_its_neighbours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GATEWAY_SERVER__PORT", "9090")
    found = config.parse(table(server={"port": 1, "internal_port": 2}), source="gateway.toml")
    assert (found.server.port, found.server.internal_port) == (9090, 2)


def test_variables_alone_can_make_a_table_two_levels_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_SERVER__TLS__CERTIFICATE", "/c.pem")
    monkeypatch.setenv("GATEWAY_SERVER__TLS__KEY", "/k.pem")
    found = config.parse(table(), source="gateway.toml")
    assert found.server.tls == config.Tls(certificate=Path("/c.pem"), key=Path("/k.pem"))


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        # Kubernetes, for a Service called "gateway" and one called "gateway-server".
        ("GATEWAY_PORT", "tcp://10.0.0.1:8080"),
        ("GATEWAY_SERVICE_HOST", "10.0.0.1"),
        ("GATEWAY_SERVICE_PORT_HTTP", "8080"),
        ("GATEWAY_PORT_8080_TCP", "tcp://10.0.0.1:8080"),
        ("GATEWAY_PORT_8080_TCP_ADDR", "10.0.0.1"),
        ("GATEWAY_PORT_8080_TCP_PROTO", "tcp"),
        ("GATEWAY_SERVER_PORT", "tcp://10.0.0.1:8080"),
        ("GATEWAY_SERVER_PORT", "udp://10.0.0.1:8080"),
        # A CGI server, a shell.
        ("GATEWAY_INTERFACE", "CGI/1.1"),
        ("GATEWAY_VERSION", "1.2.3"),
        ("gateway_port", "tcp://10.0.0.1:8080"),
    ],
)
def test_variables_that_others_set_do_not_prevent_the_start(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    assert config.parse(table(), source="f").server.port == 8080


def test_a_byte_order_mark_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_AUTH__SECRET", SECRET)
    monkeypatch.setenv("GATEWAY_BROKER__PASSWORD", "p")
    # Relative ones are taken from the file's folder.
    monkeypatch.setenv("GATEWAY_STORE__URL", "sqlite:////var/lib/interact.db")
    file = tmp_path / "gateway.toml"
    file.write_bytes(b"\xef\xbb\xbf" + EXAMPLE.read_bytes().replace(b"\n", b"\r\n"))
    assert config.load(file) == config.load(EXAMPLE)


@pytest.mark.parametrize("address", ["amqp://[::1]:5672", "amqp://rabbit-1", "amqp://10.0.0.1:1"])
def test_a_node_may_be_named_by_any_address(address: str) -> None:
    node = {"name": "r1", "web_stomp": "ws://[::1]:15674/ws", "amqp": address}
    assert config.parse(table(broker={"nodes": [node]}), source="f").broker.nodes[0].amqp == address


@pytest.mark.parametrize(
    "address", ["amqp://::1:5672", "amqp://h:0", "amqp://h:x", "amqp://h:65536"]
)
def test_an_address_without_a_right_port_is_refused(address: str) -> None:
    node = {"name": "r1", "web_stomp": "ws://h/ws", "amqp": address}
    assert "broker.nodes.0.amqp: " in refused(table(broker={"nodes": [node]}))


def test_origins_are_kept_as_browsers_send_them() -> None:
    origins = ["https://학교.example", "https://School.example:443"]
    found = config.parse(table(server={"origins": origins}), source="f").server.origins
    assert found == ("https://xn--9d0b527e.example", "https://school.example")


def test_lists_come_from_the_environment_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_SERVER__ORIGINS", '["https://a.example"]')
    assert config.parse(table(), source="f").server.origins == ("https://a.example",)


def test_a_list_that_is_no_json_is_told_without_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_SERVER", '{"port": hunter2')
    told = refused(table())
    assert "GATEWAY_SERVER: not JSON" in told
    assert "hunter2" not in told


def test_a_list_that_is_no_json_is_told_by_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_SERVER__ORIGINS", "https://a.example")
    monkeypatch.setenv("GATEWAY_SERVER__PORT", "9090")
    told = refused(table())
    assert told.splitlines()[1:] == [
        "  GATEWAY_SERVER__ORIGINS: not JSON; a list or a table must be written as JSON"
    ]


def test_a_faulty_entry_of_a_list_is_told_by_the_variable_and_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GATEWAY_BROKER__NODES", '[{"name": "r", "amqp": "amqp://h"}]')
    told = refused(table())
    assert told.splitlines()[1:] == [
        "  broker.nodes.0.web_stomp (environment variable GATEWAY_BROKER__NODES):"
        " this key is required"
    ]


def test_the_variable_that_names_the_file_is_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_CONFIG", "/etc/gateway.toml")
    assert config.parse(table(), source="f").server.port == 8080


@pytest.mark.parametrize(
    ("variable", "told"),
    [
        (
            "GATEWAY_SEVER__PORT",
            "GATEWAY_SEVER__PORT: unknown environment variable; did you mean GATEWAY_SERVER__PORT?",
        ),
        ("GATEWAY_SERVER_PORT", "did you mean GATEWAY_SERVER__PORT?"),
        ("GATEWAY_SERVER__PORT_", "unknown key; did you mean port?"),
        ("GATEWAY_BROKER__NODES__0__NAME", "broker.nodes: must be a list"),
        ("GATEWAY_LOG_LEVEL", "did you mean GATEWAY_LOG__LEVEL?"),
        ("GATEWAY_X__Y", "GATEWAY_X__Y: unknown environment variable"),
        (
            "GATEWAY_SERVER__PROT",
            "server.prot (environment variable GATEWAY_SERVER__PROT): unknown key",
        ),
        (
            "GATEWAY_SERVER__TLS__CERT",
            "server.tls.cert (environment variable GATEWAY_SERVER__TLS__CERT): unknown key",
        ),
    ],
)
def test_a_misspelt_variable_is_refused_by_its_name(
    monkeypatch: pytest.MonkeyPatch, variable: str, told: str
) -> None:
    monkeypatch.setenv(variable, "1")
    assert told in refused(table())


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"server": {"prot": 1}}, "server.prot: unknown key"),
        ({"sever": {"port": 1}}, "sever: unknown key; did you mean server?"),
        ({"broker": {"tls": {"cafile": "x"}}}, "broker.tls.cafile: unknown key; did you mean ca_f"),
        (
            {"access": [{"roles": ["r"], "sent": []}]},
            "access.0.sent: unknown key; did you mean sen",
        ),
        ({"broker": {"password": ""}}, "broker.password: must not be empty"),
        (
            {"server": {"stomp_paths": ["stomp"]}},
            'server.stomp_paths.0: must be a path such as "/stomp/websocket"',
        ),
        ({"server": {"stomp_paths": ["/stomp/"]}}, 'without "/" at its end'),
        ({"server": {"stomp_paths": ["/a?b"]}}, "must be a path"),
        ({"server": {"stomp_paths": ["/api/ws"]}}, "must not begin with /api"),
        ({"server": {"port": "ten"}}, "server.port: Input should be a valid integer"),
        ({"server": {"port": 65_536}}, "server.port: Input should be less than or equal to 65535"),
        (
            {"server": {"path": "interact"}},
            'server.path: must be empty, or a path such as "/interact"',
        ),
        ({"server": {"path": "/interact/"}}, "server.path: must be empty"),
        ({"server": {"path": "/"}}, "server.path: must be empty"),
        ({"server": {"path": "/a/../b"}}, "server.path: must be empty"),
        ({"server": {"path": "/a b"}}, "server.path: must be empty"),
        (
            {"server": {"address": "unix:public.sock"}},
            'server.address: must be an address, or "unix:"',
        ),
        ({"server": {"address": "unix:"}}, "server.address: must be an address"),
        ({"server": {"internal_address": "unix:/run/"}}, "server.internal_address: must be an"),
        ({"server": {"unix_mode": "rw"}}, "server.unix_mode: must be the access rights of a file"),
        ({"server": {"unix_mode": "0999"}}, "server.unix_mode: must be the access rights"),
        (
            {"server": {"trusted_proxies": ["10.1.0.0/8"]}},
            "server.trusted_proxies.0: must be an IP",
        ),
        ({"server": {"proxy_protocol": True}}, "server: proxy_protocol needs trusted_proxies"),
        (
            {"server": {"address": "unix:/run/a", "internal_address": "unix:/run/a"}},
            "server: address and internal_address are the same socket",
        ),
        ({"server": {"trusted_proxies": ["proxy"]}}, "server.trusted_proxies.0: must be an IP"),
        ({"server": {"origins": ["https://a/"]}}, "server.origins.0: must be scheme://host"),
        (
            {"limits": {"stall_timeout": float("inf")}},
            "limits.stall_timeout: Input should be a fin",
        ),
        ({"store": {"url": "mysql://x"}}, "store.url: must start with sqlite:/// or postgresql://"),
        ({"broker": {"nodes": []}}, "broker.nodes: there must be at least one"),
        ({"broker": {"prefix": "a..b"}}, "broker.prefix: prefix 'a..b'"),
        ({"auth": {"secret": "short"}}, "auth.secret: must have at least 32 bytes"),
        ({"auth": {"secret": [SECRET, "short"]}}, "auth.secret: must have at least 32 bytes"),
        ({"auth": {"secret": []}}, "auth.secret: must be a string, or a list of 1 to 5"),
        ({"auth": {"secret": [SECRET] * 6}}, "auth.secret: must be a string, or a list of 1 to 5"),
        ({"auth": {"secret": 5}}, "auth.secret: must be"),
        ({"auth": {"jwt": {}}}, "auth.jwt.issuer: this key is required"),
        ({"log": {"level": "loud"}}, "log.level: Input should be 'debug', 'info'"),
        (
            {"access": [{"roles": ["r"], "vhosts": ["billing"]}]},
            "access.0.vhosts names billing, which clients cannot choose: broker.vhost and"
            " broker.vhosts are /",
        ),
        ({"broker": {"vhosts": [""]}}, "broker.vhosts.0: must not be empty"),
        (
            {"auth": {"rabbitmq": {"rights_lifetime": 0.5}}},
            "auth.rabbitmq.rights_lifetime: Input should be greater than or equal to 1",
        ),
        (
            {"auth": {"rabbitmq": {"room": True}}},
            "auth.rabbitmq.room: unknown key; did you mean ro",
        ),
        ({"auth": {"hook": {}}}, "auth.hook.url: this key is required"),
        ({"auth": {"hook": {"url": "school/whoami"}}}, "auth.hook.url: must be a URL that starts"),
        (
            {"auth": {"hook": {"url": "http://u:hunter2@a/"}}},
            "auth.hook.url: must not contain credentials",
        ),
        (
            {"auth": {"hook": {"url": "http://a/", "headers": ["Cookie"]}}},
            "auth.hook.headers.0: cookies have a key of their own: cookies",
        ),
        (
            {"auth": {"hook": {"url": "http://a/", "headers": ["Host"]}}},
            "auth.hook.headers.0: belongs to the browser's own connection",
        ),
        (
            {"auth": {"hook": {"url": "http://a/", "headers": ["Sec-WebSocket-Key"]}}},
            "auth.hook.headers.0: belongs to the browser's own connection",
        ),
        (
            {"auth": {"hook": {"url": "http://a/", "headers": ["a b"]}}},
            "auth.hook.headers.0: must be the name of an HTTP header",
        ),
        ({"auth": {"hook": {"url": "http://a/", "cookies": []}}}, "nothing would be sent"),
        (
            {"auth": {"hook": {"url": "http://a/", "headers": ["authorization"], "secret": "x"}}},
            "secret is sent as Authorization, so headers cannot name that one, too",
        ),
        (
            {"auth": {"hook": {"url": "http://a/", "secret": "a\r\nHost: b"}}},
            "secret must be ASCII without spaces",
        ),
        (
            {"auth": {"hook": {"url": "http://a/", "timeout": 31}}},
            "auth.hook.timeout: Input should be less than or equal to 30",
        ),
    ],
)
def test_a_mistake_is_told_with_its_key(given: dict[str, Any], told: str) -> None:
    assert told in refused(table(**given))


def test_all_mistakes_are_told_at_once() -> None:
    told = refused({"server": {"prot": 1}, "log": {"level": "loud"}})
    for key in ("server.prot", "log.level", "broker: this key", "auth: this key"):
        assert key in told


@pytest.mark.parametrize(
    "given",
    [
        {"auth": {"secret": "hunter2"}},
        {"auth": {"secret": ["hunter2"]}},
        {"broker": {"password": {"hunter2": 1}}},
        {"store": {"url": "postgre://a:hunter2@host/db"}},
        {
            "auth": {
                "jwt": {
                    "secret": "hunter2",
                    "algorithms": ["HS256"],
                    "issuer": "i",
                    "audience": "a",
                }
            }
        },
    ],
)
def test_a_refused_secret_is_not_told(given: dict[str, Any]) -> None:
    assert "hunter2" not in refused(table(**given))


def test_a_refused_secret_from_the_environment_is_not_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GATEWAY_AUTH__SECRET", "hunter2")
    told = refused(table())
    assert "auth.secret (environment variable GATEWAY_AUTH__SECRET)" in told
    assert "hunter2" not in told


@pytest.mark.parametrize(
    ("variable", "found"),
    [
        (SECRET, (SECRET,)),
        ("1" * 40, ("1" * 40,)),
        (json.dumps([SECRET, "n" * 32]), (SECRET, "n" * 32)),
        ("[" + SECRET, ("[" + SECRET,)),
    ],
)
def test_the_secret_may_come_in_versions_from_the_environment_too(
    monkeypatch: pytest.MonkeyPatch, variable: str, found: tuple[str, ...]
) -> None:
    monkeypatch.setenv("GATEWAY_AUTH__SECRET", variable)
    assert config.parse(table(), source="f").auth.secrets == found


def test_every_version_of_the_secret_is_hidden() -> None:
    found = config.parse(table(auth={"secret": [SECRET, "n" * 32]}), source="f")
    assert found.auth.secrets == (SECRET, "n" * 32)
    assert {SECRET, "n" * 32} <= set(config.secrets_of(found))
    assert "nnn" not in repr(found)


def test_secrets_are_not_in_the_repr() -> None:
    found = config.parse(
        table(broker={"password": "hunter2"}, store={"url": "postgresql://a:hunter3@h/d"}),
        source="f",
    )
    for secret in (SECRET, "hunter2", "hunter3"):
        assert secret not in repr(found)


def test_every_secret_is_found_for_those_who_must_hide_it() -> None:
    jwt = {"secret": SECRET[::-1], "algorithms": ["HS256"], "issuer": "i", "audience": "a"}
    found = config.parse(
        table(
            broker={"password": "hunter2"},
            auth={"jwt": jwt, "hook": {"url": "http://a/", "secret": "hunter4"}},
            store={"url": "sqlite:///x"},
        ),
        source="f",
    )
    assert set(config.secrets_of(found)) == {
        "hunter2",
        "hunter4",
        SECRET,
        SECRET[::-1],
        "sqlite:///x",
    }


@pytest.mark.parametrize(
    ("jwt", "told"),
    [
        (
            {"algorithms": ["RS256"]},
            "give exactly one of secret, key_file and jwks_url (now: none)",
        ),
        (
            {"algorithms": ["RS256"], "key_file": "k", "jwks_url": "https://a/j"},
            "(now: key_file, jwks_url)",
        ),
        ({"algorithms": ["HS256", "RS256"], "secret": SECRET}, "a public key is not a secret"),
        ({"algorithms": ["RS256"], "secret": SECRET}, "HS256 needs secret"),
        ({"algorithms": ["HS256"], "key_file": "k"}, "HS256 needs secret"),
    ],
)
def test_the_key_of_tokens_must_fit_its_algorithm(jwt: dict[str, Any], told: str) -> None:
    jwt |= {"issuer": "i", "audience": "a"}
    assert told in refused(table(auth={"jwt": jwt}))


def issuer(name: str, **more: Any) -> dict[str, Any]:
    return {
        "issuer": f"https://{name}",
        "algorithms": ["RS256"],
        "key_file": f"{name}.pem",
        "audience": "a",
        **more,
    }


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"audience": []}, "auth.jwt: give audience; or, where the issuer gives none, in required"),
        ({"audience": ""}, "auth.jwt.audience.0: must not be empty"),
        ({"required": {"client_id": []}}, "auth.jwt.required.client_id: there must be at least"),
        ({"required": {"client_id": 5}}, "auth.jwt.required.client_id"),
        ({"algorithms": ["none"]}, "auth.jwt.algorithms.0"),
        ({"algorithms": ["HS512"]}, "auth.jwt.algorithms.0"),
        ({"discovery": True}, "(now: key_file, discovery)"),
        (
            {"key_file": None, "discovery": True, "issuer": "school"},
            "issuer: for discovery it must",
        ),
        (
            {"key_file": None, "discovery": True, "issuer": "https://u:hunter2@a"},
            "issuer: for discovery it must not contain credentials",
        ),
        ({"ca_file": "ca.pem"}, "ca_file and proxy are for keys that are fetched from https://"),
        (
            {"key_file": None, "jwks_url": "http://a/j", "proxy": "http://p:3128"},
            "ca_file and proxy are for keys that are fetched from https://",
        ),
        (
            {"key_file": None, "jwks_url": "https://a/j", "proxy": "https://p"},
            "auth.jwt.proxy: must be a URL that starts with http://",
        ),
        (
            {"key_file": None, "jwks_url": "https://a/j", "proxy": "http://p", "proxy_user": "u"},
            "proxy_user and proxy_password must be given together",
        ),
        (
            {
                "key_file": None,
                "jwks_url": "https://a/j",
                "proxy_user": "u",
                "proxy_password": "hunter2",
            },
            "proxy_user is for a proxy",
        ),
        ({"user_prefix": "a/b"}, "auth.jwt.user_prefix: must be at most 64 letters"),
        ({"user_prefix": "x" * 65}, "auth.jwt.user_prefix: must be at most 64 letters"),
        ({"user_claim": ""}, "auth.jwt.user_claim.0: must not be empty"),
        ({"user_claim": "a..b"}, "auth.jwt.user_claim.1: must not be empty"),
        ({"user_claim": []}, "auth.jwt.user_claim: there must be at least one"),
        ({"roles_claim": [["a"], "b"]}, "auth.jwt.roles_claim.1: must be a list"),
        ({"roles": {"teacher": "hosts"}}, "auth.jwt.roles.teacher: 'hosts' is no role here"),
        ({"max_bytes": 32_769}, "auth.jwt.max_bytes"),
        ({"max_bytes": 1023}, "auth.jwt.max_bytes"),
    ],
)
def test_an_issuer_that_makes_no_sense_is_refused(change: dict[str, Any], told: str) -> None:
    given = {name: value for name, value in issuer("a", **change).items() if value is not None}
    said = refused(table(auth={"jwt": given}))
    assert told in said
    assert "hunter2" not in said


def test_issuers_are_tables_and_none_speaks_for_the_users_of_another() -> None:
    jwt, a, b = issuer("j"), issuer("a", user_prefix="a:"), issuer("b", user_prefix="b:")
    found = config.parse(table(auth={"jwt": jwt, "issuers": [a, b]}), source="f").auth
    assert [(where, each.issuer) for where, each in found.every_issuer] == [
        ("auth.jwt", "https://j"),
        ("auth.issuers.0", "https://a"),
        ("auth.issuers.1", "https://b"),
    ]
    told = refused(table(auth={"jwt": jwt, "issuers": [a, issuer("c"), issuer("d")]}))
    assert "auth.jwt and auth.issuers.1 and auth.issuers.2 could each speak for the users" in told
    half = issuer("c", shared_users=True)
    assert "could each speak" in refused(table(auth={"jwt": jwt, "issuers": [half]}))
    shared = [issuer("c", shared_users=True), issuer("d", shared_users=True)]
    assert len(config.parse(table(auth={"issuers": shared}), source="f").auth.every_issuer) == 2
    twice = [a, issuer("a", user_prefix="x:")]
    assert "auth.issuers.0 and auth.issuers.1 are the same issuer" in refused(
        table(auth={"issuers": twice})
    )
    told = refused(table(auth={"jwt": [a, b]}))
    assert "auth.jwt: must be one table; several issuers are tables [[auth.issuers]]" in told
    assert "auth.issuers.0.issuers: unknown key; did you mean issuer?" in refused(
        table(auth={"issuers": [{**a, "issuers": "x"}]})
    )


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ("sub", ("sub",)),
        ("realm_access.roles", ("realm_access", "roles")),
        ("https://school.example/v1.0/name", ("https://school.example/v1.0/name",)),
        ("cognito:groups", ("cognito:groups",)),
        (["a.b"], ("a.b",)),
        (["a.b", "https://c"], ("a.b", "https://c")),
    ],
)
def test_a_claim_s_place_is_said_in_one_way(
    monkeypatch: pytest.MonkeyPatch, value: object, path: tuple[str, ...]
) -> None:
    given = table(auth={"jwt": issuer("a", user_claim=value, roles_claim=value)})
    found = config.parse(given, source="f").auth.jwt
    assert found is not None
    assert (found.user_claim, found.roles_claim) == (path, (path,))
    monkeypatch.setenv(
        "GATEWAY_AUTH__JWT__USER_CLAIM", value if isinstance(value, str) else json.dumps(value)
    )
    found = config.parse(table(auth={"jwt": issuer("a")}), source="f").auth.jwt
    assert found is not None
    assert found.user_claim == path


def test_several_places_of_roles_are_a_list_of_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    places = [["a.b"], ["c", "d"]]
    monkeypatch.setenv("GATEWAY_AUTH__JWT__ROLES_CLAIM", json.dumps(places))
    monkeypatch.setenv("GATEWAY_AUTH__JWT__AUDIENCE", "one")
    monkeypatch.setenv("GATEWAY_AUTH__JWT__REQUIRED", '{"hd": "school", "verified": true}')
    monkeypatch.setenv("GATEWAY_AUTH__JWT__ROLES", '{"teacher": "host", "head": ["admin"]}')
    found = config.parse(table(auth={"jwt": issuer("a")}), source="f").auth.jwt
    assert found is not None
    assert found.roles_claim == (("a.b",), ("c", "d"))
    assert found.audience == ("one",)
    assert found.required == {"hd": ("school",), "verified": (True,)}
    assert found.roles == {"teacher": ("host",), "head": ("admin",)}
    monkeypatch.setenv("GATEWAY_AUTH__JWT__AUDIENCE", '["one", "two"]')
    found = config.parse(table(auth={"jwt": issuer("a")}), source="f").auth.jwt
    assert found is not None
    assert found.audience == ("one", "two")


def test_roles_may_be_mapped_to_those_of_access_rules() -> None:
    rule = {"roles": ["librarian"], "subscribe": ["/topic/news"]}
    jwt = issuer("a", roles={"Staff": ["librarian", "host"]})
    given = table(auth={"jwt": jwt})
    assert config.parse(given | {"access": [rule]}, source="f").auth.every_issuer


def test_files_and_secrets_of_every_issuer_are_found(tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text(
        """
[broker]
user = "u"
password = "p"
nodes = [{name = "r", web_stomp = "ws://h/ws", amqp = "amqp://h"}]
[auth]
secret = "a secret that is long enough to sign with"
[[auth.issuers]]
issuer = "https://a"
algorithms = ["EdDSA"]
key_file = "a.pem"
audience = "x"
[[auth.issuers]]
issuer = "https://b"
algorithms = ["PS512"]
jwks_url = "https://b/jwks"
ca_file = "/etc/ca.pem"
proxy = "http://proxy:3128"
proxy_user = "gateway"
proxy_password = "hunter5"
audience = ["x", "y"]
user_prefix = "b:"
"""
    )
    found = config.load(file)
    first, second = found.auth.issuers
    assert (first.key_file, second.ca_file) == (tmp_path / "a.pem", Path("/etc/ca.pem"))
    assert "hunter5" in set(config.secrets_of(found))
    assert "hunter5" not in repr(found)


def test_credentials_in_a_node_url_are_refused_and_not_told() -> None:
    node = {"name": "r", "web_stomp": "ws://u:hunter2@h/ws", "amqp": "amqp://h"}
    told = refused(table(broker={"nodes": [node]}))
    assert "broker.nodes.0.web_stomp: must not contain credentials" in told
    assert "hunter2" not in told


def test_two_nodes_of_one_name_are_refused() -> None:
    node = {"name": "r", "web_stomp": "ws://h/ws", "amqp": "amqp://h"}
    assert "repeated: r" in refused(table(broker={"nodes": [node, node]}))


def test_a_file_that_is_not_there_or_no_toml_is_told(tmp_path: Path) -> None:
    missing = tmp_path / "none.toml"
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        config.load(missing)
    broken = tmp_path / "broken.toml"
    broken.write_text("[server\n")
    with pytest.raises(ConfigError, match="not TOML"):
        config.load(broken)


# conf/gateway.toml


def tables_in(annotation: object) -> Iterator[type[BaseModel]]:
    """The tables that a key's type allows: itself, in a union, or the entries of a list."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from tables_in(argument)


def keys(model: type[BaseModel], path: str = "") -> Iterator[tuple[str, Any]]:
    """Every key that holds a value, with its default. Those of [[auth.issuers]] are the keys of
    [auth.jwt]."""
    for name, field in model.model_fields.items():
        inner = list(tables_in(field.annotation))
        if name == "issuers":
            assert inner == [config.Jwt]
        elif inner:
            yield from keys(inner[0], f"{path}{name}.")
        else:
            yield f"{path}{name}", field.default


def values(given: dict[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """The keys that a TOML table sets; of a list of tables the first entry counts."""
    single = {key for key, _ in keys(Config)}
    for name, value in given.items():
        first = value[0] if isinstance(value, list) and value else value
        if isinstance(first, dict) and f"{path}{name}" not in single:
            yield from values(first, f"{path}{name}.")
        else:
            yield f"{path}{name}", value


def test_the_example_shows_every_key_and_no_other() -> None:
    opened = re.sub(r"^#(?=\[|[a-z_]+ =)", "", EXAMPLE.read_text(), flags=re.MULTILINE)
    shown = dict(values(tomllib.loads(opened)))
    assert set(shown) == {key for key, _ in keys(Config)}


def test_the_example_sets_every_key_to_its_default() -> None:
    defaults = dict(keys(Config))
    for key, value in values(tomllib.loads(EXAMPLE.read_text())):
        default = defaults[key]
        if default is PydanticUndefined:
            continue
        if key == "store.url":
            default = default.get_secret_value()
        assert (tuple(value) if isinstance(value, list) else value) == default, key


def test_the_example_leaves_out_only_what_has_no_default() -> None:
    shown = dict(values(tomllib.loads(EXAMPLE.read_text())))
    outside_of_optional_tables = {
        key: default
        for key, default in keys(Config)
        if not key.startswith(
            ("server.tls.", "auth.jwt.", "auth.rabbitmq.", "auth.hook.", "access.")
        )
    }
    for key, default in outside_of_optional_tables.items():
        assert key in shown or default in (None, PydanticUndefined), key


def test_the_example_serves_once_the_secrets_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_AUTH__SECRET", SECRET)
    monkeypatch.setenv("GATEWAY_BROKER__PASSWORD", "hunter2")
    assert config.load(EXAMPLE).broker.nodes[0].name == "rabbit-1"


def test_every_key_of_the_example_is_explained() -> None:
    explained = False
    for line in EXAMPLE.read_text().splitlines():
        if re.match(r"#?[a-z_]+ =", line):
            assert explained, line
        else:
            # A comment explains the keys right below it, a table's comment all of it.
            explained = line.startswith("# ") or (explained and line.strip() != "")


@pytest.mark.parametrize(
    "limits",
    [
        {"waiting_bytes_per_user": 65_535},
        {"waiting_bytes": 131_071},
        {"body_bytes_per_user": 65_535},
        {"body_bytes_in_all": 131_071},
    ],
)
def test_the_largest_message_is_never_too_much_by_itself(limits: dict[str, int]) -> None:
    assert "limits.body_bytes is 65536" in refused(table(limits=limits))
    assert config.parse(table(limits={name: n + 1 for name, n in limits.items()}), source="x")


@pytest.mark.parametrize(
    ("accepted", "taken"), [(16 * 1024 * 1024, 16 * 1024 * 1024), (65_536, 65_536)]
)
def test_messages_that_rabbitmq_would_never_take_are_not_accepted(
    accepted: int, taken: int
) -> None:
    given = table(limits={"body_bytes": accepted}, broker={"max_message_bytes": taken})
    told = refused(given)
    assert f"limits.body_bytes is {accepted}" in told
    assert "broker.max_message_bytes" in told
    assert "max_message_size" in told
    given["limits"]["body_bytes"] -= 64
    assert config.parse(given, source="gateway.toml")


def test_a_number_of_too_many_digits_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text("[server]\nport = " + "1" * 5000)
    with pytest.raises(ConfigError, match=r"not TOML: .*4300 digits"):
        config.load(file)


def test_a_file_that_is_nested_too_deeply_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text("a = " + "[" * 3000 + "]" * 3000)
    with pytest.raises(ConfigError, match="nested too deeply"):
        config.load(file)
