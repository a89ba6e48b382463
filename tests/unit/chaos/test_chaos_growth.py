"""A leak is told from a warm-up and from noise."""

from random import Random

import pytest

from tests.chaos.growth import (
    LONG_ENOUGH,
    MOST_BYTES,
    MOST_DESCRIPTORS,
    MOST_OF_A_CROWD,
    Sample,
    growth,
)

HOUR = 3600
MEGABYTE = 1_000_000


def samples(*, memory: object = None, descriptors: object = None) -> list[Sample]:
    """Two hours of samples; each of both is a function of the second, or does not change."""
    return [
        Sample(
            float(second),
            memory(second) if callable(memory) else 90 * MEGABYTE,
            descriptors(second) if callable(descriptors) else 40,
        )
        for second in range(0, 2 * HOUR, 10)
    ]


def test_nothing_grows_where_nothing_changes() -> None:
    found = growth(samples())
    assert found is not None
    assert (found.memory, found.descriptors) == (0, 0)
    assert (found.memory_an_hour, found.descriptors_an_hour) == (0, 0)
    assert not found.excessive


def test_a_slope_is_given_for_an_hour() -> None:
    found = growth(samples(memory=lambda second: 90 * MEGABYTE + second * 5_000))
    assert found is not None
    assert found.memory_an_hour == pytest.approx(18 * MEGABYTE)
    # From the middle of the second quarter to that of the last: an hour.
    assert found.memory == pytest.approx(18 * MEGABYTE)
    assert str(found) == (
        "memory +18.0 MB (+18.0 MB an hour), descriptors +0 (+0.0 an hour), tasks +0 in 120 minutes"
    )


def test_a_leak_of_memory_is_excessive() -> None:
    a_second = (MOST_BYTES + MEGABYTE) / HOUR
    found = growth(samples(memory=lambda second: int(a_second * second)))
    assert found is not None
    assert found.excessive


def test_a_leak_of_descriptors_is_excessive() -> None:
    found = growth(samples(descriptors=lambda second: second * (MOST_DESCRIPTORS + 1) // HOUR))
    assert found is not None
    assert found.excessive


@pytest.mark.parametrize("name", ["descriptors", "tasks"])
def test_beside_a_crowd_some_more_is_no_leak(name: str) -> None:
    for more, excessive in ((MOST_OF_A_CROWD - 2, False), (MOST_OF_A_CROWD + 2, True)):
        grown = [each._replace(**{name: round(more * each.t / HOUR)}) for each in samples()]
        found = growth(grown)
        assert found is not None
        assert found.excessive
        assert found.excessive_for_a_crowd == excessive


def test_a_warm_up_is_no_leak() -> None:
    found = growth(samples(memory=lambda second: 90 * MEGABYTE * (1 + (second > 1000))))
    assert found is not None
    assert found.memory == 0
    assert not found.excessive


def test_noise_is_no_leak() -> None:
    rng = Random(1)  # noqa: S311 - noise
    found = growth(samples(memory=lambda _: 90 * MEGABYTE + rng.randrange(40 * MEGABYTE)))
    assert found is not None
    assert not found.excessive


def test_a_short_run_proves_no_leak() -> None:
    run = samples(memory=lambda second: second * MEGABYTE)
    found = growth([each for each in run if each.t < LONG_ENOUGH])
    assert found is not None
    assert found.memory > MOST_BYTES
    assert not found.excessive


def test_a_few_samples_tell_nothing() -> None:
    assert growth(samples()[:7]) is None
