"""`scripts/conformance`: holds each conversation with RabbitMQ and through the gateway.

First the frames that an application may say, then what it does by a client library, then the same
while a node fails.
"""

import secrets
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench_suite.gateways import gateway
from bench_suite.system import Lab, progress
from conformance_suite import differences
from conformance_suite.applications import APPLICATIONS
from conformance_suite.conversations import CONVERSATIONS
from conformance_suite.faults import FAULTS, under
from conformance_suite.libraries import LIBRARIES, running
from conformance_suite.library_talk import hold_all
from conformance_suite.talk import hold
from devenv import command_lines, packages, rabbitmq, tls, vendor
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
        packages.ensure(["npm"], print)
        vendor.ensure(print)
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
    lab = Lab(cluster, folder, tls.ensure(folder / "tls"), 0, progress())
    with gateway(
        lab, fanout="shared", tls=False, settings={}, further={"auth": {"rabbitmq": {}}}
    ) as made:
        sides = Sides(cluster, f"ws://127.0.0.1:{made.port}/ws", _application(cluster), wanted)
        found = [
            *_conversations(sides),
            *_applications(sides),
            *_faults(sides),
        ]
    print(f"{len(found)} conversations, {sum(found)} differences without an explanation")
    return int(any(found))


@dataclass(frozen=True)
class Sides:
    """RabbitMQ itself and the gateway, and ``wanted``: a part of the names of what is compared."""

    cluster: Cluster
    through: str
    who: User
    wanted: str

    @property
    def direct(self) -> str:
        return self.cluster.node(1).web_stomp_url


def _conversations(sides: Sides) -> Iterator[bool]:
    """Whether each has a difference that is not explained, or an explanation in vain."""
    explanations = differences.explained(rabbitmq.version())
    for conversation in CONVERSATIONS:
        if sides.wanted in conversation.name:
            direct = hold(conversation, sides.direct, sides.who)
            through = hold(conversation, sides.through, sides.who)
            different = differences.differences(direct, through)
            yield _is_wrong(conversation.name, different, explanations.get(conversation.name))


def _applications(sides: Sides) -> Iterator[bool]:
    explanations = differences.explained_of_libraries(rabbitmq.version())
    chosen = [
        (library, application)
        for library in LIBRARIES
        for application in APPLICATIONS
        if sides.wanted in f"{library}: {application.name}"
    ]
    heard = hold_all(chosen, sides.direct, sides.through, sides.who)
    for (library, name), (direct, through) in heard.items():
        different = differences.differences(direct, through)
        yield _is_wrong(f"{library}: {name}", different, explanations.get((library, name)))


def _faults(sides: Sides) -> Iterator[bool]:
    for fault in FAULTS:
        for name in LIBRARIES:
            if sides.wanted in f"{name}: {fault}":
                with running(name) as library:
                    direct, through = under(fault, library, sides.cluster, sides.through)
                sides.cluster.start()
                wrong = differences.wrong_with(fault, direct, through)
                why = wrong or differences.ENDS[fault].why
                print(f"{'≠' if direct.ends != through.ends else '='} {name}: {fault}: {why}")
                print(f"    RabbitMQ: {direct}")
                print(f"    the gateway: {through}")
                yield bool(wrong)


def _is_wrong(name: str, different: Sequence[str], why: str | None) -> bool:
    print(f"{'≠' if different else '='} {name}{f': {why}' if why else ''}")
    for line in different:
        print(f"    {line}")
    return not differences.is_as_explained(different, why)


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
