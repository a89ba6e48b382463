"""`scripts/run`: broker cluster, demo accounts and gateway, until Ctrl-C stops all of them."""

import http.client
import os
import secrets
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn

from devenv import (
    command_lines,
    demo,
    gateway_toml,
    local,
    packages,
    ports,
    rabbitmq,
    setting_up,
    tls,
    vendor,
)
from devenv.cluster import Cluster
from devenv.daemon import Daemon
from devenv.demo import Login
from devenv.errors import SetupError
from devenv.local import Local
from devenv.own_address import own_address

_READY_TIMEOUT = 60.0
_STOP_TIMEOUT = 20.0
_QUIET = 5.0

_CONFIG = local.FOLDER / "gateway.toml"
_DATABASE = local.FOLDER / "interact.db"
_GATEWAY = [f"{sys.prefix}/bin/gateway", "--config", str(_CONFIG)]


def main() -> int:
    """Run until a signal or the gateway's end; 0 after a signal."""
    options = command_lines.run().parse_args()
    _signals_raise()
    try:
        with local.only_one():
            rabbitmq.choose(options.rabbitmq)
            rabbitmq.ensure(_say)
            packages.ensure(["npm"], _say)
            vendor.ensure(_say)
            # Before the earlier run's cluster, which chooses its own version.
            here = Local(options.nodes, options.port, rabbitmq.chosen())
            _clear_away_a_killed_run()
            address = own_address() if options.lan else None
            with _running(here, with_tls=options.tls, address=address) as gateway:
                _wait_for_the_end(gateway)
    except SetupError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        _say("stopped")
    return 0


@contextmanager
def _running(here: Local, *, with_tls: bool, address: str | None) -> Iterator[Daemon]:
    """The gateway, with all it needs; everything is stopped at the end, however it comes.
    `address`: this machine's own, where it serves; None: loopback."""
    for port in (here.port, here.internal_port):
        if not ports.is_free(port):
            raise SetupError(f"port {port} is taken; choose another: scripts/run --port 9080")
    here.remember()
    folder = local.FOLDER / ("tls" if address is None else f"tls-{address}")
    pair = tls.ensure(folder, address=address) if with_tls else None
    cluster = here.cluster(_say)
    gateway = _gateway()
    try:
        cluster.start()
        _configure(cluster, here, pair, address)
        logins = demo.ensure(local.FOLDER / "demo-accounts.json", _DATABASE, _GATEWAY, _say)
        _say("setting up RabbitMQ (gateway topology apply)")
        setting_up.apply_topology(cluster, _GATEWAY)
        _say("starting the gateway")
        gateway.spawn([*_GATEWAY, "serve"], env=dict(os.environ))
        _wait_until_ready(gateway, here)
        _announce(here, cluster, logins, pair, address)
        yield gateway
    finally:
        # What stops must not be stopped half-way by a second Ctrl-C.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        _say("stopping")
        gateway.stop(_STOP_TIMEOUT)
        cluster.stop()


def _gateway() -> Daemon:
    return Daemon(f"{local.FOLDER}:gateway", local.FOLDER / "gateway.log")


def _clear_away_a_killed_run() -> None:
    """Stop the remains of a run that was killed (SIGKILL, a closed laptop)."""
    before = local.remembered()
    if before is None:
        return
    gateway, cluster = _gateway(), before.cluster(_say)
    if gateway.alive() or cluster.running():
        _say("stopping what an earlier run left behind")
        gateway.stop(_STOP_TIMEOUT)
        cluster.stop()


def _configure(cluster: Cluster, here: Local, pair: tls.Pair | None, address: str | None) -> None:
    settings = gateway_toml.tables(
        cluster,
        port=here.port,
        internal_port=here.internal_port,
        database=_DATABASE,
        secret=_kept_secret("gateway-secret"),
        tls=pair,
        address=address,
    )
    # So that `gateway token` can play the login server of those who try the API.
    settings["auth"]["jwt"] = {
        "algorithms": ["HS256"],
        "secret": _kept_secret("issuer-secret"),
        "issuer": "scripts/run",
        "audience": "interact",
    }
    _CONFIG.touch(mode=0o600)
    _CONFIG.write_text("# Made by scripts/run.\n" + gateway_toml.render(settings))


def _kept_secret(name: str) -> str:
    """A random secret that stays the same from run to run."""
    file = local.FOLDER / name
    if not file.exists():
        file.touch(mode=0o600)
        file.write_text(secrets.token_urlsafe(48))
    return file.read_text()


def _wait_until_ready(gateway: Daemon, here: Local) -> None:
    deadline = time.monotonic() + _READY_TIMEOUT
    tell_at = time.monotonic() + _QUIET
    while (answer := _readiness(here)) != "ready":
        if not gateway.alive():
            raise SetupError(f"the gateway did not start:\n{gateway.log_tail()}")
        if time.monotonic() > deadline:
            raise SetupError(
                f"the gateway was not ready after {_READY_TIMEOUT:.0f} s: {answer}\n"
                f"{gateway.log_tail()}"
            )
        if time.monotonic() > tell_at:
            tell_at += _QUIET
            _say(f"the gateway is not ready yet: {answer}")
        time.sleep(0.2)


def _readiness(here: Local) -> str:
    """`ready`, or the answer of /readyz, which names the failing part."""
    connection = http.client.HTTPConnection("127.0.0.1", here.internal_port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        response = connection.getresponse()
        return "ready" if response.status == 200 else response.read().decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        return str(error)
    finally:
        connection.close()


def _announce(
    here: Local,
    cluster: Cluster,
    logins: list[Login],
    pair: tls.Pair | None,
    address: str | None,
) -> None:
    scheme, web_socket = ("https", "wss") if pair else ("http", "ws")
    host = address or "localhost"
    lines = [
        "",
        f"The gateway is up:  {scheme}://{host}:{here.port}/",
        f"  STOMP             {web_socket}://{host}:{here.port}/ws",
        f"  internal          http://127.0.0.1:{here.internal_port}/readyz  /metrics",
        f"  its log           {_shown(_gateway().log)}",
    ]
    if pair:
        lines.append(f"  trust             {_shown(pair.authority)}")
    if address is not None:
        lines += ["", *_open_to_the_network(with_tls=pair is not None), ""]
    lines += [f"  RabbitMQ r{node.number}       {node.management_url}" for node in cluster.nodes]
    lines.append(f"                    {cluster.admin.name} / {cluster.admin.password}")
    lines += ["", "Demo logins:"]
    lines += [f"  {login.user:9} {login.password}  {login.role}" for login in logins]
    command = f"{_shown(Path(_GATEWAY[0]))} --config {_shown(_CONFIG)}"
    lines += ["", f"A token for programs: {command} token teacher --role host"]
    lines += ["", "Ctrl-C stops everything. To try failures: scripts/broker kill 1", ""]
    print("\n".join(lines), flush=True)


def _open_to_the_network(*, with_tls: bool) -> list[str]:
    """What somebody has to know who serves more than this machine."""
    if with_tls:
        return [
            "Whoever is in this network can open it. Phones warn of the certificate, because its",
            "authority is known to nobody: go on in spite of it, or install the authority there.",
        ]
    return [
        "Whoever is in this network can open it, and read along: there is no TLS, so use no",
        "password that counts elsewhere. With --tls it is encrypted, and phones warn once.",
    ]


def _shown(path: os.PathLike[str]) -> str:
    return os.path.relpath(path, local.FOLDER.parent)


def _wait_for_the_end(gateway: Daemon) -> NoReturn:
    while gateway.alive():
        time.sleep(0.5)
    raise SetupError(f"the gateway ended:\n{gateway.log_tail()}")


def _signals_raise() -> None:
    def interrupt(number: int, frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)


def _say(text: str) -> None:
    print(f"· {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
