"""The messages that are measured with."""

import json
import time

from bench_suite import messages
from bench_suite.flood import ready_made
from bench_suite.gateways import TOPOLOGY
from bench_suite.journal import stamp
from broker.topology import Audience, Stream
from gateway.messages.publication import publication

_STREAM = Stream(Audience.PUBLIC, 42)


def test_a_message_has_the_size_that_is_measured_with() -> None:
    assert len(messages.draft(_STREAM, "host").numbered(10_000).encode()) == messages.SIZE


def test_its_body_tells_when_it_was_made() -> None:
    before = time.monotonic_ns()
    encoded = messages.draft(_STREAM, "host").numbered(1).encode()
    assert before <= stamp(encoded) <= time.monotonic_ns()


def test_a_post_has_a_body_of_the_same_size() -> None:
    posted = messages.post(_STREAM, "host")
    assert len(str(posted["body"])) == len(messages.draft(_STREAM, "host").body)
    json.dumps(posted)


def test_the_ready_made_frames_hold_key_and_body() -> None:
    made = publication(messages.draft(_STREAM, "host").numbered(1), TOPOLOGY)
    frames = ready_made(made)
    assert made.routing_key.encode() in frames
    assert made.body in frames
