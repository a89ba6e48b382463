"""Sockets that are no address and port: in the file system, or opened by a service manager."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection
from pathlib import Path

import pytest

from gateway.config import StartError
from gateway.http.sockets import Place, Sockets, opened
from tests.integration.process.conftest import Run, command_line
from tests.integration.process.test_serving import addresses_of, get, serving

#: As systemd starts a service: the sockets are at 3 and above, and the variables have its own id.
_AS_SYSTEMD = """
import fcntl, os, sys
*passed, names = sys.argv[1].split(",")
high = [fcntl.fcntl(int(each), fcntl.F_DUPFD, 100) for each in passed]
for number, descriptor in enumerate(high):
    os.dup2(descriptor, 3 + number)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(len(high))}
if names:
    os.environ["LISTEN_FDNAMES"] = names
os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
"""


class AtPath(HTTPConnection):
    """A connection by a socket in the file system."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=30)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(30)
        self.sock.connect(str(self._path))


def asked(path: Path, what: str, **headers: str) -> tuple[int, str]:
    connection = AtPath(path)
    try:
        connection.request("GET", what, headers=headers)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


@pytest.fixture
def public(environment: dict[str, str], tmp_path: Path) -> Path:
    path = tmp_path / "public.sock"
    environment["GATEWAY_SERVER__ADDRESS"] = f"unix:{path}"
    environment["GATEWAY_SERVER__INTERNAL_ADDRESS"] = f"unix:{path.with_name('internal.sock')}"
    environment["GATEWAY_SERVER__UNIX_MODE"] = "0600"
    environment["GATEWAY_SERVER__TRUSTED_PROXIES"] = '["unix:", "10.0.0.0/8"]'
    environment["GATEWAY_LOG__LEVEL"] = "debug"
    return path


def test_both_listeners_are_reached_by_their_files(
    environment: dict[str, str], public: Path, run: Run
) -> None:
    internal = public.with_name("internal.sock")
    # Left behind by one that was killed.
    with socket.socket(socket.AF_UNIX) as old:
        old.bind(str(public))
        old.listen()
    with serving(environment) as (process, where, inside):
        assert (where, inside) == (f"unix:{public}", f"unix:{internal}")
        assert stat.S_IMODE(public.stat().st_mode) == 0o600
        assert asked(public, "/healthz") == (200, "ok")
        assert asked(internal, "/readyz")[0] == 503
        forwarded = {"X-Forwarded-For": "198.51.100.7, 10.1.2.3"}
        assert asked(public, "/api/session", **forwarded)[0] == 401
        said = run("doctor").stdout
        assert f"public listener: a program listens on unix:{public}" in said
        assert "the gateway that serves here: broker" in said
        # A second one does not take its place.
        second = subprocess.run(  # noqa: S603 - our own program
            command_line("serve"), env=environment, capture_output=True, text=True, check=False
        )
        assert second.returncode == 1
        assert "another program listens there" in second.stderr
        assert "Traceback" not in second.stderr
        assert asked(public, "/healthz") == (200, "ok")
        process.send_signal(signal.SIGINT)
        _, log = process.communicate(timeout=60)
        assert process.returncode == 0
    assert "GET /api/session 401 not_authenticated" in log
    assert "from 198.51.100.7" in log
    assert not public.exists()
    assert not internal.exists()


def test_a_place_without_room_for_a_socket_is_told_in_a_line(
    environment: dict[str, str], public: Path, run: Run
) -> None:
    public.write_text("somebody's file")
    ended = run("serve")
    assert ended.returncode == 1
    assert "there is a file that is no socket" in ended.stderr
    assert public.read_text() == "somebody's file"
    assert "there is a file that is no socket" in run("doctor").stdout
    environment["GATEWAY_SERVER__ADDRESS"] = f"unix:{public.parent}/nowhere/public.sock"
    assert "no such file or directory" in run("serve").stderr
    environment["GATEWAY_SERVER__ADDRESS"] = f"unix:{public.parent}/{'x' * 120}"
    assert "path too long" in run("serve").stderr
    environment["GATEWAY_SERVER__ADDRESS"] = f"unix:{public.parent}/other.sock"
    environment["GATEWAY_SERVER__UNIX_GROUP"] = "nobody-has-this-group"
    assert "there is no group 'nobody-has-this-group'" in run("serve").stderr
    assert [each.name for each in public.parent.glob("*.sock*")] == ["public.sock"]


def test_a_file_that_another_gateway_has_taken_over_stays(tmp_path: Path) -> None:
    place = Place("server.address and port", "public", f"unix:{tmp_path}/public.sock", 0)
    with ExitStack() as stack:

        def start() -> Sockets:
            started = opened(place)
            stack.callback(started.opened[0].close)
            return started

        before = start()
        with pytest.raises(StartError, match="another program listens there"):
            start()
        # It ends, but has not yet removed its file. The new one's may have the same number.
        before.opened[0].close()
        after = start()
        before.forget_file()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(f"{tmp_path}/public.sock")
        after.opened[0].close()
        after.forget_file()
        assert list(tmp_path.iterdir()) == []
        after.forget_file()


@contextmanager
def activated(
    environment: dict[str, str], *sockets: socket.socket, names: str
) -> Iterator[subprocess.Popen[str]]:
    passed = [each.fileno() for each in sockets]
    process = subprocess.Popen(  # noqa: S603 - our own program
        [
            *(sys.executable, "-c", _AS_SYSTEMD, ",".join([*map(str, passed), names])),
            *command_line("serve")[1:],
        ],
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        pass_fds=passed,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_the_sockets_of_a_service_manager_are_served_by_their_names(
    environment: dict[str, str], tmp_path: Path
) -> None:
    path = tmp_path / "internal.sock"
    with socket.socket() as public, socket.socket(socket.AF_UNIX) as internal:
        public.bind(("127.0.0.1", 0))
        internal.bind(str(path))
        for each in (public, internal):
            each.listen()
        port = public.getsockname()[1]
        with activated(environment, internal, public, names="internal:public") as process:
            assert process.stderr is not None
            assert addresses_of(process.stderr) == (f"http://127.0.0.1:{port}", f"unix:{path}")
            assert get(f"http://127.0.0.1:{port}", "/healthz") == (200, "ok")
            assert asked(path, "/readyz")[0] == 503
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 0
        # It stays with the service manager, which starts the gateway again when somebody comes.
        assert path.exists()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))


def test_systemd_starts_the_gateway_with_its_single_socket_when_somebody_comes(
    environment: dict[str, str],
) -> None:
    """By systemd's own program for trying that. The socket has no name: it is the public one."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        where = f"127.0.0.1:{probe.getsockname()[1]}"
    passed = [f"--setenv={name}" for name in environment]
    process = subprocess.Popen(  # noqa: S603 - our own arguments
        ["systemd-socket-activate", f"--listen={where}", *passed, *command_line("serve")],  # noqa: S607 - the system's
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        assert "Listening on" in process.stderr.readline()
        # It comes before there is a gateway, and waits in the socket.
        assert get(f"http://{where}", "/healthz") == (200, "ok")
        assert addresses_of(process.stderr)[0] == f"http://{where}"
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.communicate()


def test_what_cannot_be_served_of_them_is_told_in_a_line(environment: dict[str, str]) -> None:
    with socket.socket() as mute, socket.socket() as public:
        public.bind(("127.0.0.1", 0))
        public.listen()
        for sockets, names, fault in (
            ([mute], "public", "is no stream socket that listens"),
            ([public, public], "public:metrics", "passed a socket called 'metrics'"),
        ):
            with activated(environment, *sockets, names=names) as process:
                _, said = process.communicate(timeout=60)
                assert process.returncode == 1
                assert fault in said
                assert "Traceback" not in said


def test_variables_of_another_process_mean_nothing(environment: dict[str, str]) -> None:
    environment |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "2"}
    with serving(environment) as (_, public, _):
        assert get(public, "/healthz") == (200, "ok")
