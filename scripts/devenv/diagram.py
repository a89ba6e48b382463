"""ARCHITECTURE's state diagram, drawn from the session's table; a test compares the two.

PYTHONPATH=scripts .venv/bin/python -m devenv.diagram
"""

from gateway.live.client.session import TRANSITIONS, State


def mermaid() -> str:
    """The session's states as a Mermaid state diagram."""
    arrows: dict[tuple[State, State], list[str]] = {}
    for (state, received), following in TRANSITIONS.items():
        arrows.setdefault((state, following), []).append(received)
    lines = ["stateDiagram-v2", f"    [*] --> {next(iter(State))}"]
    lines += [
        f"    {state} --> {following}: {', '.join(inputs)}"
        for (state, following), inputs in arrows.items()
    ]
    return "\n".join([*lines, f"    {State.LEAVING} --> [*]"])


if __name__ == "__main__":
    print(mermaid())
