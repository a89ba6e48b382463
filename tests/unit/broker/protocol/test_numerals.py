"""One spelling for each number, and nothing that breaks `int`."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.protocol.numerals import natural


@given(st.integers(0, 10**18 - 1))
def test_a_number_in_plain_digits_is_read(number: int) -> None:
    assert natural(str(number)) == number


@pytest.mark.parametrize(
    "text",
    [
        *("", "-1", "+1", "007", "00", " 1", "1 ", "1\n", "1_0", "1.0", "1e3", "0x1", "１", "٣"),
        *("9" * 19, "9" * 60, "9" * 5000),
    ],
)
def test_every_other_spelling_is_none(text: str) -> None:
    assert natural(text) is None
