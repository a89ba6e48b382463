"""ARCHITECTURE.md shows what the code does."""

from pathlib import Path

from devenv.diagram import mermaid


def test_the_state_diagram_is_drawn_from_the_table() -> None:
    text = (Path(__file__).parents[2] / "ARCHITECTURE.md").read_text(encoding="utf-8")
    assert f"```mermaid\n{mermaid()}\n```" in text, (
        "print the new diagram with: PYTHONPATH=scripts .venv/bin/python -m devenv.diagram"
    )
