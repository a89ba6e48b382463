"""Outages are measured by the longest time in which nothing arrived."""

import math

from bench_suite.outage_clients import longest_silence

ARRIVED = {"a": 1.0, "b": 2.0, "c": 4.5, "d": 5.0, "foreign": 3.0}


def test_the_longest_silence_is_between_two_wanted_messages() -> None:
    assert longest_silence(ARRIVED, "abcd", since=0.0) == 2.5


def test_a_silence_that_ended_before_does_not_count() -> None:
    assert math.isclose(longest_silence(ARRIVED, "abcd", since=4.6), 0.4)


def test_a_silence_counts_from_the_fault_on() -> None:
    assert longest_silence(ARRIVED, "abcd", since=3.0) == 1.5


def test_what_never_comes_again_is_silent_for_ever() -> None:
    assert longest_silence(ARRIVED, "abcd", since=6.0) == math.inf
