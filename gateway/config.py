"""The configuration: a TOML file, overridden by environment variables, read once and frozen.

``GATEWAY_<TABLE>__<KEY>`` overrides a key, e.g. ``GATEWAY_SERVER__PORT=9090``; lists are JSON. A
secret may stand in a file of its own, which ``<key>_file`` names, or come from systemd. An unknown
key is refused by its name, and so is a ``GATEWAY_*`` variable that means one. Durations are in
seconds, sizes in bytes. ``conf/gateway.toml`` explains every key.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self, TypeVar
from urllib.parse import SplitResult, urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    StrictBool,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from broker.nodes.credentials import Credentials
from broker.nodes.node import Node
from broker.topology import DEFAULT_PREFIX, Queued, Topology
from gateway import config_faults, database_url, secret_files
from gateway.domain.identity import ADMIN, HOST, OBSERVER
from gateway.domain.kept import pattern
from gateway.domain.origin import canonical

ENVIRONMENT_PREFIX: Final = "GATEWAY_"
#: The variable that names the file itself; it is not a key in it.
CONFIG_VARIABLE: Final = "GATEWAY_CONFIG"
#: Of tokens: HS256 with a shared secret, all others with public keys (RFC 7518, 8037 and 8812).
ALGORITHMS = Literal[
    "HS256",
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "ES256K",
    "EdDSA",
]
#: Before the path of a socket in the file system; alone, whoever connects by one.
UNIX: Final = "unix:"
#: Bytes of a token at most, whatever ``max_bytes`` says: more would not fit into a CONNECT.
LARGEST_TOKEN: Final = 32 * 1024

T = TypeVar("T", str, SecretStr)
TableT = TypeVar("TableT", bound=BaseModel)


class ConfigError(Exception):
    """The configuration cannot be used; the text names each key and a right value."""


class StartError(Exception):
    """The machine does not provide what the configuration asks for; the text names the key."""


def _has_no_port(parts: SplitResult) -> bool:
    try:
        return parts.port == 0
    except ValueError:
        return True


def _check_url(*schemes: str) -> Callable[[str], str]:
    def check(value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in schemes or not parts.hostname:
            raise ValueError(
                f"must be a URL that starts with {' or '.join(f'{s}://' for s in schemes)}"
            )
        if _has_no_port(parts):
            raise ValueError(
                "its port must be a number up to 65535; an IPv6 address needs brackets"
            )
        if parts.username or parts.password:
            raise ValueError("must not contain credentials; they have keys of their own")
        return value

    return check


def _url(*schemes: str) -> AfterValidator:
    return AfterValidator(_check_url(*schemes))


def _place(value: str) -> str:
    """An address to listen on: of a machine, or ``unix:`` and a path."""
    if value.startswith(UNIX) and not re.fullmatch(r"/([^/\0]+/)*[^/\0]+", value[len(UNIX) :]):
        raise ValueError('must be an address, or "unix:" and an absolute path')
    return value


def _mode(value: str) -> str:
    if not re.fullmatch("0?[0-7]{3}", value):
        raise ValueError('must be the access rights of a file, such as "0660"')
    return value


def _proxy(value: str) -> str:
    if value == UNIX:
        return value
    try:
        return str(ip_network(value)) if "/" in value else str(ip_address(value))
    except ValueError as error:
        raise ValueError(
            f'must be an IP address, a network such as 10.1.0.0/16, or "{UNIX}": {error}'
        ) from None


def _network(value: str) -> str:
    try:
        return str(ip_network(value))
    except ValueError as error:
        raise ValueError(f"must be a network such as 10.1.0.0/16, or an address: {error}") from None


def _host_name(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,253}", value):
        raise ValueError("must be a host name without a port")
    return value.lower().rstrip(".")


def _token(value: SecretStr) -> SecretStr:
    if not re.fullmatch(r"[\x21-\x7e]{16,512}", value.get_secret_value()):
        raise ValueError("must have 16 to 512 characters of ASCII without spaces")
    return value


def _given(value: T) -> T:
    # The value of a variable that was never set.
    if not (value.get_secret_value() if isinstance(value, SecretStr) else value):
        raise ValueError("must not be empty")
    return value


def _short_name(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", value):
        raise ValueError("must be 1 to 64 letters, digits, '.', '_' and '-'")
    return value


def _stomp_path(value: str) -> str:
    if not re.fullmatch(r"(/[A-Za-z0-9._~-]+)+", value):
        raise ValueError('must be a path such as "/stomp/websocket", without "/" at its end')
    if value.split("/")[1] in _OUR_PATHS:
        raise ValueError(f"must not begin with /{value.split('/')[1]}, which is the gateway's own")
    return value


def _base_path(value: str) -> str:
    if value and not re.fullmatch(r"(/[A-Za-z0-9_~-]{1,64}){1,8}", value):
        raise ValueError(
            'must be empty, or a path such as "/interact": it begins with "/", has no "/" at its'
            " end, and between them 1 to 64 letters, digits, '_', '~' and '-'"
        )
    return value


#: The first parts of the public listener's paths.
_OUR_PATHS: Final = frozenset({"admin", "api", "healthz", "readyz", "static"})


def _listed(value: Any) -> Any:
    """A value alone as a list of one. In a variable of the environment a list is JSON."""
    if not isinstance(value, str):
        return value
    if value.startswith("["):
        with suppress(ValueError, RecursionError):
            return json.loads(value)
    return (value,)


def _alone(value: Any) -> Any:
    """A value alone as a list of one."""
    return value if isinstance(value, (list, tuple)) else (value,)


#: For keys that take one value or a list. It goes with ``NoDecode``: in a variable one value is no
#: JSON.
_one_or_several: Final = BeforeValidator(_listed)

Port = Annotated[int, Field(ge=0, le=65_535)]
Name = Annotated[str, AfterValidator(_given)]


class _Table(BaseModel):
    """A table of the configuration, whose keys are fixed."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _with_secrets_from_files(cls, table: Any) -> Any:
        return secret_files.filled(cls, table) if isinstance(table, dict) else table


class Tls(_Table):
    """The public listener's certificate chain and key, PEM files."""

    certificate: Path
    key: Path


class Server(_Table):
    """The listeners, the pages and the gateway's name. ``name`` None: the host's name."""

    name: Annotated[str, AfterValidator(_short_name)] | None = None
    address: Annotated[str, AfterValidator(_place)] = ""
    port: Port = 8080
    path: Annotated[str, AfterValidator(_base_path)] = ""
    internal_address: Annotated[str, AfterValidator(_place)] = "127.0.0.1"
    internal_port: Port = 8081
    unix_mode: Annotated[str, AfterValidator(_mode)] = "0660"
    unix_group: Name | None = None
    internal_hosts: tuple[Annotated[str, AfterValidator(_host_name)], ...] = ()
    internal_networks: tuple[Annotated[str, AfterValidator(_network)], ...] = (
        "127.0.0.0/8",
        "::1/128",
    )
    drain_token: Annotated[SecretStr, AfterValidator(_token)] | None = None
    drain_token_file: Path | None = None
    stomp_paths: tuple[Annotated[str, AfterValidator(_stomp_path)], ...] = ()
    origins: tuple[Annotated[str, AfterValidator(canonical)], ...] = ()
    frame_ancestors: tuple[Annotated[str, AfterValidator(canonical)], ...] = ()
    cookies: Literal["same-site", "cross-site"] = "same-site"
    trusted_proxies: tuple[Annotated[str, AfterValidator(_proxy)], ...] = ()
    proxy_protocol: bool = False
    hsts: Annotated[int, Field(ge=0)] = 31_536_000
    pages: Literal["built", "sources"] = "built"
    api_documents: Literal["everybody", "admins", "nobody"] = "everybody"
    notice_time: Annotated[float, Field(ge=0)] = 5.0
    drain_time: Annotated[float, Field(ge=0)] = 10.0
    stop_timeout: PositiveFloat = 10.0
    tls: Tls | None = None

    @model_validator(mode="after")
    def _headers_come_from_proxies(self) -> Self:
        if self.proxy_protocol and not self.trusted_proxies:
            raise ValueError(
                "proxy_protocol needs trusted_proxies: a PROXY header is taken from these alone"
            )
        return self

    @model_validator(mode="after")
    def _sockets_differ(self) -> Self:
        if self.address.startswith(UNIX) and self.address == self.internal_address:
            raise ValueError("address and internal_address are the same socket")
        return self


#: A stored message is longer than the one checked against ``limits.body_bytes``, by its number.
_SEQ_BYTES: Final = 64


class BrokerNode(_Table):
    """One node of the RabbitMQ cluster, and its addresses."""

    name: Name
    web_stomp: Annotated[str, _url("ws", "wss")]
    amqp: Annotated[str, _url("amqp", "amqps")]
    max_connections: PositiveInt = 10_000


class BrokerTls(_Table):
    """The verification of RabbitMQ's certificates where a node's URL is wss:// or amqps://."""

    ca_file: Path | None = None
    client_certificate: Path | None = None
    client_key: Path | None = None


class Broker(_Table):
    """The RabbitMQ cluster, and the gateway's account there."""

    nodes: Annotated[tuple[BrokerNode, ...], Field(min_length=1)]
    user: Name
    password: Annotated[SecretStr, AfterValidator(_given)]
    password_file: Path | None = None
    vhost: str = "/"
    vhosts: tuple[Name, ...] = ()
    prefix: str = DEFAULT_PREFIX
    private_queue: Literal["everything", "questions"] = "everything"
    tls: BrokerTls = BrokerTls()
    dial_timeout: PositiveFloat = 4.0
    probe_interval: PositiveFloat = 2.0
    confirm_timeout: PositiveFloat = 2.0
    max_message_bytes: PositiveInt = 16 * 1024 * 1024

    @field_validator("prefix")
    @classmethod
    def _prefix_is_a_name(cls, value: str) -> str:
        return Topology(value).prefix

    @model_validator(mode="after")
    def _node_names_differ(self) -> Self:
        names = [node.name for node in self.nodes]
        if repeated := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"node names must differ; repeated: {', '.join(sorted(repeated))}")
        return self

    @property
    def topology(self) -> Topology:
        """The names of what the gateway uses there."""
        return Topology(self.prefix, Queued(self.private_queue))

    @property
    def listed(self) -> list[Node]:
        """The nodes in the order of configuration."""
        return [Node(n.name, n.web_stomp, n.amqp, n.max_connections) for n in self.nodes]

    @property
    def account(self) -> Credentials:
        """The gateway's own account at RabbitMQ."""
        return Credentials(self.user, self.password.get_secret_value(), self.vhost)


class Store(_Table):
    """The database: ``sqlite:///path`` or ``postgresql://user:password@host/database``, with
    libpq's parameters. ``migrate``: see :attr:`serve_migrates`; None: with SQLite only.

    :func:`load` takes a relative path from the configuration's folder, wherever the command is run.
    ``timeout``: seconds that a call may take.
    """

    url: SecretStr = SecretStr("sqlite:///interact.db")
    url_file: Path | None = None
    timeout: PositiveFloat = 5.0
    connections: PositiveInt = 8
    migrate: bool | None = None

    @property
    def serve_migrates(self) -> bool:
        """Whether ``gateway serve`` brings the tables up to date when it starts."""
        if self.migrate is not None:
            return self.migrate
        # A file has one gateway; a server has others, which somebody replaces one by one.
        return isinstance(database_url.parse(self.url.get_secret_value()), database_url.SqliteFile)

    @field_validator("url")
    @classmethod
    def _url_is_supported(cls, value: SecretStr) -> SecretStr:
        database_url.parse(value.get_secret_value())
        return value


class Messages(_Table):
    """The handling of messages. ``host_types``: types that only a room's hosts may send."""

    host_types: tuple[Name, ...] = (
        "poll",
        "poll-closed",
        "answer",
        "hand-taken",
        "question-done",
    )


class Rooms(_Table):
    """The rooms. ``participant_keys``: the keys of a room's kept state that its participants may
    write, each for themselves; hosts may write any. ``vote:* while voting:*``: only while the
    room's own public entry under the other key stands."""

    participant_keys: tuple[Annotated[str, AfterValidator(pattern)], ...] = (
        "vote:* while voting:*",
        "hand",
        "question:*",
        "answer:*",
        "cursor",
        "score:*",
    )


class History(_Table):
    """The bounds of the history that is kept: days, and for each room messages and megabytes."""

    keep_days: PositiveInt | None = None
    room_messages: PositiveInt = 1_000_000
    room_megabytes: PositiveInt = 1024


class Journal(_Table):
    """The journal of what has happened at the gateways. ``keep_days``: 0: there is none.
    ``entries``: beyond so many the oldest are deleted."""

    keep_days: NonNegativeInt = 30
    entries: PositiveInt = 1_000_000


def _claim_path(value: Any) -> Any:
    """A claim's place. In a string a dot leads into an object, unless it is a URL; a list has one
    name for each level, whatever is in them."""
    if not isinstance(value, str):
        return value
    if value.startswith("["):
        return _listed(value)
    return (value,) if re.search("[:/]", value) else tuple(value.split("."))


def _claim_paths(value: Any) -> Any:
    """Several places: a list of lists. Anything else is one place."""
    listed = _claim_path(value)
    if isinstance(listed, (list, tuple)) and any(
        isinstance(each, (list, tuple)) for each in listed
    ):
        return listed
    return (listed,)


ClaimPath = Annotated[tuple[Name, ...], Field(min_length=1, max_length=10)]
_OneClaim = Annotated[ClaimPath, NoDecode, BeforeValidator(_claim_path)]
_Claims = Annotated[
    Annotated[tuple[ClaimPath, ...], Field(min_length=1, max_length=10)],
    NoDecode,
    BeforeValidator(_claim_paths),
]
_Strings = Annotated[tuple[Name, ...], Field(min_length=1), BeforeValidator(_listed)]
#: What a claim must be: one of these.
_Values = Annotated[tuple[StrictBool | Name, ...], Field(min_length=1), BeforeValidator(_alone)]


def _user_prefix(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._:+~-]{0,64}", value):
        raise ValueError("must be at most 64 letters, digits and . _ : + ~ -")
    return value


class Jwt(_Table):
    """An issuer of accepted tokens, with exactly one of ``secret`` (HS256), ``key_file``,
    ``jwks_url`` and ``discovery`` (any other algorithm).

    ``audience`` empty: the issuer gives none, and ``required`` says what its tokens must have.
    ``roles``: the issuer's roles, and what each of them is here; empty: its roles are ours.
    ``shared_users``: other issuers with the same ``user_prefix`` name the same people.
    """

    algorithms: Annotated[tuple[ALGORITHMS, ...], Field(min_length=1)]
    secret: SecretStr | None = None
    secret_file: Path | None = None
    key_file: Path | None = None
    jwks_url: Annotated[str, _url("http", "https")] | None = None
    discovery: bool = False
    jwks_cooldown: PositiveFloat = 30.0
    jwks_lifetime: PositiveFloat = 3600.0
    ca_file: Path | None = None
    proxy: Annotated[str, _url("http")] | None = None
    proxy_user: Name | None = None
    proxy_password: SecretStr | None = None
    proxy_password_file: Path | None = None
    issuer: Name
    audience: Annotated[tuple[Name, ...], NoDecode, _one_or_several] = ()
    required: dict[Name, _Values] = Field(default_factory=dict)
    user_claim: _OneClaim = ("sub",)
    user_prefix: Annotated[str, AfterValidator(_user_prefix)] = ""
    shared_users: bool = False
    name_claim: _OneClaim | None = None
    roles_claim: _Claims = (("roles",),)
    roles: dict[Name, _Strings] = Field(default_factory=dict)
    leeway: Annotated[float, Field(ge=0, le=300)] = 5.0
    max_bytes: Annotated[int, Field(ge=1024, le=LARGEST_TOKEN)] = 16 * 1024

    @model_validator(mode="after")
    def _one_key_that_fits(self) -> Self:
        given = [n for n in ("secret", "key_file", "jwks_url") if getattr(self, n) is not None]
        given += ["discovery"] if self.discovery else []
        if len(given) != 1:
            now = ", ".join(given) or "none"
            raise ValueError(
                f"give exactly one of secret, key_file and jwks_url (now: {now}),"
                " or discovery = true"
            )
        symmetric = [a.startswith("HS") for a in self.algorithms]
        if any(symmetric) and not all(symmetric):
            raise ValueError(
                "HS256 cannot be combined with other algorithms: a public key is not a secret"
            )
        if symmetric[0] != (self.secret is not None):
            raise ValueError(
                "HS256 needs secret; other algorithms need key_file, jwks_url or discovery"
            )
        if self.secret is not None and len(self.secret.get_secret_value().encode()) < 32:
            raise ValueError("secret must have at least 32 bytes (RFC 7518, section 3.2)")
        return self

    @model_validator(mode="after")
    def _keys_can_be_fetched_so(self) -> Self:
        if self.discovery:
            try:
                _check_url("http", "https")(self.issuer)
            except ValueError as error:
                raise ValueError(f"issuer: for discovery it {error}") from None
        address = self.issuer if self.discovery else self.jwks_url
        secure = address is not None and address.startswith("https://")
        if (self.ca_file is not None or self.proxy is not None) and not secure:
            raise ValueError("ca_file and proxy are for keys that are fetched from https://")
        if (self.proxy_user is None) != (self.proxy_password is None):
            raise ValueError("proxy_user and proxy_password must be given together")
        if self.proxy_user is not None and self.proxy is None:
            raise ValueError("proxy_user is for a proxy")
        return self

    @model_validator(mode="after")
    def _its_tokens_are_for_us(self) -> Self:
        if not self.audience and not self.required:
            raise ValueError(
                "give audience; or, where the issuer gives none, in required a claim that tells its"
                " tokens for this application from others, e.g. client_id"
            )
        return self


class RabbitmqLogins(_Table):
    """Logins of RabbitMQ's own users, by ``login`` and ``passcode`` of CONNECT. The table's being
    there lets them in. ``rights_lifetime``: seconds for which RabbitMQ's word counts. ``shared``:
    their topics are read from RabbitMQ once for all subscribers."""

    rights_lifetime: Annotated[float, Field(ge=1, le=86_400)] = 60.0
    rooms: bool = False
    shared: bool = True


#: A token of RFC 9110, section 5.6.2.
_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
#: Headers that belong to one connection, or that the question has of its own.
_NOT_FORWARDED: Final = frozenset(
    {
        "accept",
        "accept-encoding",
        "connection",
        "content-length",
        "expect",
        "host",
        "http2-settings",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
    }
)


def _forwarded_header(value: str) -> str:
    if not _HEADER_NAME.fullmatch(value):
        raise ValueError("must be the name of an HTTP header, e.g. Authorization")
    name = value.lower()
    if name == "cookie":
        raise ValueError("cookies have a key of their own: cookies")
    if name in _NOT_FORWARDED or name.startswith("sec-websocket-"):
        raise ValueError("belongs to the browser's own connection and says nothing about its user")
    return value


class Hook(_Table):
    """The surrounding application's HTTP address that tells whose a request is.

    ``cookies`` None: all cookies are sent, but the gateway's own. ``at_once``: questions at the
    same time.
    """

    url: Annotated[str, _url("http", "https")]
    cookies: tuple[Name, ...] | None = None
    headers: tuple[Annotated[str, AfterValidator(_forwarded_header)], ...] = ()
    secret: Annotated[SecretStr, AfterValidator(_given)] | None = None
    secret_file: Path | None = None
    timeout: Annotated[float, Field(gt=0, le=30)] = 3.0
    cache: Annotated[float, Field(ge=0, le=300)] = 10.0
    at_once: Annotated[int, Field(ge=1, le=1000)] = 32

    @model_validator(mode="after")
    def _asks_about_something(self) -> Self:
        if self.cookies == () and not self.headers:
            raise ValueError(
                "nothing would be sent: give headers, or in cookies the names of cookies (all of"
                " them without the key)"
            )
        if self.secret is not None:
            if "authorization" in (name.lower() for name in self.headers):
                raise ValueError(
                    "secret is sent as Authorization, so headers cannot name that one, too"
                )
            if not re.fullmatch(r"[\x21-\x7e]+", self.secret.get_secret_value()):
                raise ValueError("secret must be ASCII without spaces, because it goes in a header")
        return self


#: Versions of ``auth.secret``: each is tried in turn with whatever a stranger has signed.
_MOST_SECRETS: Final = 5


class Auth(_Table):
    """Logins. ``secret`` signs session cookies, broker passcodes and what gateways tell each other;
    all gateways share it. Of several versions the first signs, and all of them verify."""

    secret: Annotated[tuple[SecretStr, ...], NoDecode, _one_or_several]
    secret_file: Path | None = None
    session_lifetime: PositiveFloat = 28_800.0
    sessions_per_user: Annotated[int, Field(ge=1, le=1000)] = 100
    connect_timeout: PositiveFloat = 10.0
    jwt: Jwt | None = None
    issuers: Annotated[tuple[Jwt, ...], Field(max_length=50)] = ()
    rabbitmq: RabbitmqLogins | None = None
    hook: Hook | None = None

    @field_validator("secret")
    @classmethod
    def _secret_is_long(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if not 1 <= len(value) <= _MOST_SECRETS:
            raise ValueError(f"must be a string, or a list of 1 to {_MOST_SECRETS} of them")
        if any(len(version.get_secret_value().encode()) < 32 for version in value):
            raise ValueError("must have at least 32 bytes, e.g. from: openssl rand -base64 32")
        return value

    @field_validator("jwt", mode="before")
    @classmethod
    def _one_issuer(cls, value: Any) -> Any:
        if isinstance(value, (list, tuple)):
            raise ValueError("must be one table; several issuers are tables [[auth.issuers]]")
        return value

    @model_validator(mode="after")
    def _each_issuer_has_its_own_users(self) -> Self:
        tables: dict[str, str] = {}
        for where, issuer in self.every_issuer:
            if (other := tables.setdefault(issuer.issuer, where)) != where:
                raise ValueError(f"{other} and {where} are the same issuer: make them one table")
        by_prefix: dict[str, list[tuple[str, Jwt]]] = {}
        for where, issuer in self.every_issuer:
            by_prefix.setdefault(issuer.user_prefix, []).append((where, issuer))
        for alike in by_prefix.values():
            if len(alike) > 1 and not all(issuer.shared_users for _, issuer in alike):
                raise ValueError(
                    f"{' and '.join(where for where, _ in alike)} could each speak for the users of"
                    " the others: give each a user_prefix of its own; or say shared_users = true in"
                    " each of them, if the same name is the same person whoever issues the token"
                )
        return self

    @property
    def every_issuer(self) -> tuple[tuple[str, Jwt], ...]:
        """All issuers of tokens, each with the name of its table."""
        alone = () if self.jwt is None else (("auth.jwt", self.jwt),)
        return *alone, *((f"auth.issuers.{n}", issuer) for n, issuer in enumerate(self.issuers))

    @property
    def secrets(self) -> tuple[str, ...]:
        """The versions of the secret in plain text; the first signs."""
        return tuple(version.get_secret_value() for version in self.secret)


class Access(_Table):
    """Destinations that are open to system roles; ``**`` opens everything.

    ``vhosts``: the virtual hosts where they are open; empty: the one of the rooms. ``shared``:
    topics among them are read from RabbitMQ once for all subscribers.
    """

    roles: Annotated[tuple[str, ...], Field(min_length=1)]
    vhosts: tuple[str, ...] = ()
    subscribe: tuple[str, ...] = ()
    send: tuple[str, ...] = ()
    shared: bool = True


class Limits(_Table):
    """The limits on clients, messages and connections; SIGHUP may change most."""

    body_bytes: PositiveInt = 65_536
    body_bytes_per_user: PositiveInt = 32 * 1024 * 1024
    body_bytes_in_all: PositiveInt = 128 * 1024 * 1024
    frame_bytes: PositiveInt = 1_114_112
    upstream_frame_bytes: PositiveInt = 16 * 1024 * 1024
    connections: PositiveInt = 10_000
    connections_per_user: PositiveInt = 50
    http_connections: PositiveInt = 8_000
    http_connections_per_address: PositiveInt = 4_000
    http_connects_per_second: PositiveFloat = 300.0
    http_connects_burst: PositiveInt = 6_000
    user_http_connects_per_second: PositiveFloat = 5.0
    user_http_connects_burst: PositiveInt = 200
    unknown_connections: PositiveInt = 2_000
    unknown_connections_per_address: PositiveInt = 1_000
    login_connections_per_address: PositiveInt = 2_000
    upgrades_per_second: PositiveFloat = 200.0
    upgrades_burst: PositiveInt = 3_000
    user_upgrades_per_second: PositiveFloat = 5.0
    user_upgrades_burst: PositiveInt = 100
    frames_per_second: PositiveFloat = 2_000.0
    frames_burst: PositiveInt = 10_000
    bytes_per_second: PositiveFloat = 4.0 * 1024 * 1024
    bytes_burst: PositiveInt = 16 * 1024 * 1024
    subscriptions: PositiveInt = 100
    copies: PositiveInt = 8
    copies_per_user: PositiveInt = 64
    dashboards: PositiveInt = 50
    dashboards_per_user: PositiveInt = 10
    backlog_bytes: PositiveInt = 1024 * 1024
    backlog_bytes_per_user: PositiveInt = 32 * 1024 * 1024
    backlog_bytes_in_all: PositiveInt = 512 * 1024 * 1024
    half_read_bytes_per_user: PositiveInt = 8 * 1024 * 1024
    half_read_bytes: PositiveInt = 128 * 1024 * 1024
    stall_timeout: PositiveFloat = 20.0
    posts_per_second: PositiveFloat = 50.0
    posts_burst: PositiveInt = 100
    room_posts_per_second: PositiveFloat = 500.0
    room_posts_burst: PositiveInt = 10_000
    post_bytes_per_second: PositiveFloat = 1024.0 * 1024
    post_bytes_burst: PositiveInt = 32 * 1024 * 1024
    room_post_bytes_per_second: PositiveFloat = 2.0 * 1024 * 1024
    room_post_bytes_burst: PositiveInt = 64 * 1024 * 1024
    logins_per_minute: PositiveFloat = 120.0
    user_logins_per_minute: PositiveFloat = 30.0
    user_logins_burst: PositiveInt = 100
    waiting_logins: PositiveInt = 1_200
    waiting_logins_per_address: PositiveInt = 600
    joins_per_second: PositiveFloat = 100.0
    joins_burst: PositiveInt = 2_000
    all_joins_per_second: PositiveFloat = 400.0
    all_joins_burst: PositiveInt = 8_000
    room_joins_per_second: PositiveFloat = 20.0
    room_joins_burst: PositiveInt = 600
    room_guests_per_minute: PositiveFloat = 12.0
    room_guests_burst: PositiveInt = 600
    wrong_codes_per_minute: PositiveFloat = 60.0
    all_wrong_codes_per_minute: PositiveFloat = 60.0
    room_knocks: PositiveInt = 600
    waiting_posts: PositiveInt = 10_000
    waiting_posts_per_user: PositiveInt = 1_000
    waiting_bytes: PositiveInt = 128 * 1024 * 1024
    waiting_bytes_per_user: PositiveInt = 16 * 1024 * 1024
    outbox_messages: PositiveInt = 150_000
    outbox_bytes: PositiveInt = 512 * 1024 * 1024
    page_size: PositiveInt = 500
    kept_bytes: PositiveInt = 16 * 1024
    kept_of_room: PositiveInt = 10_000
    kept_of_user: PositiveInt = 1_000
    kept_bytes_of_user: PositiveInt = 256 * 1024
    kept_bytes_of_users: PositiveInt = 32 * 1024 * 1024
    state_reads: PositiveInt = 1000
    state_reads_per_user: PositiveInt = 8
    state_bytes_per_second: PositiveFloat = 2.0 * 1024 * 1024
    state_bytes_burst: PositiveInt = 64 * 1024 * 1024
    all_state_bytes_per_second: PositiveFloat = 64.0 * 1024 * 1024
    all_state_bytes_burst: PositiveInt = 1024 * 1024 * 1024
    reads: PositiveInt = 1000
    reads_per_user: PositiveInt = 8
    read_bytes_per_second: PositiveFloat = 2.0 * 1024 * 1024
    read_bytes_burst: PositiveInt = 64 * 1024 * 1024
    all_read_bytes_per_second: PositiveFloat = 64.0 * 1024 * 1024
    all_read_bytes_burst: PositiveInt = 1024 * 1024 * 1024
    exports: PositiveInt = 40
    exports_per_user: PositiveInt = 5
    export_bytes_per_second: PositiveFloat = 4.0 * 1024 * 1024
    export_bytes_burst: PositiveInt = 16 * 1024 * 1024
    room_members: PositiveInt = 1000
    member_changes_per_second: PositiveFloat = 10.0
    member_changes_burst: PositiveInt = 2_000
    dials_per_second: PositiveFloat = 3.0
    dials_burst: PositiveInt = 20
    broker_subscriptions_per_second: PositiveFloat = 5.0
    broker_subscriptions_burst: PositiveInt = 30
    broker_queues: PositiveInt = 10_000
    broker_queues_per_user: PositiveInt = 1_000
    rooms_per_minute: PositiveFloat = 30.0
    rooms_burst: PositiveInt = 100
    open_rooms: PositiveInt = 20_000
    open_rooms_per_user: PositiveInt = 2_000


class Log(_Table):
    """The form and the level of the log."""

    format: Literal["plain", "json"] = "plain"
    level: Literal["debug", "info", "warning", "error"] = "info"


class Config(BaseSettings):
    """The whole configuration. Make one with :func:`load`."""

    model_config = SettingsConfigDict(
        extra="forbid",
        frozen=True,
        env_prefix=ENVIRONMENT_PREFIX,
        env_nested_delimiter="__",
    )

    fanout: Literal["shared", "passthrough"] = "shared"
    presence: bool = True
    server: Server = Server()
    broker: Broker
    store: Store = Store()
    messages: Messages = Messages()
    rooms: Rooms = Rooms()
    history: History = History()
    journal: Journal = Journal()
    auth: Auth
    access: tuple[Access, ...] = ()
    limits: Limits = Limits()
    log: Log = Log()

    @model_validator(mode="after")
    def _broker_takes_what_is_accepted(self) -> Self:
        most = self.broker.max_message_bytes - _SEQ_BYTES
        if self.limits.body_bytes > most:
            raise ValueError(
                f"limits.body_bytes is {self.limits.body_bytes}, but RabbitMQ takes {most} bytes at"
                " most: lower it, or raise RabbitMQ's max_message_size on every node and then"
                " broker.max_message_bytes"
            )
        return self

    @model_validator(mode="after")
    def _rules_are_for_open_vhosts(self) -> Self:
        open_ones = {self.broker.vhost, *self.broker.vhosts}
        for number, rule in enumerate(self.access):
            if unknown := sorted(set(rule.vhosts) - open_ones):
                raise ValueError(
                    f"access.{number}.vhosts names {', '.join(unknown)}, which clients cannot"
                    f" choose: broker.vhost and broker.vhosts are {', '.join(sorted(open_ones))}"
                )
        return self

    @model_validator(mode="after")
    def _roles_of_tokens_are_known(self) -> Self:
        known = {ADMIN, HOST, OBSERVER, *(role for rule in self.access for role in rule.roles)}
        for where, issuer in self.auth.every_issuer:
            for theirs, ours in issuer.roles.items():
                if unknown := sorted(set(ours) - known):
                    raise ValueError(
                        f"{where}.roles.{theirs}: {unknown[0]!r} is no role here: there are"
                        f" {', '.join(sorted(known))}"
                    )
        return self

    @model_validator(mode="after")
    def _every_message_can_wait(self) -> Self:
        limits = self.limits
        of_user = min(limits.waiting_bytes_per_user, limits.body_bytes_per_user)
        in_all = min(limits.waiting_bytes, limits.body_bytes_in_all, limits.outbox_bytes)
        if min(of_user, in_all // 2) < limits.body_bytes:
            raise ValueError(
                f"limits.body_bytes is {limits.body_bytes}: limits.waiting_bytes_per_user and"
                " limits.body_bytes_per_user must be as much at least, limits.waiting_bytes,"
                " limits.body_bytes_in_all and limits.outbox_bytes twice as much"
            )
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (_FirstCount(settings_cls, env_settings, init_settings),)


class _FirstCount(PydanticBaseSettingsSource):
    """The environment over systemd's credentials over the file, where a secret that one of them
    gives by a file takes the place of what a later one gives itself, and the other way round."""

    def __init__(
        self,
        settings_cls: type[BaseSettings],
        environment: PydanticBaseSettingsSource,
        file: PydanticBaseSettingsSource,
    ) -> None:
        super().__init__(settings_cls)
        self._environment = environment
        self._file = file

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Nothing: the sources are asked as a whole."""
        raise NotImplementedError

    def __call__(self) -> dict[str, Any]:
        whole: dict[str, Any] = {}
        credentials = secret_files.credentials(self.settings_cls)
        for table in (self._file(), credentials, self._environment()):
            whole = secret_files.laid_over(whole, table)
        return whole


def load(path: Path) -> Config:
    """Read the file, then the environment over it. Raises :class:`ConfigError`.

    Relative paths, in the environment too, are taken from the file's folder, so that every command
    means the same files, wherever it is run.
    """
    try:
        # Editors on Windows begin a file with a byte order mark.
        table = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be read: {error.strerror}"
            f" (--config or ${CONFIG_VARIABLE} names another file)"
        ) from error
    except ValueError as error:
        # No TOML, no UTF-8, or a number of more digits than Python reads.
        raise ConfigError(f"{path}: not TOML: {error}") from error
    except RecursionError:
        raise ConfigError(f"{path}: not a configuration: it is nested too deeply") from None
    folder = path.absolute().parent
    return _placed(parse(table, source=str(path), folder=folder), folder)


def parse(table: Mapping[str, Any], *, source: str, folder: Path | None = None) -> Config:
    """As :func:`load`, for a table that has been read already. ``folder``: of relative paths to
    secrets."""
    prefix = ENVIRONMENT_PREFIX
    problems = list(config_faults.unknown_variables(Config, prefix=prefix, spared=CONFIG_VARIABLE))
    try:
        with secret_files.relative_to(folder):
            config = Config(**table)
    except ValidationError as error:
        problems += config_faults.of_values(Config, error, prefix=prefix)
    except SettingsError:
        problems += config_faults.unreadable_variables(Config, prefix=prefix)
    except secret_files.UnreadableCredential as error:
        problems.append(f"${secret_files.DIRECTORY_VARIABLE}: {error}")
    if problems:
        raise ConfigError(f"{source}:\n" + "\n".join(f"  {problem}" for problem in problems))
    return config


def _placed(config: Config, folder: Path) -> Config:
    url = config.store.url.get_secret_value()
    placed = database_url.beside(url, folder)
    if placed != url:
        here, there = (Path(each.removeprefix("sqlite:///")) for each in (url, placed))
        # It was made by a version that took the path from the working directory. A second, empty
        # database beside it would look as if everything were lost.
        if here.exists() and not there.exists():
            raise ConfigError(
                f"store.url: {here.absolute()} exists, but a relative path is taken from the"
                f" configuration's folder: move it (with its -wal and -shm) to {there}, or give"
                f" sqlite:///{here.absolute()}"
            )
    files = _with_paths_from(config, folder)
    store = config.store.model_copy(update={"url": SecretStr(placed)})
    return files.model_copy(update={"store": store})


def _with_paths_from(table: TableT, folder: Path) -> TableT:
    names = type(table).model_fields
    return table.model_copy(update={n: _with_path_from(getattr(table, n), folder) for n in names})


def _with_path_from(value: Any, folder: Path) -> Any:
    if isinstance(value, Path):
        return folder / value
    if isinstance(value, BaseModel):
        return _with_paths_from(value, folder)
    if isinstance(value, tuple):
        return tuple(_with_path_from(entry, folder) for entry in value)
    return value


def secrets_of(value: object) -> Iterator[str]:
    """Every secret value in the configuration, to be hidden in logs and output."""
    if isinstance(value, SecretStr):
        yield value.get_secret_value()
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from secrets_of(getattr(value, name))
    elif isinstance(value, tuple):
        for entry in value:
            yield from secrets_of(entry)
