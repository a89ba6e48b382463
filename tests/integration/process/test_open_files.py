"""A process that may open few files: probes answer, and the log says it in a line."""

from __future__ import annotations

import http.client
import os
import re
import resource
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.integration.process.conftest import command_line
from tests.integration.process.test_serving import get


class Served:
    """The process, its log and its addresses."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.log: list[str] = []
        self.public = self.internal = ""
        self._up = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        assert self._up.wait(30), f"the gateway ended:\n{''.join(self.log)}"

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.log.append(line)
            if found := re.search(r"serving (\S+), internal (\S+)", line):
                self.public, self.internal = found[1], found[2]
                self._up.set()

    def end(self) -> str:
        """The whole log."""
        self.process.kill()
        self.process.wait()
        self._reader.join(10)
        return "".join(self.log)


@contextmanager
def served(environment: dict[str, str], *, soft: int, hard: int) -> Iterator[Served]:
    process = subprocess.Popen(  # noqa: S603 - our own program
        command_line("serve"),
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard)),  # noqa: PLW1509 - no threads here
    )
    try:
        found = Served(process)
        yield found
    finally:
        process.kill()
        process.wait()
        assert process.stderr is not None
        process.stderr.close()


@pytest.mark.parametrize("half", [False, True], ids=["idle", "half requests"])
@pytest.mark.parametrize("listener", ["public", "internal"])
def test_beyond_its_limit_everybody_who_asks_is_answered_and_nobody_s_log_is_flooded(
    environment: dict[str, str], half: bool, listener: str
) -> None:
    with served(environment, soft=120, hard=120) as gateway, ExitStack() as stack:
        flooded = gateway.public if listener == "public" else gateway.internal
        host, port = urlsplit(flooded).hostname, urlsplit(flooded).port
        for _ in range(300):
            client = stack.enter_context(socket.create_connection((host, port), timeout=20))
            client.sendall(b"GET /healthz HTTP/1.1\r\nHo" if half else b"")
        # Whatever it does with them, it has time for this, again and again.
        for _ in range(20):
            assert get(gateway.internal, "/healthz") == (200, "ok")
            assert get(gateway.public, "/healthz") == (200, "ok")
            assert get(gateway.internal, "/metrics")[0] == 200
            assert get(gateway.internal, "/broker/auth/user?username=x&password=y") == (200, "deny")
        opened = len(os.listdir(f"/proc/{gateway.process.pid}/fd"))  # noqa: PTH208 - only counted
        # A quarter is kept, and half of that from operators.
        assert opened <= (95 if listener == "public" else 110)
        log = gateway.end()
    assert "Traceback" not in log
    assert log.count("connections without a whole request are closed to make room") == 1
    assert "allows this process 120 open files, but limits.connections = 10000 needs" in log


def test_half_bodies_of_logins_keep_nobody_out(environment: dict[str, str]) -> None:
    with served(environment, soft=120, hard=120) as gateway, ExitStack() as stack:
        host, port = urlsplit(gateway.public).hostname, urlsplit(gateway.public).port
        head = b"POST /api/session HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n{"
        for _ in range(140):
            client = stack.enter_context(socket.create_connection((host, port), timeout=20))
            client.sendall(head)
        for _ in range(20):
            assert get(gateway.public, "/healthz") == (200, "ok")
            assert get(gateway.public, "/")[0] == 200
            assert get(gateway.internal, "/healthz") == (200, "ok")
        assert "Traceback" not in gateway.end()


def test_connections_that_idle_after_an_answer_make_room_for_others(
    environment: dict[str, str],
) -> None:
    with served(environment, soft=120, hard=120) as gateway, ExitStack() as stack:
        host, port = urlsplit(gateway.public).hostname, urlsplit(gateway.public).port
        answered = 0
        for _ in range(140):
            client = stack.enter_context(socket.create_connection((host, port), timeout=20))
            client.settimeout(20)
            client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            answered += client.recv(1000).startswith(b"HTTP/1.1 200")
        assert answered == 140


def test_the_soft_limit_is_raised(environment: dict[str, str]) -> None:
    with served(environment, soft=256, hard=4096) as gateway:
        limits = Path(f"/proc/{gateway.process.pid}/limits").read_text()
        assert re.search(r"Max open files +4096 +4096 ", limits)


def test_a_limit_that_is_no_problem_is_not_told(environment: dict[str, str]) -> None:
    with served(
        environment | {"GATEWAY_LIMITS__CONNECTIONS": "100"}, soft=256, hard=4096
    ) as gateway:
        parts = urlsplit(gateway.public)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
        connection.request("GET", "/healthz")
        assert connection.getresponse().status == 200
        connection.close()
        assert "open files" not in gateway.end()
