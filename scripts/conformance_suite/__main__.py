"""`scripts/conformance`: holds each conversation with RabbitMQ and through the gateway."""

import secrets
import sys
from pathlib import Path

from bench_suite.gateways import gateway
from bench_suite.system import Lab, progress
from conformance_suite.conversations import CONVERSATIONS
from conformance_suite.differences import differences, explained
from conformance_suite.talk import hold
from devenv import command_lines, rabbitmq, tls
from devenv.broker_users import User
from devenv.cluster import Cluster
from devenv.errors import SetupError
from devenv.interrupts import signals_raise
from devenv.session_folder import session_folder

_RUN = Path(__file__).parents[2] / ".run"


def main() -> int:
    """0: no difference that is not explained; 1: there are some; 2: nothing could be set up."""
    options = command_lines.conformance().parse_args()
    signals_raise()
    try:
        rabbitmq.choose(options.rabbitmq)
        rabbitmq.ensure(print)
        with session_folder(_RUN / "conformance") as folder:
            cluster = Cluster(folder / "cluster", 3, progress=print)
            cluster.destroy()
            try:
                cluster.start()
                return _compare(cluster, folder, options.conversations)
            finally:
                cluster.destroy()
    except SetupError as error:
        print(f"\n{error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130


def _compare(cluster: Cluster, folder: Path, wanted: str) -> int:
    who = _application(cluster)
    lab = Lab(cluster, folder, tls.ensure(folder / "tls"), 0, progress())
    chosen = [each for each in CONVERSATIONS if wanted in each.name]
    unexplained, explanations = 0, explained(rabbitmq.version())
    with gateway(lab, fanout="shared", tls=False, settings={}, auth={"rabbitmq": {}}) as made:
        for conversation in chosen:
            direct = hold(conversation, cluster.node(1).web_stomp_url, who)
            through = hold(conversation, f"ws://127.0.0.1:{made.port}/ws", who)
            different = differences(direct, through)
            why = explanations.get(conversation.name)
            unexplained += bool(different) and why is None
            unexplained += not different and why is not None
            print(f"{'≠' if different else '='} {conversation.name}{f': {why}' if why else ''}")
            for line in different:
                print(f"    {line}")
    print(f"{len(chosen)} conversations, {unexplained} differences without an explanation")
    return int(unexplained > 0)


def _application(cluster: Cluster) -> User:
    """A user who may do everything, as a stock application has it."""
    who = User("webapp", secrets.token_urlsafe(18))
    everything = {"configure": ".*", "write": ".*", "read": ".*"}
    for path, body in (
        (f"/api/users/{who.name}", {"password": who.password, "tags": ""}),
        (f"/api/permissions/%2F/{who.name}", everything),
    ):
        if cluster.node(1).management("PUT", path, cluster.admin, body) is None:
            raise SetupError(f"RabbitMQ refuses PUT {path}")
    return who


if __name__ == "__main__":
    sys.exit(main())
