"""The uplink's table: every input in every state."""

import pytest

from gateway.live.relay.state import VERDICTS
from gateway.live.relay.uplink_states import FINAL, INPUTS, PAUSED, TRANSITIONS, Input, State
from tests.unit.live.grid import cells

GRID = """
                opening open     moving  proving  parting  leaving  farewell left    failed  closed
session         open    .        open    .        .        .        .        .       .       .
lost            .       moving   .       moving   moving   failed   closed   .       .       .
lost_again      .       moving   .       moving   moving   failed   closed   .       .       .
lost_in_doubt   .       failed   .       failed   moving   failed   closed   .       .       .
ended           .       moving   .       moving   moving   failed   left     .       .       .
ended_in_doubt  .       failed   .       failed   moving   failed   left     .       .       .
refused         .       failed   .       failed   moving   failed   left     .       .       .
error           .       failed   failed  failed   failed   failed   failed   .       .       .
relocate        .       proving  .       .        .        .        .        .       .       .
leave           .       leaving  .       .        .        .        .        .       .       .
disconnect      .       .        .       parting  .        farewell .        .       .       .
receipt         .       .        .       .        .        .        left     .       .       .
timeout         .       .        .       moving   moving   .        .        .       .       .
close           closed  closed   closed  closed   closed   closed   closed   closed  closed  .
"""


@pytest.mark.parametrize(("state", "received", "expected"), cells(GRID, State, Input))
def test_each_input_leads_on_from_each_state_or_changes_nothing(
    state: State, received: Input, expected: State | None
) -> None:
    assert TRANSITIONS.get((state, received)) == expected


def test_an_uplink_closes_from_everywhere_and_what_has_ended_begins_nothing_anew() -> None:
    assert all(
        TRANSITIONS[state, Input.CLOSE] is State.CLOSED for state in {*State} - {State.CLOSED}
    )
    assert {following for (state, _), following in TRANSITIONS.items() if state in FINAL} == {
        State.CLOSED
    }


def test_a_moving_relay_comes_back_or_ends() -> None:
    for state in PAUSED:
        onward = {following for (before, _), following in TRANSITIONS.items() if before is state}
        assert onward - PAUSED <= {State.OPEN, State.FAILED, State.CLOSED}


def test_each_verdict_about_the_end_of_a_session_is_an_input() -> None:
    assert INPUTS.keys() == {(ending, verdict) for (ending, *_), verdict in VERDICTS.items()}
