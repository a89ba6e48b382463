"""The PROXY protocol's header: what it says, however it is cut, and not one byte further."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.http.proxy_header import UNKNOWN, BadHeader, ProxyHeader

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
REST = b"GET / HTTP/1.1\r\n"


def binary(
    command: int, family: int, addresses: bytes, *, more: bytes = b"", length: int | None = None
) -> bytes:
    rest = addresses + more
    size = len(rest) if length is None else length
    return SIGNATURE + bytes([command, family]) + size.to_bytes(2) + rest


def read(data: bytes, *cuts: int) -> tuple[str | None, int]:
    """The source, and how many bytes the header had. Bytes that were not taken come again, as from
    a socket that was only looked at."""
    header, at = ProxyHeader(), 0
    for end in [*sorted(cuts), len(data)]:
        while at < end and not header.complete:
            taken = header.feed(data[at:end])
            assert taken == end - at or header.complete
            at += taken
    assert header.complete
    return header.source, at


V4 = IPv4Address("198.51.100.7").packed + IPv4Address("10.0.0.1").packed + b"\x30\x39\x01\xbb"
V6 = IPv6Address("2001:db8::7").packed + IPv6Address("2001:db8::1").packed + b"\x30\x39\x01\xbb"
GOOD = [
    (b"PROXY TCP4 198.51.100.7 10.0.0.1 12345 443\r\n", "198.51.100.7"),
    (b"PROXY TCP6 2001:db8::7 2001:db8::1 0 65535\r\n", "2001:db8::7"),
    (b"PROXY TCP6 ::ffff:198.51.100.7 ::1 1 1\r\n", "198.51.100.7"),
    (b"PROXY UNKNOWN\r\n", UNKNOWN),
    # Whatever else it says is not meant (section 2.1).
    (b"PROXY UNKNOWN 1::2 3::4 5 6\r\n", UNKNOWN),
    (binary(0x21, 0x11, V4), "198.51.100.7"),
    (binary(0x21, 0x21, V6), "2001:db8::7"),
    (binary(0x21, 0x11, V4, more=b"\x04\x00\x03abc"), "198.51.100.7"),
    # A health check: whatever else it says is not meant (section 2.2).
    (binary(0x20, 0x00, b""), None),
    (binary(0x20, 0x11, V4), None),
    (binary(0x20, 0xFF, b"anything"), None),
    (binary(0x21, 0x00, b""), UNKNOWN),
    (binary(0x21, 0x31, bytes(216)), UNKNOWN),
]


@pytest.mark.parametrize(("data", "source"), GOOD)
@given(cuts=st.lists(st.integers(0, 300), max_size=8))
def test_it_says_whose_the_connection_is_however_it_is_cut(
    data: bytes, source: str | None, cuts: list[int]
) -> None:
    whole = data + REST
    assert read(whole, *(cut for cut in cuts if cut < len(whole))) == (source, len(data))


@pytest.mark.parametrize("data", [data for data, _ in GOOD])
def test_a_part_of_it_says_nothing(data: bytes) -> None:
    for end in range(len(data)):
        header = ProxyHeader()
        assert header.feed(data[:end]) == end
        assert not header.complete


@pytest.mark.parametrize(
    "data",
    [
        REST,
        b"\x16\x03\x01\x02\x00",
        b"PROXY",
        b"PROXY \r\n",
        b"PROXY TCP4\r\n",
        b"PROXY TCP4 198.51.100.7 10.0.0.1 12345 443\n",
        b"PROXY TCP4 198.51.100.7 10.0.0.1 12345\r\n",
        b"PROXY TCP4 198.51.100.7 10.0.0.1 12345 443 1\r\n",
        b"PROXY TCP4 198.51.100.7 10.0.0.1 12345 65536\r\n",
        b"PROXY TCP4 198.51.100.7 10.0.0.1 012 443\r\n",
        b"PROXY TCP4 198.51.100.7 10.0.0.1 -1 443\r\n",
        b"PROXY TCP4 198.51.100.07 10.0.0.1 1 443\r\n",
        b"PROXY TCP4 2001:db8::7 2001:db8::1 1 443\r\n",
        b"PROXY TCP6 fe80::1%eth0 fe80::2 1 443\r\n",
        b"PROXY TCP4 caf\xc3\xa9 10.0.0.1 1 443\r\n",
        b"PROXY UDP4 198.51.100.7 10.0.0.1 1 443\r\n",
        b"PROXY  TCP4 198.51.100.7 10.0.0.1 1 443\r\n",
        b"PROXY UNKNOWN " + 100 * b"x" + b"\r\n",
        b"PROXY UNKNOWN " + 10_000 * b"x",
        SIGNATURE[:-1] + b"X" + bytes(4),
        binary(0x11, 0x11, V4),
        binary(0x22, 0x11, V4),
        binary(0x21, 0x12, V4),
        binary(0x21, 0x11, V4[:-1]),
        binary(0x21, 0x21, V4),
        binary(0x21, 0x31, V4),
        binary(0x20, 0x00, b"", length=4097),
    ],
)
def test_what_is_no_header_is_refused_by_a_reason(data: bytes) -> None:
    header = ProxyHeader()
    if data == b"PROXY":
        # Until more comes it may be one.
        assert header.feed(data) == len(data)
        data = b"!"
    with pytest.raises(BadHeader, match=r"\w"):
        header.feed(data)


@given(data=st.binary(max_size=300), cut=st.integers(0, 300), begun=st.sampled_from([0, 6, 12, 14]))
def test_any_bytes_are_read_or_refused_the_same_in_two_parts(
    data: bytes, cut: int, begun: int
) -> None:
    data = (b"PROXY " if begun == 6 else (SIGNATURE + b"\x21\x11")[:begun]) + data

    def result(*parts: bytes) -> tuple[str, str | None, int]:
        header, taken = ProxyHeader(), 0
        try:
            for part in parts:
                if header.complete:
                    break
                taken += header.feed(part)
        except BadHeader:
            return "bad", None, 0
        return "complete" if header.complete else "more", header.source, taken

    assert result(data) == result(data[:cut], data[cut:])
