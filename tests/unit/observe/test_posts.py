"""The latest posts: bounded, the last one first, found by request and by message."""

from __future__ import annotations

from uuid import UUID

from gateway.observe import logs
from gateway.observe.posts import FOUND, Posts
from tests.fake_clock import FakeClock


def test_a_post_is_found_by_its_request_and_by_its_message() -> None:
    clock = FakeClock()
    posts = Posts(clock=clock)
    token = logs.connection.set("00000000002a")
    try:
        post = posts.stored(UUID(int=1))
        posts.stored(UUID(int=2))
    finally:
        logs.connection.reset(token)
    again = posts.stored(UUID(int=1))
    began = clock()
    clock.now += 0.5
    posts.answered(post, confirmed=True)
    assert posts.by_request("00000000002a")[1] is post
    another, unknown = posts.by_request("00000000002a")[0], UUID(int=3)
    assert posts.by_messages([UUID(int=1), UUID(int=2), unknown]) == {
        UUID(int=1): [again, post],
        UUID(int=2): [another],
        unknown: [],
    }
    assert (post.stored_at, post.answered_at, post.confirmed) == (began, began + 0.5, True)
    assert (again.answered_at, again.confirmed) == (None, False)
    assert posts.by_request("another") == []


def test_the_oldest_are_forgotten_and_the_latest_found() -> None:
    posts = Posts(clock=lambda: 0.0, kept=2 * FOUND)
    for number in range(3 * FOUND):
        posts.stored(UUID(int=number))
    oldest, forgotten = UUID(int=FOUND), UUID(int=FOUND - 1)
    found = posts.by_messages([oldest, forgotten])
    assert {id: [each.message for each in kept] for id, kept in found.items()} == {
        oldest: [oldest],
        forgotten: [],
    }
    latest = [each.message.int for each in posts.by_request("-")]
    assert latest == list(range(3 * FOUND - 1, 2 * FOUND - 1, -1))
