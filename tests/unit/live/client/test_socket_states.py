"""The WebSocket's table: every input in every state."""

import pytest

from gateway.live.client.socket_states import TRANSITIONS, Input, State
from tests.unit.live.grid import cells

GRID = """
            unknown  known    closing  left    closed
DATA        unknown  known    .        .       .
PING        unknown  known    .        .       .
PONG        unknown  known    .        .       .
CLOSE       left     left     closed   .       .
introduced  known    .        .        .       .
goodbye     closing  closing  .        closed  .
"""


@pytest.mark.parametrize(("state", "received", "expected"), cells(GRID, State, Input))
def test_each_input_leads_on_from_each_state_or_is_ignored(
    state: State, received: Input, expected: State | None
) -> None:
    assert TRANSITIONS.get((state, received)) == expected


def test_nothing_but_close_is_taken_once_one_side_has_closed() -> None:
    taken = {
        received
        for state, received in TRANSITIONS
        if state in (State.CLOSING, State.LEFT, State.CLOSED)
    }
    assert taken == {Input.CLOSE, Input.GOODBYE}
