"""The header by which a proxy that passes on bytes says whose they are: HAProxy's PROXY protocol,
versions 1 and 2. No I/O.

https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address
from typing import Final

_SIGNATURE: Final = b"\r\n\r\n\0\r\nQUIT\n"
_LINE: Final = b"PROXY "
#: Bytes of a line of version 1, its end included (section 2.1).
_LONGEST_LINE: Final = 107
#: Bytes before the addresses of version 2 (section 2.2).
_HEAD: Final = 16
#: The address of a client of whom its proxy says that it does not know it (RFC 7239, section 6.2,
#: has the same word for that). It is nobody's, so nobody trusts it.
UNKNOWN: Final = "unknown"
#: Bytes of the addresses and what follows them (a proxy may add certificates and names).
_LONGEST_REST: Final = 4096
#: By family and protocol: the bytes of both addresses and ports, and how the first is read. Unix
#: sockets have names that say nothing about a client.
_FAMILIES: Final[dict[int, tuple[int, Callable[[bytes], str]]]] = {
    0x00: (0, lambda _: UNKNOWN),
    0x11: (12, lambda raw: str(IPv4Address(raw[:4]))),
    0x21: (36, lambda raw: _plain(IPv6Address(raw[:16]))),
    0x31: (216, lambda _: UNKNOWN),
}
_PORT: Final = 65_535


class BadHeader(Exception):
    """The bytes are no such header; the text says why."""


class ProxyHeader:
    """A header as it comes in. ``source``, once it is ``complete``: the client's address, or
    :data:`UNKNOWN`; None: the connection is the proxy's own, as it says (``LOCAL``)."""

    def __init__(self) -> None:
        self._seen = bytearray()
        self.source: str | None = None
        self.complete = False

    def feed(self, data: bytes) -> int:
        """Read the next bytes. Returns how many of them belong to the header: all, as long as it is
        not complete; not one beyond it. Raises :class:`BadHeader`."""
        before = len(self._seen)
        for wanted in (len(_LINE), _HEAD):
            self._take(data, before, upto=wanted)
            if len(self._seen) < wanted:
                self._check_beginning()
                return len(data)
            if self._seen.startswith(_LINE):
                return self._feed_line(data, before)
        self._check_beginning()
        return self._feed_binary(data, before)

    def _take(self, data: bytes, before: int, *, upto: int) -> None:
        """Take from ``data`` until ``upto`` bytes are seen in all."""
        taken = len(self._seen) - before
        self._seen += data[taken : taken + max(0, upto - len(self._seen))]

    def _check_beginning(self) -> None:
        seen = bytes(self._seen)
        if not (_LINE.startswith(seen[: len(_LINE)]) or _SIGNATURE.startswith(seen[:12])):
            raise BadHeader("it begins with something else")

    # Version 1

    def _feed_line(self, data: bytes, before: int) -> int:
        taken = len(self._seen) - before
        end = data.find(b"\n", taken)
        self._seen += data[taken:] if end < 0 else data[taken : end + 1]
        if len(self._seen) > _LONGEST_LINE or (end < 0 and len(self._seen) == _LONGEST_LINE):
            raise BadHeader(f"its line is longer than {_LONGEST_LINE} bytes")
        if end < 0:
            return len(data)
        self.source = _source_of_line(bytes(self._seen))
        self.complete = True
        return end + 1

    # Version 2

    def _feed_binary(self, data: bytes, before: int) -> int:
        command, family = self._seen[12], self._seen[13]
        length = int.from_bytes(self._seen[14:16])
        if command >> 4 != 2 or command & 0xF > 1:
            raise BadHeader("its version or command is unknown")
        if length > _LONGEST_REST:
            raise BadHeader(f"it is longer than {_HEAD + _LONGEST_REST} bytes")
        is_local = command & 0xF == 0
        if not is_local and family not in _FAMILIES:
            raise BadHeader("its addresses are of no stream")
        size, read = (0, None) if is_local else _FAMILIES[family]
        if length < size:
            raise BadHeader("it is too short for its addresses")
        self._take(data, before, upto=_HEAD + length)
        if len(self._seen) == _HEAD + length:
            self.complete = True
            if read is not None:
                self.source = read(bytes(self._seen[_HEAD:]))
        return len(self._seen) - before


def _source_of_line(line: bytes) -> str:
    if not line.endswith(b"\r\n"):
        raise BadHeader("its line does not end with CR LF")
    words = line[:-2].split(b" ")
    if words[1] == b"UNKNOWN":
        return UNKNOWN
    kinds: dict[bytes, type[IPv4Address | IPv6Address]] = {
        b"TCP4": IPv4Address,
        b"TCP6": IPv6Address,
    }
    if words[1] not in kinds or len(words) != 6:
        raise BadHeader("its line must be: PROXY TCP4|TCP6 SOURCE DESTINATION PORT PORT")
    try:
        source, _ = (kinds[words[1]](_without_scope(word)) for word in words[2:4])
    except ValueError:
        raise BadHeader("its addresses are none of their family") from None
    for word in words[4:]:
        if not word.isdigit() or len(word) > 5 or int(word) > _PORT or word != b"%d" % int(word):
            raise BadHeader("its ports are not numbers up to 65535")
    return _plain(source) if isinstance(source, IPv6Address) else str(source)


def _without_scope(word: bytes) -> str:
    if b"%" in word:
        raise ValueError("a scope means something on one machine only")
    return word.decode("ascii")


def _plain(address: IPv6Address) -> str:
    """The address as it is counted and logged: of an IPv4 one in IPv6's form that itself."""
    return str(address.ipv4_mapped or address)
