"""``gateway serve`` as a process: it starts without its broker, and stops when asked."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path
from ssl import SSLContext, SSLError, TLSVersion, create_default_context
from typing import IO
from urllib.parse import urlsplit

import pytest

from devenv import tls
from tests.integration.process.conftest import Run, command_line

_PROJECT = Path(__file__).parents[3]


@contextmanager
def serving(
    environment: dict[str, str], *, log: Path | None = None, folder: Path | None = None
) -> Iterator[tuple[subprocess.Popen[str], str, str]]:
    """The process, and its public and internal URL; ``log`` takes what it said until it served.
    ``folder``: where the code is, if not here."""
    process = subprocess.Popen(  # noqa: S603 - our own program
        command_line("serve"), env=environment, stderr=subprocess.PIPE, text=True, cwd=folder
    )
    try:
        assert process.stderr is not None
        yield process, *addresses_of(process.stderr, log)
    finally:
        process.kill()
        process.communicate()


def addresses_of(lines: IO[str], log: Path | None = None) -> tuple[str, str]:
    seen = ""
    for line in lines:
        seen += line
        if log is not None:
            log.write_text(seen)
        if found := re.search(r"serving (\S+), internal (\S+)", line):
            return found[1], found[2]
    raise AssertionError(f"the gateway ended:\n{seen}")


def get(url: str, path: str, context: SSLContext | None = None) -> tuple[int, str]:
    parts = urlsplit(url)
    host = parts.hostname or ""
    connection = (
        HTTPConnection(host, parts.port, timeout=30)
        if context is None
        else HTTPSConnection(host, parts.port, timeout=10, context=context)
    )
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def test_without_its_broker_it_serves_and_is_not_ready(
    environment: dict[str, str], run: Run
) -> None:
    assert "-      the gateway that serves here: none answers at" in run("doctor").stdout
    with serving(environment) as (_, public, internal):
        assert get(public, "/healthz") == (200, "ok")
        assert get(public, "/readyz") == (503, "unavailable")
        status, body = get(internal, "/readyz")
        assert status == 503
        reason = json.loads(body)["problems"]["publisher"]
        # The doctor says the same, because it asks the same.
        environment["GATEWAY_SERVER__INTERNAL_PORT"] = str(urlsplit(internal).port)
        told = run("doctor").stdout
        assert f"WRONG  the gateway that serves here: publisher: {reason} (since 20" in told
        assert ", so it is not ready)\n       posts are stored and answered 202" in told
        assert get(public, "/metrics")[0] == 404
        assert get(internal, "/metrics")[0] == 200


_EVERY = r"listening on (\[::\]|0\.0\.0\.0):(\d+) and (?!\1)(\[::\]|0\.0\.0\.0):\2\n"


@pytest.mark.parametrize(
    ("address", "hosts", "told"),
    [
        ("::", ("127.0.0.1", "[::1]"), _EVERY),
        ("", ("127.0.0.1", "[::1]"), _EVERY),
        ("::1", ("[::1]",), r"listening on \[::1\]:\d+\n"),
    ],
)
def test_it_says_on_which_addresses_it_listens(
    environment: dict[str, str], tmp_path: Path, address: str, hosts: tuple[str, ...], told: str
) -> None:
    environment["GATEWAY_SERVER__ADDRESS"] = address
    log = tmp_path / "log"
    with serving(environment, log=log) as (_, public, _):
        assert re.search(f"server.address and port: {told}", log.read_text())
        for host in hosts:
            url = f"http://{host}:{urlsplit(public).port}"
            assert get(url, "/healthz") == (200, "ok")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_when_asked(environment: dict[str, str], number: signal.Signals) -> None:
    with serving(environment) as (process, public, _):
        parts = urlsplit(public)
        # A connection that is kept alive holds nobody up.
        with socket.create_connection((parts.hostname, parts.port)) as idle:
            idle.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert idle.recv(4096).startswith(b"HTTP/1.1 200")
            process.send_signal(number)
            assert process.wait(timeout=30) == 0
        assert process.stderr is not None
        rest = process.stderr.read()
        assert "stopped" in rest
        assert "Traceback" not in rest


@pytest.mark.parametrize("key", ["PORT", "INTERNAL_PORT"])
def test_a_port_in_use_is_told_in_a_line(environment: dict[str, str], key: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        environment[f"GATEWAY_SERVER__{key}"] = str(port)
        result = subprocess.run(  # noqa: S603 - our own program
            command_line("serve"),
            env=environment,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    assert result.returncode == 1
    last = result.stderr.splitlines()[-1]
    assert f"{key.lower()}: cannot listen on 127.0.0.1, port {port}" in last
    assert "address already in use" in last
    assert "Traceback" not in result.stderr


def test_an_unreadable_certificate_is_told_in_a_line(
    run: Run, environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "key.pem").write_text("no key")
    environment["GATEWAY_SERVER__TLS__KEY"] = str(tmp_path / "key.pem")
    for certificate, told in (
        (tmp_path / "none.pem", "none.pem cannot be read"),
        (tmp_path / "key.pem", "are not a PEM certificate and its key"),
    ):
        environment["GATEWAY_SERVER__TLS__CERTIFICATE"] = str(certificate)
        result = run("serve")
        assert result.returncode == 2
        assert "server.tls" in result.stderr
        assert told in result.stderr
        assert "Traceback" not in result.stderr


def test_with_a_certificate_it_speaks_tls_1_2_and_newer_only(
    environment: dict[str, str], tmp_path: Path
) -> None:
    pair = tls.ensure(tmp_path)
    environment["GATEWAY_SERVER__TLS__CERTIFICATE"] = str(pair.certificate)
    environment["GATEWAY_SERVER__TLS__KEY"] = str(pair.key)
    trusting = create_default_context(cafile=str(pair.authority))
    with serving(environment) as (_, public, _):
        assert public.startswith("https://")
        assert get(public, "/healthz", trusting) == (200, "ok")
        assert "Strict-Transport-Security: max-age=31536000" in _head(public, trusting)
        old = create_default_context(cafile=str(pair.authority))
        with pytest.warns(DeprecationWarning, match="TLSv1"):
            old.minimum_version = TLSVersion.TLSv1
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            old.maximum_version = TLSVersion.TLSv1_1
        old.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.raises((SSLError, ConnectionError)):
            get(public, "/healthz", old)


def _head(url: str, context: SSLContext) -> str:
    parts = urlsplit(url)
    connection = HTTPSConnection(parts.hostname or "", parts.port, timeout=10, context=context)
    try:
        connection.request("GET", "/")
        return str(connection.getresponse().headers)
    finally:
        connection.close()


def test_a_log_that_nobody_reads_stops_nothing(environment: dict[str, str]) -> None:
    with serving(environment | {"GATEWAY_LOG__LEVEL": "debug"}) as (process, public, internal):
        assert process.stderr is not None
        fcntl.fcntl(process.stderr, fcntl.F_SETPIPE_SZ, 4096)
        # Each of them is a line in the log; the pipe takes some forty.
        for _ in range(300):
            assert get(public, "/api/rooms")[0] == 401
        assert get(internal, "/healthz") == (200, "ok")
        process.send_signal(signal.SIGINT)
        # Its end is not kept from it either.
        assert process.wait(timeout=20) == 0


def test_the_service_manager_is_told_how_the_gateway_fares(
    environment: dict[str, str], tmp_path: Path
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(30)
        environment["NOTIFY_SOCKET"] = str(tmp_path / "notify")
        environment["WATCHDOG_USEC"] = "200000"
        environment["GATEWAY_SERVER__NOTICE_TIME"] = "0"

        def hear(awaited: str) -> str:
            while not (told := manager.recv(4096).decode()).startswith(awaited):
                pass
            return told

        with serving(environment) as (process, public, _):
            assert hear("READY=1") == f"READY=1\nSTATUS=serving {public}"
            hear("WATCHDOG=1")
            # A gateway that hangs gives no sign of life, so that the watchdog ends it.
            process.send_signal(signal.SIGSTOP)
            os.waitid(os.P_PID, process.pid, os.WSTOPPED)
            manager.setblocking(False)
            with suppress(BlockingIOError):
                while manager.recv(4096):
                    pass
            manager.settimeout(30)
            process.send_signal(signal.SIGCONT)
            hear("WATCHDOG=1")
            process.send_signal(signal.SIGTERM)
            assert "STATUS=leaving" in hear("STOPPING=1")
            # To its last moment.
            assert process.wait(timeout=30) == 0


def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / "interact-gateway.service"
    text = (_PROJECT / "conf/systemd/interact-gateway.service").read_text()
    program = "/opt/interact/bin/gateway"
    assert text.count(program) == 1
    # A drain ends with exit code 0, and is for good.
    assert "\nRestart=on-failure\n" in text
    unit.write_text(text.replace(program, "/bin/true"))
    sockets = tmp_path / "interact-gateway.socket"
    shutil.copyfile(_PROJECT / "conf/systemd" / sockets.name, sockets)
    for command in (
        ["verify", str(unit), str(sockets)],
        # Of ten; more is a door that was closed.
        ["security", "--offline=true", "--threshold=15", str(unit)],
    ):
        result = subprocess.run(  # noqa: S603 - our own arguments
            ["systemd-analyze", "--no-pager", *command],  # noqa: S607 - the system's
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (result.returncode, result.stderr) == (0, ""), result.stdout
