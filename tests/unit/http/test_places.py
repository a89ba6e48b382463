"""The open connections of a listener."""

from gateway.http.places import Places


def test_places_are_counted_by_address_and_given_back() -> None:
    places: Places[str] = Places()
    for one, address in (("a", "x"), ("b", "x"), ("c", "y")):
        places.add(one, address)
    assert (len(places), places.addresses, places.taken_from("x")) == (3, 2, 2)
    assert "a" in places
    for one in ("a", "b", "a", "unknown"):
        places.remove(one)
    assert (len(places), places.addresses, places.taken_from("x")) == (1, 1, 0)
    assert "a" not in places


def test_the_one_that_has_waited_longest_is_found() -> None:
    places: Places[str] = Places()
    for one, address in (("a", "x"), ("b", "y"), ("c", "x"), ("d", "x")):
        places.add(one, address)
    assert places.longest_waiting() is None
    for one in "dcba":
        places.waits(one)
    assert (places.longest_waiting(), places.longest_waiting("y")) == ("d", "b")
    places.works("d")
    assert (places.longest_waiting(), places.longest_waiting("x")) == ("c", "c")
    # Whoever waits again is the last.
    places.waits("d")
    places.remove("c")
    assert (places.longest_waiting(), places.longest_waiting("x")) == ("b", "a")
    for one in "abd":
        places.works(one)
    assert places.longest_waiting() is None
    assert places.longest_waiting("x") is None
    # One that is gone does not come back by waiting.
    places.waits("c")
    assert places.longest_waiting() is None
