"""Which drafts of a batch wait for approval, and which may decide about others."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from broker.topology import Audience, Stream
from gateway.domain.approval import MOST_OF_AUTHOR, MOST_WAITING, REFUSED, Fate
from gateway.domain.message import Draft
from gateway.domain.room import MemberRole
from gateway.errors import ApprovalNeeded, GatewayError, NotWaiting, TooManyWaiting
from gateway.store.approving import Approving
from gateway.store.numbering import Numbering
from gateway.store.records import Appended

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
PUBLIC, PRIVATE = (Stream(audience, 1) for audience in (Audience.PUBLIC, Audience.PRIVATE))


def draft(stream: Stream = PUBLIC, body: Any = "hi", **rest: Any) -> Draft:
    made = Draft(uuid4(), stream, "bob", NOON, "message", body, role=MemberRole.PARTICIPANT)
    return replace(made, **rest)


def numbering(**approving: Any) -> Numbering:
    return Numbering(
        {PUBLIC: 0, PRIVATE: 0}, frozenset(), {}, approving=Approving({1}, **approving)
    )


def waits(answer: Appended | GatewayError) -> bool:
    assert isinstance(answer, Appended), answer
    return answer.waits is not None


def test_only_what_participants_say_to_everyone_waits() -> None:
    made = numbering()
    assert waits(made.take(draft()))
    assert not waits(made.take(draft(PRIVATE)))
    assert not waits(made.take(draft(role=MemberRole.HOST)))
    made.approving.rooms.clear()
    assert not waits(made.take(draft()))


def test_the_place_has_the_number_and_the_id_and_nothing_that_was_said() -> None:
    said = draft(sender_name="Bob", type="rude")
    answer = numbering().take(said)
    assert isinstance(answer, Appended)
    place = answer.message
    assert (place.id, place.seq, place.sender, place.type) == (said.id, 1, "", "pending")
    assert (place.sender_name, place.role, place.body) == (None, None, None)
    assert b"bob" not in place.encode().lower()
    assert b"rude" not in place.encode()
    assert answer.waits == said.numbered(1)


def test_a_repeated_id_gets_its_first_answer_in_the_same_batch_and_other_words_are_refused() -> (
    None
):
    made, said = numbering(), draft()
    first, again = made.take(said), made.take(said)
    assert isinstance(again, Appended)
    assert (waits(first), waits(again), again.repeated) == (True, True, True)
    assert not isinstance(made.take(replace(said, body="else")), Appended)


def test_a_key_of_a_participant_cannot_wait_and_is_refused() -> None:
    made = numbering()
    assert isinstance(made.take(draft(keep="cursor")), ApprovalNeeded)
    assert not waits(made.take(draft(PRIVATE, keep="hand")))
    assert not waits(made.take(draft(keep="poll", role=MemberRole.HOST)))


@pytest.mark.parametrize(
    ("body", "then"), [({"approve": True}, True), ({"chat": True}, False), (None, False)]
)
def test_what_follows_the_order_in_the_same_batch_obeys_it(body: Any, then: bool) -> None:
    made = numbering()
    if then:
        made.approving.rooms.clear()
    assert waits(made.take(draft())) is not then
    assert not waits(made.take(draft(body=body, keep="settings", role=MemberRole.HOST)))
    assert waits(made.take(draft())) is then


@pytest.mark.parametrize("other", [{"of": "bob"}, {"stream": PRIVATE}])
def test_an_entry_that_only_looks_like_the_order_changes_nothing(other: dict[str, Any]) -> None:
    made = numbering()
    order = draft(body=None, keep="settings", role=MemberRole.HOST)
    assert not waits(made.take(replace(order, **other)))
    assert waits(made.take(draft()))


def test_it_is_decided_once() -> None:
    made = numbering()
    made.take(draft())
    approved = draft(place=1)
    refused = draft(place=1, type=REFUSED, role=MemberRole.HOST)
    assert not waits(made.take(approved))
    assert made.approving.fates == {(1, 1): Fate.APPROVED}
    assert isinstance(made.take(refused), NotWaiting)
    assert isinstance(made.take(replace(approved, id=uuid4())), NotWaiting)
    assert isinstance(made.take(draft(place=9)), NotWaiting)


def test_a_refusal_is_noted_as_one() -> None:
    made = numbering()
    made.take(draft())
    made.take(draft(place=1, type=REFUSED, role=MemberRole.HOST))
    assert made.approving.fates == {(1, 1): Fate.REFUSED}


def test_so_many_wait_and_no_more_until_one_is_decided() -> None:
    made = numbering()
    made.approving.of_author[1, "bob"] = MOST_OF_AUTHOR - 2
    assert waits(made.take(draft()))
    assert waits(made.take(draft()))
    assert isinstance(made.take(draft()), TooManyWaiting)
    assert waits(made.take(draft(sender="carol")))
    made.approving.waiting[1] = MOST_WAITING - 1
    assert waits(made.take(draft(sender="dora")))
    assert isinstance(made.take(draft(sender="erin")), TooManyWaiting)
    made.take(draft(place=1))
    assert waits(made.take(draft(sender="erin")))
    assert isinstance(made.take(draft(sender="fay")), TooManyWaiting)
