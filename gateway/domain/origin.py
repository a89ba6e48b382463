"""A web origin in its canonical form, which is the one that browsers send."""

from __future__ import annotations

from ipaddress import IPv6Address
from typing import Final
from urllib.parse import urlsplit

import idna

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_EXPECTED: Final = "must be scheme://host[:port] and nothing more, as browsers send it"


def canonical(origin: str) -> str:
    """The origin as ``scheme://host[:port]`` in ASCII and lower case, without the scheme's default
    port.

    An international host name becomes its punycode (RFC 6454, section 6.2; UTS #46, as in
    browsers). Raises ValueError, whose text says what an origin looks like.
    """
    parts = urlsplit(origin)
    host, port = parts.hostname, parts.port
    if (
        parts.scheme not in _DEFAULT_PORTS
        or not host
        or "@" in parts.netloc
        or parts.netloc.endswith(":")
        or origin.partition("://")[2] != parts.netloc
    ):
        raise ValueError(_EXPECTED)
    if parts.netloc.startswith("["):
        host = f"[{IPv6Address(host).compressed}]"
    elif not host.isascii():
        host = _in_ascii(host)
    suffix = "" if port in (None, _DEFAULT_PORTS[parts.scheme]) else f":{port}"
    return f"{parts.scheme}://{host}{suffix}"


def _in_ascii(host: str) -> str:
    """The host by UTS #46 alone, as in browsers: IDNA 2008 would refuse names that they open."""
    try:
        labels = idna.uts46_remap(host, std3_rules=False).split(".")
    except idna.IDNAError as error:
        raise ValueError(f"the host is not a domain name: {error}") from error
    return ".".join(
        label if label.isascii() else f"xn--{label.encode('punycode').decode()}" for label in labels
    )
