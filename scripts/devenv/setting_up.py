"""The setting up of a private RabbitMQ by an operator's command, `gateway topology apply`."""

import subprocess
from collections.abc import Sequence

from devenv.cluster import Cluster
from devenv.errors import SetupError


def apply_topology(cluster: Cluster, gateway: Sequence[str]) -> None:
    """Set the policies of `cluster`, which may have them already, and declare the rooms' queues;
    the gateway's database has its tables then, too.

    `gateway` is the command line up to and without the subcommand. Raises `SetupError`.
    """
    admin = cluster.admin
    # The rooms are asked of the database, which may be new.
    _run(gateway, "migrate")
    _run(
        gateway,
        *("topology", "apply", "--admin", admin.name, "--password-stdin"),
        *(part for node in cluster.nodes for part in ("--management", node.management_url)),
        said=f"{admin.password}\n",
    )


def _run(gateway: Sequence[str], *command: str, said: str = "") -> None:
    result = subprocess.run(
        [*gateway, *command], input=said, capture_output=True, text=True, check=False
    )
    if result.returncode:
        told = f"{result.stdout}{result.stderr}"
        raise SetupError(f"gateway {' '.join(command[:2])} failed:\n{told}")
