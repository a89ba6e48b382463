"""A gateway alone, for what needs no broker: pages, and coming into a room."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

#: That of the tokens' issuer.
SECRET = "a secret of a benchmark's issuer, long enough"  # noqa: S105
_CONFIG = """
[server]
address = "127.0.0.1"
port = {port}
internal_port = {internal}
origins = []
pages = "{pages}"
[broker]
nodes = [{{ name = "r1", web_stomp = "ws://127.0.0.1:9/ws", amqp = "amqp://127.0.0.1:9" }}]
user = "gateway"
password = "nobody-is-there"
[store]
url = "sqlite:///{folder}/bench.db"
[auth]
secret = "a secret of a benchmark, long enough"
[auth.jwt]
algorithms = ["HS256"]
secret = "{secret}"
issuer = "https://bench.example"
audience = "bench"
"""


@contextmanager
def lone_gateway(*, pages: str = "built") -> Iterator[tuple[int, int]]:
    """The port and the process of a gateway without a broker, on a database of its own; ``pages``:
    as ``server.pages`` has it."""
    with TemporaryDirectory() as folder, socket.socket() as one, socket.socket() as other:
        for each in (one, other):
            each.bind(("127.0.0.1", 0))
        port, internal = one.getsockname()[1], other.getsockname()[1]
        one.close()
        other.close()
        config = Path(folder) / "gateway.toml"
        config.write_text(
            _CONFIG.format(port=port, internal=internal, pages=pages, folder=folder, secret=SECRET)
        )
        command = [sys.executable, "-m", "gateway", "--config", str(config), "serve"]
        log = Path(folder) / "log"
        with log.open("wb") as out, subprocess.Popen(command, stdout=out, stderr=out) as process:
            try:
                _await(port, process, log)
                yield port, process.pid
            finally:
                process.kill()


def _await(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise SystemExit(f"the gateway did not start:\n{log.read_text()[-2000:]}")
