"""What gateways say about their entrances is what they have, in few bytes."""

import json

from hypothesis import given
from hypothesis import strategies as st

from broker.feeds.entrances import pack, unpack

FEED = "acdm.mo.interact.feed.gateway-1.0.12345678"


@given(
    st.lists(
        st.one_of(
            st.sampled_from([FEED, "other", "other.x", "other.01", "other.1.2", f"{FEED}.²"]),
            st.integers(0, 30).map(lambda number: f"{FEED}.{number}"),
            st.integers(0, 5).map(lambda number: f"other.{number}"),
        ),
        unique=True,
    )
)
def test_what_is_said_is_what_there_is(names: list[str]) -> None:
    said = json.loads(json.dumps(pack(names)))
    assert sorted(unpack(*said)) == sorted(names)


def test_a_thousand_patterns_are_said_in_few_bytes_and_the_feed_by_its_name() -> None:
    plain, numbered = pack([FEED, *(f"{FEED}.{number}" for number in range(1, 1001))])
    assert (plain, numbered) == ([FEED], {FEED: [[1, 1000]]})
