"""The gateway's configuration for a private cluster, as TOML text."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from devenv.cluster import Cluster
from devenv.tls import Pair


def tables(
    cluster: Cluster,
    *,
    port: int,
    internal_port: int,
    database: Path,
    secret: str,
    tls: Pair | None,
    address: str | None = None,
) -> dict[str, Any]:
    """Loopback only, or the one `address` of this machine; pages may come from there alone.
    `conf/gateway.toml` explains."""
    scheme = "https" if tls else "http"
    hosts = ("localhost", "127.0.0.1") if address is None else (address,)
    server: dict[str, Any] = {
        "address": address or "127.0.0.1",
        "port": port,
        "internal_port": internal_port,
        # The only one there is: no balancer chooses another, and its clients cannot go anywhere.
        "notice_time": 0.0,
        "drain_time": 0.0,
        "origins": [f"{scheme}://{host}:{port}" for host in hosts],
    }
    if tls:
        server["tls"] = {
            "certificate": str(tls.certificate.absolute()),
            "key": str(tls.key.absolute()),
        }
    return {
        "server": server,
        "broker": {
            "user": cluster.gateway.name,
            "password": cluster.gateway.password,
            "nodes": [
                {"name": f"r{node.number}", "web_stomp": node.web_stomp_url, "amqp": node.amqp_url}
                for node in cluster.nodes
            ],
        },
        "store": {"url": f"sqlite:///{database.absolute()}"},
        "auth": {"secret": secret},
    }


def render(value: Mapping[str, Any], name: str = "") -> str:
    """TOML of nested tables, lists of tables, and plain values."""
    lines, deeper = [], []
    for key, entry in value.items():
        inner = f"{name}.{key}" if name else key
        if isinstance(entry, Mapping):
            deeper.append(f"\n[{inner}]\n{render(entry, inner)}")
        elif isinstance(entry, list) and entry and isinstance(entry[0], Mapping):
            deeper += [f"\n[[{inner}]]\n{render(table, inner)}" for table in entry]
        else:
            # A JSON string, number, boolean or list of these is TOML as well.
            lines.append(f"{key} = {json.dumps(entry)}\n")
    return "".join(lines + deeper)
