"""nginx, HAProxy and Apache by the configurations of conf/, each as it stands there but for
addresses and files."""

from __future__ import annotations

import json
import re
import shutil
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPMessage, HTTPSConnection
from pathlib import Path
from ssl import create_default_context

from bench_suite.child import running
from devenv.tls import Pair
from tests.acceptance.broker_view import wait_for
from tests.acceptance.stomp_client import StompClient

CONF = Path(__file__).parents[1] / "conf"
#: What the configurations have below their host.
BELOW = "/interact"
#: The address where a proxy listens and from which it connects, and that of its clients.
PROXY, CLIENT = "127.0.0.1", "127.0.0.2"
_MODULES = "/usr/lib/apache2/modules"

#: What Debian's apache2.conf has around a site.
_APACHE = """
ServerName localhost
ServerRoot $folder
DefaultRuntimeDir $folder
PidFile $folder/apache.pid
ErrorLog /dev/stderr
"""
_APACHE_MODULES = (
    "mpm_event authz_core headers ssl socache_shmcb slotmem_shm proxy proxy_http"
    " proxy_balancer proxy_hcheck lbmethod_bybusyness"
)


@dataclass(frozen=True)
class Program:
    """A proxy and its configuration below conf/. ``idle`` finds the seconds after which it ends a
    silent WebSocket; ``sticky`` are the lines that are commented out."""

    name: str
    file: str
    idle: str
    sticky: tuple[str, ...] = ()


NGINX = Program("nginx", "nginx/nginx.conf", r"(proxy_read_timeout )(\d+)s", ("hash",))
HAPROXY = Program("haproxy", "haproxy/haproxy.cfg", r"(timeout tunnel )(\d+)s", ("cookie",))
APACHE = Program(
    "apache2",
    "apache/interact.conf",
    r"((?<![a-z])[Tt]imeout[= ])(\d+)",
    ("Header", "ProxySet stickysession"),
)
#: Those that pass on bytes.
NGINX_STREAM = Program("nginx", "nginx/stream.conf", r"(proxy_timeout )(\d+)s")
HAPROXY_TCP = Program("haproxy", "haproxy/tcp.cfg", r"(timeout (?:client|server) )(\d+)s")


@dataclass(frozen=True)
class Front:
    """A proxy that runs."""

    port: int
    authority: Path

    def call(
        self, method: str, path: str, body: object = None, **headers: str
    ) -> tuple[int, str, HTTPMessage]:
        """As from the client's address."""
        context = create_default_context(cafile=self.authority)
        connection = HTTPSConnection(
            "localhost", self.port, timeout=30, context=context, source_address=(CLIENT, 0)
        )
        raw = None if body is None else json.dumps(body)
        sent = headers | ({} if body is None else {"Content-Type": "application/json"})
        try:
            connection.request(method, BELOW + path, raw, sent)
            response = connection.getresponse()
            return response.status, response.read().decode(), response.headers
        finally:
            connection.close()

    def connect(self, token: str) -> StompClient:
        client = StompClient(
            f"wss://localhost:{self.port}{BELOW}/ws",
            headers={"Authorization": f"Bearer {token}"},
            authority=self.authority,
        )
        assert client.connect().command == "CONNECTED"
        return client


@contextmanager
def fronting(
    program: Program,
    ports: Sequence[int],
    folder: Path,
    pair: Pair,
    changed: Callable[[str], str] = str,
) -> Iterator[Front]:
    """A block in which the proxy runs in front of the gateways at these ports, with its files in
    the folder. ``changed`` makes a variant of its configuration."""
    both = folder / "fullchain-and-key.pem"
    both.write_bytes(pair.certificate.read_bytes() + pair.key.read_bytes())
    with socket.socket() as probe:
        probe.bind((PROXY, 0))
        port = probe.getsockname()[1]
    text = changed((CONF / program.file).read_text())
    for number in (1, 2):
        address = f"{PROXY}:{ports[min(number, len(ports)) - 1]}"
        text, count = re.subn(rf"gateway-{number}\.example:\d+", address, text)
        assert count == 1
    for there, here in (
        ("/etc/interact/fullchain-and-key.pem", str(both)),
        ("/etc/interact/fullchain.pem", str(pair.certificate)),
        ("/etc/interact/key.pem", str(pair.key)),
        ("/run/nginx.pid", f"{folder}/nginx.pid"),
        ("/var/log/nginx/error.log", "stderr"),
        ("listen 443", f"listen {PROXY}:{port}"),
        ("Listen 443", f"Listen {PROXY}:{port}"),
        ("<VirtualHost *:443>", f"<VirtualHost {PROXY}:{port}>"),
        ("bind :443", f"bind {PROXY}:{port}"),
        # As many files as the tests may open; a service has more.
        ("maxconn 20000", "maxconn 2000"),
        ("rooms.school.example", "localhost"),
    ):
        text = text.replace(there, here)
    assert ".example" not in text
    # A port may have these figures, too.
    assert not re.search(r"\b443\b", text)
    with running(_command(program, text, folder), log=folder / f"{program.name}.log") as child:

        def listens() -> bool:
            assert child.alive, child.log_tail()
            with socket.socket() as probe:
                return probe.connect_ex((PROXY, port)) == 0

        wait_for(listens)
        yield Front(port, pair.authority)


def _command(program: Program, text: str, folder: Path) -> list[str]:
    path = shutil.which(program.name, path="/usr/sbin:/usr/bin")
    assert path is not None
    file = folder / Path(program.file).name
    if program.name == "haproxy":
        file.write_text(text)
        return [path, "-db", "-f", str(file)]
    if program.name == "nginx":
        # A worker that may not be somebody else could not read what this user has here.
        text = f"daemon off;\nuser root;\n{text}".replace("modules/", "/usr/lib/nginx/modules/")
        kept = "".join(
            f"    {each}_temp_path {folder}/{each};\n"
            for each in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        file.write_text(text.replace("http {\n", f"http {{\n{kept}"))
        return [path, "-p", str(folder), "-e", "stderr", "-c", str(file)]
    modules = "".join(
        f"LoadModule {each}_module {_MODULES}/mod_{each}.so\n" for each in _APACHE_MODULES.split()
    )
    file.write_text(_APACHE.replace("$folder", str(folder)) + modules + text)
    return [path, "-D", "FOREGROUND", "-f", str(file)]
