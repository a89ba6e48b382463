"""ARCHITECTURE's state diagrams, drawn from the tables in the code; a test compares the two.

PYTHONPATH=scripts .venv/bin/python -m devenv.diagram
"""

from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Final, TypeVar

from broker.feeds import bindings
from gateway.live.client import connection_states, session, socket_states
from gateway.live.relay import uplink_states

S = TypeVar("S", bound=StrEnum)
I = TypeVar("I", bound=StrEnum)  # noqa: E741 - an input


def mermaid(transitions: Mapping[tuple[S, I], S], *, last: Collection[S]) -> str:
    """A table as a Mermaid state diagram. The first state is the enumeration's first member."""
    arrows: dict[tuple[S, S], list[str]] = {}
    for (state, received), following in transitions.items():
        arrows.setdefault((state, following), []).append(received)
    first = next(iter(type(next(iter(transitions))[0])))
    lines = ["stateDiagram-v2", f"    [*] --> {first}"]
    lines += [
        f"    {state} --> {following}: {', '.join(inputs)}"
        for (state, following), inputs in arrows.items()
    ]
    return "\n".join([*lines, *(f"    {state} --> [*]" for state in last)])


#: By the module whose table it is.
DIAGRAMS: Final = {
    bindings.__name__: mermaid(bindings.TRANSITIONS, last=[bindings.State.ABSENT]),
    session.__name__: mermaid(session.TRANSITIONS, last=[session.State.LEAVING]),
    socket_states.__name__: mermaid(socket_states.TRANSITIONS, last=[socket_states.State.CLOSED]),
    connection_states.__name__: mermaid(
        connection_states.TRANSITIONS, last=[connection_states.State.GONE]
    ),
    uplink_states.__name__: mermaid(uplink_states.TRANSITIONS, last=[uplink_states.State.CLOSED]),
}


if __name__ == "__main__":
    for name, diagram in DIAGRAMS.items():
        print(f"{name}\n\n```mermaid\n{diagram}\n```\n")
