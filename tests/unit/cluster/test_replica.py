"""Claims that are replicated over a network that loses, repeats and reorders."""

import json
from collections.abc import Iterable

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.cluster.replica import BATCH, Claim, Delta, Key, Origin, Part, Replica
from gateway.domain.room import MemberRole

HERE = Claim(1.25, MemberRole.PARTICIPANT)
HOST = Claim(2.5, MemberRole.HOST)


class Copy:
    """A replica, and what it has told."""

    def __init__(self) -> None:
        self.claims: dict[Key, Claim] = {}
        self.replica = Replica(self._put)

    def _put(self, key: Key, claim: Claim | None) -> None:
        assert self.claims.get(key) != claim, "what is told is a change"
        if claim is None:
            del self.claims[key]
        else:
            self.claims[key] = claim

    def take(self, messages: Iterable[Delta | Part]) -> None:
        for message in messages:
            match sent(message):
                case Delta() as delta:
                    self.replica.take(delta)
                case Part() as part:
                    self.replica.take_part(part)


def sent(message: Delta | Part) -> Delta | Part:
    """As it comes out at the other end."""
    read = type(message).from_json(json.loads(json.dumps(message.as_json())))
    assert read == message
    return read


def test_each_change_comes_once_and_in_its_order() -> None:
    origin, copy = Origin(), Copy()
    origin.put((1, "ann"), HERE)
    origin.put((2, "ann"), HOST)
    copy.take([*origin.deltas()] * 2)
    assert copy.claims == origin.claims == {(1, "ann"): HERE, (2, "ann"): HOST}
    origin.put((1, "ann"), None)
    copy.take(origin.deltas())
    assert copy.claims == {(2, "ann"): HOST}
    assert list(origin.deltas()) == []
    assert not copy.replica.behind


def test_changes_that_overtake_each_other_wait() -> None:
    origin, copy = Origin(), Copy()
    deltas: list[Delta] = []
    for claim in (HERE, None, HOST):
        origin.put((1, "ann"), claim)
        deltas += origin.deltas()
    copy.take(deltas[:0:-1])
    assert copy.claims == {}
    assert copy.replica.behind
    copy.take(deltas[:1])
    assert copy.claims == {(1, "ann"): HOST}
    assert not copy.replica.behind


def test_a_replica_that_missed_the_last_change_learns_so_by_the_position() -> None:
    origin, copy = Origin(), Copy()
    origin.put((1, "ann"), HERE)
    list(origin.deltas())
    assert not copy.replica.behind
    copy.take([origin.position()])
    assert copy.replica.behind
    copy.take(origin.parts())
    assert copy.claims == origin.claims
    assert not copy.replica.behind


def test_everything_comes_in_parts_in_any_order_and_replaces_what_was() -> None:
    origin, copy = Origin(), Copy()
    origin.put((7, "gone"), HERE)
    copy.take(origin.deltas())
    origin.put((7, "gone"), None)
    for n in range(2 * BATCH + 1):
        origin.put((n, "ann"), HERE)
    list(origin.deltas())
    parts = origin.parts()
    assert len(parts) == 3
    copy.take(parts[:0:-1])
    assert copy.claims == {(7, "gone"): HERE}, "not before all are there"
    copy.take(parts[:1])
    assert copy.claims == origin.claims


def test_parts_of_two_versions_are_not_mixed() -> None:
    origin, copy = Origin(), Copy()
    for n in range(BATCH + 1):
        origin.put((n, "ann"), HERE)
    list(origin.deltas())
    old = origin.parts()
    origin.put((0, "ann"), None)
    origin.put((0, "bob"), HERE)
    list(origin.deltas())
    new = origin.parts()
    copy.take([old[0], new[1]])
    assert copy.claims == {}
    copy.take([new[0]])
    assert copy.claims == origin.claims
    copy.take(old)
    assert copy.claims == origin.claims, "what is older changes nothing"


def test_changes_that_come_while_parts_are_on_their_way_are_not_lost() -> None:
    origin, copy = Origin(), Copy()
    for n in range(BATCH + 1):
        origin.put((n, "ann"), HERE)
    list(origin.deltas())
    first, second = origin.parts()
    origin.put((5, "bob"), HERE)
    copy.take([first, *origin.deltas(), second])
    assert copy.claims == origin.claims


def test_no_more_early_changes_are_kept_than_there_is_space_for() -> None:
    origin, copy = Origin(), Copy()
    deltas: list[Delta] = []
    for n in range(200):
        origin.put((n, "ann"), HERE)
        deltas += origin.deltas()
    copy.take(deltas[1:])
    copy.take(deltas[:1])
    assert len(copy.claims) == 65
    assert copy.replica.behind
    copy.take(origin.parts())
    assert copy.claims == origin.claims


def deltas_of(origin: Origin, numbers: Iterable[int]) -> list[Delta]:
    """One change each."""
    made: list[Delta] = []
    for n in numbers:
        origin.put((n, "ann"), HERE)
        made += origin.deltas()
    return made


def test_a_claim_that_was_withdrawn_is_told_when_it_is_made_again() -> None:
    origin, copy = Origin(), Copy()
    for claim in (HERE, None, HERE):
        origin.put((1, "ann"), claim)
        copy.take(origin.deltas())
        assert copy.claims == origin.claims


def test_repeated_changes_take_no_space_from_early_ones() -> None:
    origin, copy = Origin(), Copy()
    known = deltas_of(origin, range(70))
    copy.take(known)
    copy.take(known)
    missing, early = deltas_of(origin, (100, 101))
    copy.take([early, missing])
    assert copy.claims == origin.claims


def test_early_changes_that_everything_contains_take_no_space_from_later_ones() -> None:
    origin, copy = Origin(), Copy()
    copy.take(deltas_of(origin, range(65))[1:])
    copy.take(origin.parts())
    assert copy.claims == origin.claims
    missing, early = deltas_of(origin, (100, 101))
    copy.take([early, missing])
    assert copy.claims == origin.claims


def test_a_replica_that_has_only_a_part_of_everything_is_behind() -> None:
    origin, copy = Origin(), Copy()
    for n in range(BATCH + 1):
        origin.put((n, "ann"), HERE)
    list(origin.deltas())
    first, second = origin.parts()
    copy.take([first])
    assert copy.replica.behind
    copy.take([second])
    assert not copy.replica.behind


@settings(max_examples=200)
@given(data=st.data())
def test_all_gateways_agree_in_the_end_whatever_the_network_does(data: st.DataObject) -> None:
    origin, copy = Origin(), Copy()
    keys = st.tuples(st.integers(1, 3), st.sampled_from(["ann", "bob", "안나"]))
    network: list[Delta | Part] = []
    for _ in range(data.draw(st.integers(0, 25))):
        match data.draw(st.sampled_from(["put", "tell", "everything", "position", "deliver"])):
            case "put":
                origin.put(data.draw(keys), data.draw(st.sampled_from([HERE, HOST, None])))
            case "tell":
                network += origin.deltas()
            case "everything":
                network += origin.parts()
            case "position":
                network.append(origin.position())
            case "deliver" if network:
                # Any of them, and some of them never, or twice.
                copy.take([network[data.draw(st.integers(0, len(network) - 1))]])
    copy.take([*origin.deltas(), origin.position()])
    if copy.replica.behind:
        copy.take(origin.parts())
    assert copy.claims == origin.claims
