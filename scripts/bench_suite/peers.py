"""The proxies that are used in front of RabbitMQ today, run with the templates of conf/bench."""

import os
import shutil
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from string import Template
from tempfile import TemporaryDirectory

from bench_suite.child import Child, running
from bench_suite.system import Door, Lab
from devenv.broker_node import Node
from devenv.errors import SetupError

TEMPLATES = Path(__file__).parents[2] / "conf" / "bench"
_MODULES = Path("/usr/lib/apache2/modules")
_START_TIMEOUT = 20.0
_PATH = "/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin:/sbin:/bin"
#: Threads of an Apache child, see its template.
_THREADS = 1000


@dataclass(frozen=True)
class Proxy:
    """A proxy that people put in front of RabbitMQ, and how to run it.

    ``template`` in conf/bench; ``server`` is a line of it for each node, ``tls`` its ways to speak
    TLS; ``command`` runs it in the foreground on a configuration file.
    """

    name: str
    template: str
    #: Key of `devenv.packages.PRESENT`.
    package: str
    server: Callable[[Node], str]
    tls: str
    command: Callable[[Path], list[str]]


PROXIES = {
    "haproxy": Proxy(
        name="haproxy",
        template="haproxy.cfg",
        package="haproxy",
        server=lambda node: f"    server r{node.number} 127.0.0.1:{node.web_stomp_port}",
        tls=" ssl crt $folder/server-and-key.pem",
        command=lambda file: ["haproxy", "-db", "-f", str(file)],
    ),
    "nginx": Proxy(
        name="nginx",
        template="nginx.conf",
        package="nginx",
        server=lambda node: f"        server 127.0.0.1:{node.web_stomp_port};",
        tls=" ssl;\n        ssl_certificate $certificate;\n        ssl_certificate_key $key",
        command=lambda file: ["nginx", "-p", str(file.parent), "-e", "stderr", "-c", str(file)],
    ),
    "apache": Proxy(
        name="apache",
        template="apache.conf",
        package="apache2-bin",
        server=lambda node: f"    BalancerMember ws://127.0.0.1:{node.web_stomp_port}",
        tls=(
            "LoadModule ssl_module $modules/mod_ssl.so\n"
            "SSLEngine on\n"
            "SSLCertificateFile $certificate\n"
            "SSLCertificateKeyFile $key"
        ),
        command=lambda file: ["apache2", "-D", "FOREGROUND", "-f", str(file)],
    ),
}


def rendered(proxy: Proxy, lab: Lab, *, folder: Path, port: int, tls: bool) -> str:
    """The proxy's configuration."""
    values = {
        "folder": str(folder),
        "port": str(port),
        "connections": str(lab.capacity + 100),
        "descriptors": str(3 * lab.capacity + 200),
        "children": str(-(-(lab.capacity + 100) // _THREADS)),
        "modules": str(_MODULES),
        "certificate": str(lab.pair.certificate),
        "key": str(lab.pair.key),
        "servers": "\n".join(map(proxy.server, lab.cluster.nodes)),
    }
    values["tls"] = Template(proxy.tls).substitute(values) if tls else ""
    return Template((TEMPLATES / proxy.template).read_text()).substitute(values)


@contextmanager
def direct(lab: Lab) -> Iterator[Door]:
    """RabbitMQ itself; clients take the nodes in turn."""
    yield Door(
        name="direct",
        addresses=[("127.0.0.1", node.web_stomp_port) for node in lab.cluster.nodes],
        pids=[],
        who=lambda index: lab.cluster.admin,
    )


@contextmanager
def empty_tornado(lab: Lab) -> Iterator[Door]:
    """Run a Tornado that answers every POST at once."""
    with _bare(lab, "bare_tornado", "empty Tornado") as door:
        yield door


@contextmanager
def bare_relay(lab: Lab) -> Iterator[Door]:
    """Run a Python that passes bytes on, unread."""
    nodes = [str(node.web_stomp_port) for node in lab.cluster.nodes]
    with _bare(lab, "bare_relay", "bare Python", *nodes) as door:
        yield door


@contextmanager
def _bare(lab: Lab, module: str, name: str, *arguments: str) -> Iterator[Door]:
    """Run a module of this package that serves at the port which is its first argument."""
    port = lab.cluster.gateway_port(8)
    command = [sys.executable, "-m", f"bench_suite.{module}", str(port), *arguments]
    with running(command, log=lab.folder / f"{module}.log") as child:
        _wait_for(port, child)
        yield Door(
            name=name,
            addresses=[("127.0.0.1", port)],
            pids=child.pids,
            who=lambda index: lab.cluster.admin,
        )


@contextmanager
def obvious_way(lab: Lab, store: str) -> Iterator[Door]:
    """Run a Tornado that stores and publishes each message as one would write it in an hour.

    ``store``: see :meth:`bench_suite.system.Lab.store`.
    """
    port = lab.cluster.gateway_port(8)
    account = lab.cluster.admin
    address = lab.cluster.nodes[0].amqp_url.removeprefix("amqp://")
    with TemporaryDirectory(dir=lab.folder, prefix="obvious-") as folder:
        kept = store.replace("+asyncpg", "") or f"{folder}/store.db"
        command = [sys.executable, "-m", "bench_suite.obvious_way", str(port), kept]
        # Not on the command line, which everybody sees.
        environment = {
            **os.environ,
            "AMQP_URL": f"amqp://{account.name}:{account.password}@{address}/",
        }
        with running(command, log=lab.folder / "obvious.log", env=environment) as child:
            _wait_for(port, child)
            yield Door(
                name="the obvious way",
                addresses=[("127.0.0.1", port)],
                pids=child.pids,
                who=lambda index: lab.cluster.admin,
            )


@contextmanager
def through(proxy: Proxy, lab: Lab, *, tls: bool) -> Iterator[Door]:
    """Run a proxy; it is gone at the end."""
    port = lab.cluster.gateway_port(8)
    with TemporaryDirectory(dir=lab.folder, prefix=f"{proxy.name}-") as name:
        folder = Path(name)
        both = folder / "server-and-key.pem"
        both.touch(mode=0o600)
        both.write_bytes(lab.pair.certificate.read_bytes() + lab.pair.key.read_bytes())
        file = folder / proxy.template
        file.write_text(rendered(proxy, lab, folder=folder, port=port, tls=tls))
        program, *arguments = proxy.command(file)
        path = shutil.which(program, path=_PATH)
        if path is None:
            raise SetupError(f"{proxy.name} is not installed: scripts/bench --install-peers")
        log = lab.folder / f"{proxy.name}.log"
        with running([path, *arguments], log=log, env={"PATH": _PATH}) as child:
            _wait_for(port, child)
            yield Door(
                name=proxy.name,
                addresses=[("127.0.0.1", port)],
                pids=child.pids,
                who=lambda index: lab.cluster.admin,
                authority=lab.pair.authority if tls else None,
            )


def _wait_for(port: int, child: Child) -> None:
    deadline = time.monotonic() + _START_TIMEOUT
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if not child.alive or time.monotonic() > deadline:
                raise SetupError(f"it did not start:\n{child.log_tail()}") from None
            time.sleep(0.1)
        else:
            return
