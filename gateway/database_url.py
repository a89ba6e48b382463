"""The database's address, ``store.url``, in the syntax of libpq and of SQLAlchemy's SQLite. Pure.

https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-URIS
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit

_SQLITE: Final = "sqlite:///"
_POSTGRESQL: Final = ("postgresql://", "postgres://", "postgresql+asyncpg://")

#: Parameters that asyncpg reads from the URL itself.
_OF_THE_DRIVER: Final = frozenset(
    {
        *("host", "port", "dbname", "database", "user", "password", "passfile"),
        *("sslmode", "sslcert", "sslkey", "sslrootcert", "sslcrl", "sslpassword"),
        *("sslnegotiation", "ssl_min_protocol_version", "ssl_max_protocol_version"),
        *("target_session_attrs", "krbsrvname", "gsslib"),
    }
)
#: Options that libpq may negotiate and asyncpg never does: only values that promise nothing pass.
_NOT_DEMANDED: Final = {
    "channel_binding": ("disable", "prefer"),
    "gssencmode": ("disable", "prefer"),
}
_CHOICES: Final = {
    "sslmode": ("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
    "target_session_attrs": (
        *("any", "read-write", "read-only", "primary", "standby", "prefer-standby"),
    ),
    "pgbouncer": ("true", "false"),
}
_OURS: Final = frozenset({"application_name", "connect_timeout", "options", "pgbouncer"})
_KNOWN: Final = _OF_THE_DRIVER | _OURS | _NOT_DEMANDED.keys()
_OPTION: Final = re.compile(r"(?:-c\s*|--)([A-Za-z_.]+)=(\S*)")
_ENCODED: Final = (
    "is not a PostgreSQL URL; in a user name or password the characters : / ? # @ % must be"
    " percent-encoded"
)


@dataclass(frozen=True, slots=True)
class SqliteFile:
    """A SQLite file, by the path in the URL."""

    path: str

    @property
    def name(self) -> str:
        return self.path


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """A PostgreSQL server. ``url``: for the driver, without unknown parameters. ``settings``: of
    each session.

    ``connect_timeout``: seconds, or None. ``pooled``: behind a pooler that gives each transaction
    another connection of the server.
    """

    url: str = field(repr=False)
    name: str
    settings: dict[str, str]
    connect_timeout: float | None
    pooled: bool


def parse(url: str) -> SqliteFile | PostgresServer:
    """The database of a URL. Raises :class:`ValueError`, whose text continues a sentence that
    begins with ``store.url`` and contains no secret."""
    if url.startswith(_SQLITE):
        return _sqlite(url.removeprefix(_SQLITE))
    for scheme in _POSTGRESQL:
        if url.startswith(scheme):
            return _postgresql("postgresql://" + url.removeprefix(scheme))
    raise ValueError("must start with sqlite:/// or postgresql://")


def beside(url: str, folder: Path) -> str:
    """The URL, with a relative path of SQLite taken from this folder."""
    if not url.startswith(_SQLITE):
        return url
    path = _sqlite(url.removeprefix(_SQLITE)).path
    return _SQLITE + str(folder.absolute() / path)


def _sqlite(path: str) -> SqliteFile:
    if not path or path.startswith(":"):
        raise ValueError("must name a file: sqlite:///folder/interact.db")
    if "?" in path:
        raise ValueError("takes no parameters for SQLite: sqlite:///folder/interact.db")
    return SqliteFile(path)


def _postgresql(url: str) -> PostgresServer:
    base, _, query = url.partition("?")
    try:
        parts = urlsplit(base)
        given = dict(parse_qsl(query, strict_parsing=True, keep_blank_values=True)) if query else {}
    except ValueError:
        # Neither quoted nor chained: the part that is wrong may belong to the password.
        raise ValueError(_ENCODED) from None
    hosts = parts.netloc.rpartition("@")[2]
    if parts.fragment or not all(_is_host(host) for host in hosts.split(",")):
        raise ValueError(_ENCODED)
    _check(given)
    settings = {"application_name": given.get("application_name", "interact-gateway")}
    settings |= _options(given.get("options", ""))
    several = "," in hosts or "," in given.get("host", "")
    kept = {name: value for name, value in given.items() if name in _OF_THE_DRIVER}
    if several:
        # The server that takes writes, wherever a failover has put it.
        kept.setdefault("target_session_attrs", "read-write")
    shown = given.get("host", hosts) or "localhost"
    database = given.get("dbname", given.get("database", parts.path.lstrip("/")))
    if "@" in shown + database:
        # The rest of a user name or a password: both are shown.
        raise ValueError(_ENCODED)
    return PostgresServer(
        url=base + ("?" + urlencode(kept) if kept else ""),
        name=f"postgresql://{shown}/{database}",
        settings=settings,
        connect_timeout=_seconds(given.get("connect_timeout")),
        pooled=given.get("pgbouncer") == "true",
    )


def _is_host(host: str) -> bool:
    """Whether it is a name or an address, with a port or without; an IPv6 address needs
    brackets."""
    return re.fullmatch(r"(\[[0-9A-Fa-f:.%]+\]|[^:\[\]@]*)(:\d{1,5})?", host) is not None


def _check(given: dict[str, str]) -> None:
    for name, value in given.items():
        if name not in _KNOWN:
            if not re.fullmatch(r"[A-Za-z_]{1,40}", name):
                raise ValueError(_ENCODED)
            raise ValueError(
                f"has an unknown parameter {name}; known are {', '.join(sorted(_KNOWN))}"
            )
        choices = _CHOICES.get(name) or _NOT_DEMANDED.get(name)
        if choices is not None and value not in choices:
            raise ValueError(f"has a parameter {name}, which must be one of {', '.join(choices)}")


def _options(options: str) -> dict[str, str]:
    """The settings in ``-c name=value``, the form of PostgreSQL's command line."""
    if _OPTION.sub("", options).strip():
        raise ValueError("has a parameter options, which must have the form -c name=value")
    return dict(_OPTION.findall(options))


def _seconds(text: str | None) -> float | None:
    """A timeout as libpq has it: whole seconds; 0 means no limit, and then our own counts."""
    if text is None:
        return None
    if not re.fullmatch(r"\d{1,4}", text):
        raise ValueError("has a parameter connect_timeout, which must be a number of seconds")
    return float(text) or None
