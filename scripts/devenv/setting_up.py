"""The setting up of a private RabbitMQ by an operator's command, `gateway topology apply`."""

import subprocess
from collections.abc import Sequence

from devenv.cluster import Cluster
from devenv.errors import SetupError


def apply_topology(cluster: Cluster, gateway: Sequence[str]) -> None:
    """Set the policies of `cluster`, which may have them already, and declare the rooms' queues.

    `gateway` is the command line up to and without the subcommand. Raises `SetupError`.
    """
    admin = cluster.admin
    result = subprocess.run(
        [
            *gateway,
            *("topology", "apply", "--admin", admin.name, "--password-stdin"),
            *(part for node in cluster.nodes for part in ("--management", node.management_url)),
        ],
        input=f"{admin.password}\n",
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        raise SetupError(f"gateway topology apply failed:\n{result.stdout}{result.stderr}")
