"""The rules of the internal listener: which names it has, who may ask RabbitMQ's questions, and the
token for draining."""

from __future__ import annotations

import logging
from hmac import compare_digest
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final
from urllib.parse import urlsplit

from tornado.httputil import HTTPServerRequest

from broker.timing.complaints import Complaints
from broker.timing.readings import Monotonic
from gateway.config import UNIX, Server
from gateway.errors import HostRefused, NetworkRefused, NotAuthenticated, Refused
from gateway.http.caller import is_address

logger = logging.getLogger(__name__)

_HOST: Final = "host"
_NETWORK: Final = "network"
#: Hosts and addresses that are remembered at most, each: there are a few nodes.
_REMEMBERED: Final = 100


class InternalAccess:
    """The checker of requests to the internal listener, which can be reached from inside only.

    The listener trusts whoever reaches it, and a browser on the same machine does. So a web page
    must not: its requests have the page's host name in ``Host``, even if that name was made to mean
    127.0.0.1 ("DNS rebinding"). Addresses, ``localhost`` and the configured names are accepted.
    """

    def __init__(self, server: Server, *, clock: Monotonic) -> None:
        self._hosts = {"localhost", server.internal_address.lower(), *server.internal_hosts}
        self._networks = [ip_network(network) for network in server.internal_networks]
        token = server.drain_token
        self._token = None if token is None else token.get_secret_value().encode()
        self._complaints = Complaints((_HOST, _NETWORK), clock=clock)
        #: Values of Host and addresses that were found to be right: RabbitMQ asks again and again.
        self._right_hosts: set[str] = set()
        self._right_askers: set[str] = set()

    def check_host(self, request: HTTPServerRequest) -> None:
        """Raises :class:`HostRefused`. Programs may leave the header out; browsers cannot."""
        given = request.headers.get("Host")
        if given is None or given in self._right_hosts:
            return
        if self._is_ours(given):
            _remember(given, self._right_hosts)
            return
        self._complain(
            _HOST,
            "refused a request to the internal listener from %s, because its Host is %r: if this is"
            " a name of the gateway, add it to server.internal_hosts",
            request.remote_ip,
            given[:255],
        )
        raise HostRefused(
            "the internal listener is not served by this name: use its address, or add the name to"
            " server.internal_hosts"
        )

    def check_network(self, request: HTTPServerRequest) -> None:
        """Raises :class:`NetworkRefused` unless RabbitMQ may be there."""
        address = request.remote_ip or ""
        if address in self._right_askers:
            return
        if self._may_ask(address):
            _remember(address, self._right_askers)
            return
        self._complain(
            _NETWORK,
            "denied a question of RabbitMQ's auth back end from %s, which is in none of"
            " server.internal_networks (%s): add the network of the RabbitMQ nodes",
            request.remote_ip,
            ", ".join(map(str, self._networks)),
        )
        raise NetworkRefused("this address is in none of server.internal_networks")

    def check_drain_token(self, request: HTTPServerRequest) -> None:
        """Raises :class:`NotAuthenticated`, and :class:`Refused` where no token is configured."""
        if self._token is None:
            raise Refused("/drain needs server.drain_token; without it send SIGTERM")
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        given = token.strip().encode(errors="surrogatepass")
        if scheme.lower() != "bearer" or not compare_digest(given, self._token):
            raise NotAuthenticated("send Authorization: Bearer <server.drain_token>")

    def _is_ours(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname
        except ValueError:
            return False
        return name is not None and (is_address(name) or name.rstrip(".") in self._hosts)

    def _may_ask(self, address: str) -> bool:
        try:
            asker = ip_address(address)
        except ValueError:
            return False
        if isinstance(asker, IPv6Address) and asker.ipv4_mapped is not None:
            asker = asker.ipv4_mapped
        return any(asker in network for network in self._networks)

    def _complain(self, cause: str, text: str, *values: object) -> None:
        if self._complaints.note(cause):
            logger.warning(text, *values)


def _remember(value: str, known: set[str]) -> None:
    if len(known) >= _REMEMBERED:
        known.clear()
    known.add(value)


#: What to do about it.
NETWORKS_NEEDED: Final = (
    "give server.internal_address one that the RabbitMQ nodes reach, and server.internal_networks"
    " their networks"
)


def networks_shortage(server: Server) -> str | None:
    """The reason why RabbitMQ may have no way to ask; None if there seems to be none."""
    if server.internal_address.startswith(UNIX):
        return (
            f"server.internal_address is {server.internal_address}, by which RabbitMQ cannot ask"
            " /broker/auth/…, as it does about relays"
        )
    if _is_loopback(server.internal_address) or any(
        not ip_network(network).is_loopback for network in server.internal_networks
    ):
        return None
    return (
        f"server.internal_address is {server.internal_address or 'every address'}, but"
        " server.internal_networks allows RabbitMQ's questions from this machine only"
    )


def _is_loopback(address: str) -> bool:
    return address == "localhost" or (is_address(address) and ip_address(address).is_loopback)
