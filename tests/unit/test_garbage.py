"""Permanent objects are not walked any more, and new ones are collected rarely."""

import gc
from collections.abc import Iterator

import pytest

from gateway import garbage


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    thresholds = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*thresholds)


def test_objects_made_before_are_not_walked_any_more() -> None:
    stays = [[]]  # type: list[list[object]]
    garbage.settle()
    assert gc.get_freeze_count() > 0
    assert not any(each is stays for each in gc.get_objects())


def test_cycles_are_still_found_but_not_after_every_request() -> None:
    garbage.settle()
    youngest, middle, oldest = gc.get_threshold()
    assert gc.isenabled()
    assert youngest > 10_000
    # No search but the rarest one walks more than a few ten thousand objects.
    assert youngest * middle < 100_000
    assert youngest * middle * oldest > 1_000_000
