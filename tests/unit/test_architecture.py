"""ARCHITECTURE.md shows what the code does."""

import ast
import re
from collections.abc import Iterator
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
    "broker/feeds/feed.py": "the feed awaits it in the next line",
    "broker/publishing/repair.py": "the same function looks at its result",
    "broker/timing/tasks.py": "here they are owned",
    "gateway/auth/memberships.py": "all who asked for the roster",
    "gateway/http/streams.py": "Tornado, which asked for the head",
    "gateway/live/hub/shared_reads.py": "all who asked for what it reads",
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


def test_the_type_of_each_clock_says_which_reading_it_is() -> None:
    root = Path(__file__).parents[2]
    found = {
        str(path.relative_to(root))
        for path in (*root.glob("broker/**/*.py"), *root.glob("gateway/**/*.py"))
        if "clock: Callable" in path.read_text(encoding="utf-8")
    }
    assert not found, "take a reading of broker.timing.readings, or the Clock"


#: A docstring that opens with one of these describes a property of the thing, or a parameter.
_NO_OPENING = re.compile(
    r"(?:What|Who|Whom|Whose|Where|When|Which|How|Whatever|Whoever|Whichever)\b|``|:"
)


def opening_fault(docstring: str | None) -> str | None:
    """The fault of a docstring whose first words must say what the thing is."""
    if not docstring:
        return "no docstring"
    if _NO_OPENING.match(docstring):
        return f"opens with {docstring.splitlines()[0]!r}"
    return None


def docstring_faults() -> Iterator[str]:
    """Of all modules and classes, of module-level functions that are public, and of all other
    functions with a docstring."""
    root = Path(__file__).parents[2]
    for path in (*root.glob("broker/**/*.py"), *root.glob("gateway/**/*.py")):
        module = ast.parse(path.read_text(encoding="utf-8"))
        # The name of a function in a migration is Alembic's; the module says what it does.
        public = set() if path.parent.name == "versions" else set(module.body)
        for node in ast.walk(module):
            match node:
                case ast.Module():
                    # A handler's module opens with the path of its resource.
                    fault = opening_fault((ast.get_docstring(node) or "").removeprefix("``/"))
                case ast.ClassDef():
                    fault = opening_fault(ast.get_docstring(node))
                case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                    text = ast.get_docstring(node)
                    required = node in public and not name.startswith("_")
                    fault = opening_fault(text) if text or required else None
                case _:
                    continue
            if fault is not None:
                name = getattr(node, "name", "the module")
                yield f"{path.relative_to(root)}: {name}: {fault}"


def test_each_docstring_says_first_what_the_thing_is() -> None:
    assert not list(docstring_faults())


@pytest.mark.parametrize(
    "text", [None, "", "``seconds`` to wait.", ":class:`Node` or None.", "Who waits.", "How often."]
)
def test_an_opening_that_does_not_say_what_the_thing_is_is_a_fault(text: str | None) -> None:
    assert opening_fault(text) is not None


@pytest.mark.parametrize("text", ["A link to one node.", "Whether it works.", "Howling wind."])
def test_an_opening_that_says_what_the_thing_is_is_none(text: str) -> None:
    assert opening_fault(text) is None
