"""`scripts/broker`: single nodes of the cluster that `scripts/run` started, from any terminal."""

import sys
from collections.abc import Callable

from devenv import command_lines, local, rabbitmq
from devenv.cluster import Cluster
from devenv.errors import SetupError

_ACTIONS: dict[str, Callable[[Cluster, int], None]] = {
    "start": Cluster.start_node,
    "stop": Cluster.stop_node,
    "kill": Cluster.kill_node,
    "pause": Cluster.pause_node,
    "resume": Cluster.resume_node,
}


def main() -> int:
    """Do one action to one node, then print the states of all nodes."""
    parser = command_lines.broker()
    arguments = parser.parse_args()
    last = local.remembered()
    if last is None:
        parser.exit(1, "there is no cluster yet: scripts/run --nodes 3 makes one\n")
    try:
        rabbitmq.choose(arguments.rabbitmq)
    except SetupError as error:
        parser.exit(1, f"{error}\n")
    if arguments.rabbitmq and arguments.rabbitmq != last.rabbitmq:
        parser.exit(
            1,
            f"scripts/run runs RabbitMQ {last.rabbitmq or 'of the distribution'} here; "
            f"scripts/run --rabbitmq {arguments.rabbitmq} makes another cluster\n",
        )
    cluster = last.cluster(print)
    if arguments.action != "status":
        if arguments.node not in range(1, cluster.size + 1):
            parser.error(f"name a node from 1 to {cluster.size}")
        try:
            _ACTIONS[arguments.action](cluster, arguments.node)
        except SetupError as error:
            print(error, file=sys.stderr)
            return 1
    for node in cluster.nodes:
        print(f"{node.number}  {_state(cluster, node.number):8} {node.web_stomp_url}")
    return 0


def _state(cluster: Cluster, number: int) -> str:
    node = cluster.node(number)
    if not node.daemon.alive():
        return "stopped"
    if node.daemon.paused():
        return "paused"
    # Not /api/nodes: that one waits for the other nodes.
    answer = node.management("GET", "/api/whoami", cluster.admin)
    return "starting" if answer is None else "serving"


if __name__ == "__main__":
    sys.exit(main())
