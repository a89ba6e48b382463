"""The limit on how often a session moves by itself."""

import itertools

from gateway.live.relay.moves import MOVES, SPAN, Moves


def test_the_first_is_at_once_the_next_ones_wait_longer_and_then_it_ends() -> None:
    moves = Moves()
    delays = [moves.next(0.0) for _ in range(MOVES)]
    assert delays[0] == 0.0
    assert all(
        earlier is not None and later is not None and earlier < later
        for earlier, later in itertools.pairwise(delays)
    )
    assert moves.next(SPAN - 1) is None


def test_each_entry_counts_for_as_long_as_the_others() -> None:
    moves = Moves()
    for second in range(MOVES):
        moves.next(1000.0 + second)
    assert moves.next(1000.0 + SPAN - 0.1) is None
    # The first one is over, the second is not.
    assert moves.next(1000.0 + SPAN) is not None
    assert moves.next(1000.0 + SPAN) is None


def test_old_entries_do_not_count() -> None:
    moves = Moves()
    for _ in range(MOVES):
        moves.next(0.0)
    assert moves.next(SPAN) == 0.0
