"""What counts as a difference between RabbitMQ and the gateway, and what as a loss."""

import pytest

from conformance_suite.applications import APPLICATIONS
from conformance_suite.conversations import CONVERSATIONS
from conformance_suite.differences import (
    ENDS,
    differences,
    explained,
    explained_of_libraries,
    is_as_explained,
    wrong_with,
)
from conformance_suite.faults import FAULTS
from conformance_suite.frames import Received
from conformance_suite.libraries import LIBRARIES, ending
from conformance_suite.outcome import Outcome

KILLED = "the node is killed"
GONE = "gone without a Close frame"


def test_a_message_that_had_its_receipt_and_never_came_is_a_loss() -> None:
    kept = Outcome(receipted={"1", "2"}, came={"1", "2", "3"})
    lost = Outcome(receipted={"9", "10"}, came=set())
    assert wrong_with(KILLED, kept, kept) == ""
    assert wrong_with(KILLED, kept, lost) == "the gateway: 9, 10 had receipts, and did not come"
    assert wrong_with(KILLED, lost, kept).startswith("RabbitMQ: ")


def test_an_application_that_did_not_get_through_is_wrong() -> None:
    stuck = Outcome(failure="not through")
    assert wrong_with(KILLED, Outcome(), stuck) == "the gateway: not through"


def test_an_end_without_a_word_is_wrong_only_through_the_gateway() -> None:
    assert wrong_with(KILLED, Outcome(ends=[GONE]), Outcome()) == ""
    assert wrong_with(KILLED, Outcome(), Outcome(ends=[GONE])) == f"the gateway: {GONE}"


@pytest.mark.parametrize("fault", FAULTS)
def test_a_connection_may_end_with_a_reason_and_a_code_of_the_fault(fault: str) -> None:
    for end in ENDS[fault].codes:
        told = Outcome(ends=["ERROR broker_unavailable: …", end])
        assert wrong_with(fault, Outcome(), told) == ""
        assert wrong_with(fault, Outcome(), Outcome(ends=[end])) != ""
    told = Outcome(ends=["ERROR broker_unavailable: …", "closed with 1002"])
    assert wrong_with(fault, Outcome(), told) != ""
    twice = Outcome(ends=["ERROR broker_unavailable: …", "closed with 1012", GONE])
    assert wrong_with(fault, Outcome(), twice) != ""


def test_only_what_is_there_is_explained() -> None:
    assert set(ENDS) == set(FAULTS)
    names = {(library, each.name) for library in LIBRARIES for each in APPLICATIONS}
    conversations = {each.name for each in CONVERSATIONS}
    for version in ("3.10.8", "4.3.6"):
        assert set(explained_of_libraries(version)) <= names
        assert set(explained(version)) <= conversations


def test_a_difference_needs_an_explanation_and_one_in_vain_is_wrong_too() -> None:
    why = explained("3.10.8")["SEND without a destination"]
    assert is_as_explained([], None)
    assert is_as_explained(["- one", "+ other"], why)
    assert not is_as_explained(["- one", "+ other"], None)
    assert not is_as_explained([], why)
    # Of this one nobody knows beforehand whether it will be needed.
    assert is_as_explained([], explained("3.10.8")["UNSUBSCRIBE of nothing"])


def test_after_an_error_the_end_is_no_difference_but_another_text_is() -> None:
    direct = ["0: CONNECTED", "0: ERROR message:'no'", "0: nothing more"]
    assert differences(direct, [*direct[:2], "0: closed with 1002"]) == []
    assert differences(direct, ["0: CONNECTED", "0: ERROR message:'never'"]) != []
    assert differences(["0: CONNECTED"], ["0: CONNECTED", "0: closed"]) != []


def test_an_end_is_told_as_far_as_the_library_knows_it() -> None:
    assert ending(Received("CLOSED", (("code", "1012"),), b"")) == "closed with 1012"
    assert ending(Received("CLOSED", (("code", "1006"),), b"")) == "gone without a Close frame"
    assert ending(Received("CLOSED", (), b"")) == "closed"
