"""State tables as a person writes them: a column for each state, a row for each input."""

from enum import StrEnum
from itertools import product
from typing import TypeVar

S = TypeVar("S", bound=StrEnum)
I = TypeVar("I", bound=StrEnum)  # noqa: E741 - an input


def cells(grid: str, states: type[S], inputs: type[I]) -> list[tuple[S, I, S | None]]:
    """Each state and input with the next state, None for a dot.

    The first line names the states; a row begins with the input's name, spaces written as ``_``.
    Raises ValueError where the grid is not complete.
    """
    head, *rows = (line.split() for line in grid.strip().splitlines())
    given = {
        (states(state), inputs(name.replace("_", " "))): None if cell == "." else states(cell)
        for name, *row in rows
        for state, cell in zip(head, row, strict=True)
    }
    if given.keys() != set(product(states, inputs)):
        raise ValueError("a state or an input is missing")
    return [(state, received, following) for (state, received), following in given.items()]
