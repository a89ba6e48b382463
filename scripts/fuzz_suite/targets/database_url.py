"""The database's address: understood, or refused without quoting a password."""

from gateway.database_url import PostgresServer, parse

_PASSWORD = "pa55-w0rd-of-n0body"  # noqa: S105

SEEDS = (
    b"postgresql://interact:%s@localhost:5432/interact?sslmode=require&connect_timeout=5",
    b"postgresql://u:%s@one,[::1]:5433/db?target_session_attrs=read-write&options=-c%20a.b=c",
    b"sqlite:///interact.db",
    b"postgres://u:%s@/db?host=/tmp",
)


def check(data: bytes) -> None:
    """No error but a ``ValueError``. ``%s`` stands for the password."""
    url = data.decode(errors="replace").replace("%s", _PASSWORD)
    try:
        found = parse(url)
    except ValueError as error:
        text = str(error)
    else:
        text = repr(found)
        assert found.name
        assert not isinstance(found, PostgresServer) or found.url.startswith("postgresql://")
    # A path of SQLite has no secret in it.
    has_login = f":{_PASSWORD}@" in url.partition("?")[0] and not url.startswith("sqlite")
    if has_login and url.count(_PASSWORD) == 1:
        assert _PASSWORD not in text, text
