"""The open connections of a listener."""

from gateway.http.open_connections import Open


def test_connections_are_known_until_they_are_gone() -> None:
    connections: Open[str] = Open()
    for one, address in (("a", "x"), ("b", "x"), ("c", "y")):
        connections.add(one, address)
    assert len(connections) == 3
    assert "a" in connections
    for one in ("a", "b", "a", "unknown"):
        connections.remove(one)
    assert len(connections) == 1
    assert "a" not in connections


def test_the_one_that_has_waited_longest_is_found() -> None:
    connections: Open[str] = Open()
    for one, address in (("a", "x"), ("b", "y"), ("c", "x"), ("d", "x")):
        connections.add(one, address)
    assert connections.longest_waiting() is None
    for one in "dcba":
        connections.waits(one)
    assert (connections.longest_waiting(), connections.longest_waiting("y")) == ("d", "b")
    connections.works("d")
    assert (connections.longest_waiting(), connections.longest_waiting("x")) == ("c", "c")
    # Whoever waits again is the last.
    connections.waits("d")
    connections.remove("c")
    assert (connections.longest_waiting(), connections.longest_waiting("x")) == ("b", "a")
    for one in "abd":
        connections.works(one)
    assert connections.longest_waiting() is None
    assert connections.longest_waiting("x") is None
    # One that is gone does not come back by waiting.
    connections.waits("c")
    assert connections.longest_waiting() is None


def test_addresses_of_one_ipv6_network_count_as_one() -> None:
    connections: Open[str] = Open()
    connections.add("a", "2001:db8::1")
    connections.add("b", "2001:db8:0:1::1")
    for one in "ba":
        connections.waits(one)
    assert connections.longest_waiting("2001:db8::2") == "a"
    connections.works("a")
    assert connections.longest_waiting("2001:db8::1") is None
