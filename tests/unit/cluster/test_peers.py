"""The gateways that are alive, by the beats that come round."""

from gateway.cluster.envelope import FRESH
from gateway.cluster.peers import BEAT, PARTED, PATIENCE, Peers


def test_a_gateway_that_speaks_is_there_and_new_only_once() -> None:
    peers = Peers()
    assert peers.heard("south")
    assert not peers.heard("south")
    assert peers.names == {"south"}


def test_a_gateway_silent_while_our_own_beats_go_round_is_gone() -> None:
    peers = Peers()
    peers.heard("south")
    for _ in range(PATIENCE):
        assert peers.beat() == []
    assert peers.names == {"south"}
    assert peers.beat() == ["south"]
    assert peers.names == frozenset()
    assert peers.heard("south"), "and new when it comes back"


def test_every_word_counts_as_a_sign_of_life() -> None:
    peers = Peers()
    for _ in range(3 * PATIENCE):
        peers.heard("south")
        peers.beat()
    assert peers.names == {"south"}


def test_a_gateway_that_hears_nothing_draws_no_conclusion() -> None:
    peers = Peers()
    peers.heard("south")
    peers.beat()
    # The broker is away: not even our own beat comes back. Afterwards the other has time again.
    peers.beat()
    peers.heard("south")
    for _ in range(PATIENCE):
        peers.beat()
    assert peers.names == {"south"}


def test_a_gateway_that_says_goodbye_is_gone_at_once() -> None:
    peers = Peers()
    peers.heard("south")
    peers.left("south")
    peers.left("nobody")
    assert peers.names == frozenset()


def test_a_gateway_that_said_goodbye_stays_gone_longer_than_a_message_may_take() -> None:
    peers = Peers()
    peers.heard("south")
    assert not peers.parted("south")
    peers.left("south")
    for _ in range(PARTED):
        assert peers.parted("south")
        peers.beat()
    assert not peers.parted("south")
    assert PARTED * BEAT >= 2 * FRESH
