"""The connection's table: every input in every state."""

import pytest

from gateway.live.client.connection_states import OPEN, TRANSITIONS, Input, State
from tests.unit.live.grid import cells

GRID = """
                 serving    departing  closing  gone
end              closing    closing    .        .
closed           gone       gone       gone     .
closed_in_doubt  departing  .          .        .
lost             gone       gone       gone     .
late             .          .          gone     .
"""


@pytest.mark.parametrize(("state", "received", "expected"), cells(GRID, State, Input))
def test_each_input_leads_on_from_each_state_or_changes_nothing(
    state: State, received: Input, expected: State | None
) -> None:
    assert TRANSITIONS.get((state, received)) == expected


def test_a_connection_ends_once() -> None:
    for (state, _), following in TRANSITIONS.items():
        assert state in OPEN or following not in OPEN


def test_a_broken_socket_ends_it_from_everywhere() -> None:
    assert {state for state, received in TRANSITIONS if received is Input.LOST} == {*State} - {
        State.GONE
    }
