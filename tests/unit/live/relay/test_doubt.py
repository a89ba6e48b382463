"""The frames of which nobody knows whether RabbitMQ has taken them."""

from gateway.live.relay.doubt import Doubt
from gateway.live.relay.familiar import MOST, Familiar


def test_frames_are_numbered_and_in_doubt_until_they_are_proven() -> None:
    doubt = Doubt()
    assert (doubt.any, doubt.passed, str(doubt)) == (False, 0, "")
    assert [doubt.sent("SUBSCRIBE", "/queue/a"), doubt.sent("ACK", None)] == [1, 2]
    assert (doubt.any, doubt.passed) == (True, 2)
    assert str(doubt) == "SUBSCRIBE '/queue/a', ACK"
    doubt.proven(1)
    assert (doubt.any, str(doubt)) == (True, "ACK")
    doubt.proven(2)
    assert (doubt.any, doubt.passed, str(doubt)) == (False, 2, "")


def test_a_message_is_in_doubt_until_its_own_number_is_proven() -> None:
    doubt = Doubt()
    doubt.sent("ACK", None)
    assert not doubt.messages
    doubt.sent("SEND", "/exchange/a", message=True)
    doubt.sent("ACK", None)
    doubt.proven(1)
    assert doubt.messages
    doubt.proven(2)
    assert (doubt.messages, doubt.any) == (False, True)


def test_an_earlier_answer_that_comes_late_takes_no_proof_back() -> None:
    doubt = Doubt()
    for _ in range(3):
        doubt.sent("ACK", None)
    doubt.proven(3)
    doubt.proven(1)
    assert not doubt.any


def test_only_the_last_frames_are_named_and_a_name_is_cut() -> None:
    doubt = Doubt()
    for number in range(1, 8):
        doubt.sent("SEND", f"/queue/{number}")
    assert str(doubt) == (
        "SEND '/queue/3', SEND '/queue/4', SEND '/queue/5', SEND '/queue/6', SEND '/queue/7'"
        " (and 2 before)"
    )
    doubt.proven(1)
    assert str(doubt).endswith("(and 1 before)")
    doubt.proven(2)
    assert str(doubt).endswith("SEND '/queue/7'")
    long = Doubt()
    long.sent("SEND", "x" * 1000)
    assert len(str(long)) < 150


def test_what_an_answer_on_its_way_will_prove_need_not_be_asked() -> None:
    doubt = Doubt()
    assert not doubt.is_to_be_asked
    number = doubt.sent("SUBSCRIBE", "/queue/a", answered=True)
    assert (doubt.any, doubt.is_to_be_asked) == (True, False)
    doubt.sent("SEND", "/queue/a", message=True)
    assert doubt.is_to_be_asked
    doubt.proven(number)
    assert doubt.is_to_be_asked
    doubt.proven(doubt.passed)
    assert not doubt.is_to_be_asked


def test_what_was_taken_before_is_not_strange_once_it_is_proven() -> None:
    known, other = (frozenset({("destination", name)}) for name in ("/queue/a", "/queue/b"))
    familiar = Familiar()
    doubt = Doubt(familiar)
    assert not doubt.is_strange
    first = doubt.sent("SEND", "/queue/a", message=True, kind=known)
    second = doubt.sent("SEND", "/queue/a", message=True, kind=known)
    doubt.proven(first)
    assert known in familiar
    assert (doubt.is_proven(first), doubt.is_proven(second)) == (True, False)
    # It was sent before anybody knew.
    assert doubt.is_strange
    doubt.proven(second)
    assert not doubt.is_strange
    doubt.sent("SEND", "/queue/a", message=True, kind=known)
    assert (doubt.any, doubt.is_strange) == (True, False)
    doubt.sent("SEND", "/queue/b", message=True, kind=other)
    assert doubt.is_strange
    # The next session knows what this one has learnt, and not what nobody has answered.
    following = Doubt(familiar)
    following.sent("SEND", "/queue/a", message=True, kind=known)
    assert not following.is_strange
    following.sent("SEND", "/queue/b", message=True, kind=other)
    assert following.is_strange


def test_a_frame_without_a_kind_is_always_strange() -> None:
    doubt = Doubt()
    for _ in range(2):
        number = doubt.sent("ACK", None)
        assert doubt.is_strange
        doubt.proven(number)
        assert not doubt.is_strange


def test_only_so_many_new_kinds_are_waited_for() -> None:
    familiar = Familiar()
    doubt = Doubt(familiar)
    kinds = [frozenset({("destination", str(number))}) for number in range(MOST + 1)]
    for each in kinds:
        doubt.sent("SEND", None, message=True, kind=each)
    doubt.proven(doubt.passed)
    assert all(each in familiar for each in kinds[:MOST])
    assert kinds[MOST] not in familiar


def test_nothing_more_is_to_be_passed_on_behind_what_rabbitmq_will_refuse() -> None:
    doubt = Doubt()
    doubt.sent("ACK", "T_q@@session-1@@1")
    assert not doubt.is_wrong
    wrong = doubt.sent("ACK", "nothing like it", wrong=True)
    assert doubt.is_wrong
    doubt.proven(wrong - 1)
    assert doubt.is_wrong
    # RabbitMQ has taken it after all.
    doubt.proven(wrong)
    assert not doubt.is_wrong
