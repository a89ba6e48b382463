"""ARCHITECTURE.md shows what the code does."""

import ast
from pathlib import Path

import pytest

from devenv.diagram import DIAGRAMS


@pytest.mark.parametrize("module", DIAGRAMS)
def test_each_state_diagram_is_drawn_from_its_table(module: str) -> None:
    text = (Path(__file__).parents[2] / "ARCHITECTURE.md").read_text(encoding="utf-8")
    assert f"```mermaid\n{DIAGRAMS[module]}\n```" in text, (
        "print the new diagram with: PYTHONPATH=scripts .venv/bin/python -m devenv.diagram"
    )


#: The places that make tasks without :class:`broker.timing.tasks.Tasks`, and who hears of each
#: task's end.
OWNERS = {
    "broker/webstomp/feed.py": "the feed awaits it in the next line",
    "broker/quirks/dead_queues.py": "the same function looks at its result",
    "broker/timing/tasks.py": "here they are owned",
    "gateway/auth/memberships.py": "all who asked for the roster",
    "gateway/http/streams.py": "Tornado, which asked for the head",
    "gateway/live/hub/pages.py": "all who asked for the page",
    "gateway/live/transport.py": "the transport",
    "gateway/store/watched.py": "all who asked whether the database is there",
}


def modules_that_use(*names: str) -> set[str]:
    root = Path(__file__).parents[2]
    return {
        str(path.relative_to(root))
        for path in (*root.glob("broker/**/*.py"), *root.glob("gateway/**/*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in names
    }


def test_no_task_is_made_that_could_end_unseen() -> None:
    made = modules_that_use("create_task", "ensure_future")
    assert made == OWNERS.keys(), (
        "give the task to broker.timing.tasks.Tasks, or say here who owns it"
    )


def test_shared_work_cancels_none_of_its_waiters() -> None:
    assert modules_that_use("shield") == {"broker/timing/tasks.py"}, (
        "use broker.timing.tasks.shared"
    )
