"""The cables between a gateway and every node, to pull all at once."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from devenv.cluster import Cluster
from tests.cable import Cable


class Cables:
    """A cable to each port of the cluster that gateways use."""

    def __init__(self, cluster: Cluster) -> None:
        ports = [port for node in cluster.nodes for port in (node.web_stomp_port, node.amqp_port)]
        self._ports = {port: cluster.cable_port(number) for number, port in enumerate(ports)}
        self._cables = [Cable(own, port) for port, own in self._ports.items()]

    def through(self, port: int) -> int:
        """The port at which the cable to this one of a node begins."""
        return self._ports[port]

    @contextmanager
    def laid(self) -> Iterator[None]:
        with ExitStack() as stack:
            for cable in self._cables:
                stack.enter_context(cable.laid())
            yield

    def cut(self) -> None:
        """Everything that is sent vanishes on its way; no connection breaks."""
        for cable in self._cables:
            cable.hold()

    def mend(self) -> None:
        """What was sent meanwhile arrives late, as TCP would have it."""
        for cable in self._cables:
            cable.release()
