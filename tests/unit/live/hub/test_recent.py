"""The last messages, as far as they are kept."""

from gateway.live.hub import recent
from gateway.live.hub.delivery import Delivery
from gateway.live.hub.recent import Recent


def filled(count: int, size: int = 10, *, start: int = 1) -> Recent:
    kept = Recent()
    for seq in range(start, start + count):
        kept.add(Delivery(seq, instant=False, opcode=1, tail=b"x" * size))
    return kept


def after(kept: Recent, seq: int, last: int) -> list[int | None] | None:
    found = kept.after(seq, last=last)
    return None if found is None else [delivery.seq for delivery in found]


def test_it_gives_what_follows_a_seq() -> None:
    kept = filled(5, start=11)
    assert after(kept, 10, 15) == [11, 12, 13, 14, 15]
    assert after(kept, 14, 15) == [15]
    assert after(kept, 15, 15) == []
    assert after(kept, 9, 15) is None


def test_an_empty_one_knows_only_that_nothing_is_missed_at_the_end() -> None:
    assert after(Recent(), 7, 7) == []
    assert after(Recent(), 6, 7) is None


def test_it_keeps_so_many_messages() -> None:
    last = recent.MESSAGES + 10
    kept = filled(last)
    assert after(kept, 9, last) is None
    assert after(kept, 10, last) == list(range(11, last + 1))


def test_it_keeps_so_many_bytes() -> None:
    assert after(filled(2, recent.BYTES // 2), 0, 2) == [1, 2]
    kept = filled(10, recent.BYTES // 3)
    assert after(kept, 6, 10) is None
    assert after(kept, 7, 10) == [8, 9, 10]
    assert after(filled(3, recent.BYTES + 1), 2, 3) is None
