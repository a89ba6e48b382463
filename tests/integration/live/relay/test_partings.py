"""Connections that part are few bytes in all, and a gateway that stops waits for them."""

import asyncio
import socket
from collections.abc import Callable

import pytest
from tornado.iostream import IOStream

from gateway.live.relay import partings
from gateway.live.relay.partings import Partings
from gateway.live.transport import Transport
from tests.rotations import in_rotation

_TIMEOUT = 20
#: More than any socket buffer of the kernel takes.
_MUCH = 8 * 1024 * 1024


def connected() -> tuple[Transport, socket.socket]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    transport = Transport(IOStream(ours), stall_timeout=_TIMEOUT, **in_rotation())
    transport.attach(received=lambda _: None, lost=lambda: None)
    return transport, theirs


@pytest.mark.gen_test(timeout=_TIMEOUT)
async def test_a_gateway_that_stops_waits_until_the_nodes_have_closed() -> None:
    parting = Partings()
    (idle, its_node), (busy, other_node) = connected(), connected()
    busy.write(bytes(_MUCH))
    parting.part(idle)
    parting.part(busy)
    stops = asyncio.ensure_future(parting.close(within=_TIMEOUT))
    its_node.close()
    await until(lambda: len(parting) == 1)
    assert not stops.done()
    loop, taken = asyncio.get_running_loop(), 0
    while taken < _MUCH:
        taken += len(await loop.sock_recv(other_node, _MUCH))
    other_node.close()
    await stops
    assert len(parting) == 0


@pytest.mark.gen_test(timeout=_TIMEOUT)
async def test_a_gateway_that_stops_waits_for_no_node_that_hangs() -> None:
    parting = Partings()
    transport, node = connected()
    transport.write(bytes(_MUCH))
    parting.part(transport)
    await parting.close(within=0.01)
    assert (len(parting), transport.backlog, transport.listening) == (0, 0, False)
    node.close()


@pytest.mark.gen_test(timeout=_TIMEOUT)
async def test_beyond_the_bytes_that_may_wait_the_oldest_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    parting = Partings()
    monkeypatch.setattr(partings, "WAITING", 3 * _MUCH)
    ends = [connected() for _ in range(4)]
    idle, *busy = (transport for transport, _ in ends)
    parting.part(idle)
    for transport in busy:
        transport.write(bytes(_MUCH))
        parting.part(transport)
    # Some of each was taken by the kernel.
    assert [bool(each.backlog) for each in busy] == [True, True, True]
    another, node = connected()
    another.write(bytes(_MUCH))
    parting.part(another)
    assert [bool(each.backlog) for each in (*busy, another)] == [False, True, True, True]
    assert idle.listening
    for _, theirs in (*ends, (another, node)):
        theirs.close()
    await until(lambda: not len(parting))
    assert parting._bytes == 0


@pytest.mark.gen_test(timeout=_TIMEOUT)
async def test_one_whose_node_takes_nothing_more_does_not_part() -> None:
    parting = Partings()
    transport, node = connected()
    node.close()
    while not transport.closed:
        transport.write(b"in vain")
    parting.part(transport)
    assert len(parting) == 0


async def until(what: Callable[[], object]) -> None:
    loop = asyncio.get_running_loop()
    end = loop.time() + _TIMEOUT / 2
    while not what():
        assert loop.time() < end
        await asyncio.sleep(0.005)
