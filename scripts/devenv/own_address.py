"""This machine's address in its own network, as phones in the same Wi-Fi reach it."""

import socket
from ipaddress import IPv4Address, ip_address

from devenv.errors import SetupError

#: An address for documentation (RFC 5737): a UDP socket that is connected there sends nothing, and
#: tells by which of its own addresses the machine would.
_ELSEWHERE = ("192.0.2.1", 9)


def own_address() -> str:
    """The IPv4 address of the interface that leads to the network. Raises :class:`SetupError`."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
            asked.connect(_ELSEWHERE)
            found: str = asked.getsockname()[0]
    except OSError as error:
        raise SetupError(f"this machine has no network for --lan: {error}") from error
    return checked(found)


def checked(address: str) -> str:
    """The address, if other machines can reach this one by it. Raises :class:`SetupError`."""
    own = ip_address(address)
    if not isinstance(own, IPv4Address) or own.is_loopback or own.is_unspecified:
        raise SetupError(f"this machine's only address is {address}: nobody else can reach it")
    return address
