"""A pytest plugin: Hypothesis comes last, tries few examples, always the same, shrinks none.

For a mutant it only counts whether a test fails. What takes many examples to be found shows as a
survivor, and deserves an example of its own.
"""

from __future__ import annotations

import pytest
from hypothesis import Phase, is_hypothesis_test, settings


@pytest.hookimpl(trylast=True)
def pytest_configure() -> None:
    settings.register_profile(
        "mutants",
        database=None,
        deadline=None,
        derandomize=True,
        max_examples=20,
        phases=(Phase.explicit, Phase.generate),
        stateful_step_count=25,
    )
    settings.load_profile("mutants")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: is_hypothesis_test(getattr(item, "obj", None)))
