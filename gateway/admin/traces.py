"""The way of a message through all gateways, found by one id."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Protocol
from uuid import UUID

from broker.topology import Audience, Stream
from gateway.cluster.bus import Bus
from gateway.domain.traced_message import TracedMessage
from gateway.observe.posts import FOUND, Post, Posts

#: Seconds that the others have to answer.
_WITHIN: Final = 0.8
_POSTED: Final = "admin.posted"
_PASSED: Final = "admin.passed"
#: A message as log lines name it.
_PLACE: Final = re.compile(rf"({'|'.join(Audience)})\.([0-9]{{1,18}})/([0-9]{{1,18}})")


class TraceStore(Protocol):
    """The database. Both methods raise :class:`StoreUnavailable`."""

    async def traced(self, ids: Sequence[UUID]) -> list[TracedMessage]: ...

    async def traced_at(self, stream: Stream, seq: int) -> list[TracedMessage]: ...


class LiveTopics(Protocol):
    """This gateway's topics."""

    def given_out(self, stream: Stream) -> tuple[int, int] | None:
        """The seq up to which the topic's subscribers have been given everything, and how many they
        are; None: nobody follows it here."""


@dataclass(frozen=True, slots=True)
class Passage:
    """The passage of a message at one gateway. ``posts``: those that brought it there;
    ``delivered``: the followers there, of whom there are ``subscribers``, have been given it (None:
    nobody follows its topic)."""

    posts: Sequence[Post] = ()
    delivered: bool | None = None
    subscribers: int = 0


@dataclass(frozen=True, slots=True)
class Trace:
    """A message, and its passage at each gateway by name."""

    message: TracedMessage
    passages: Mapping[str, Passage]


class Traces:
    """The ways of messages, for operators, who have been let in before."""

    def __init__(self, bus: Bus, store: TraceStore, posts: Posts, topics: LiveTopics) -> None:
        self._bus = bus
        self._store = store
        self._posts = posts
        self._topics = topics
        bus.answer(_POSTED, self._answer_posted)
        bus.answer(_PASSED, self._answer_passed)

    async def find(self, id: str) -> tuple[list[Trace], Mapping[str, str]]:
        """The messages with this id, or of the request or connection with it (the last ones), or at
        this place (``public.42/17``); and the gateways that did not answer. Raises
        :class:`StoreUnavailable`."""
        missing: dict[str, str] = {}
        if place := _PLACE.fullmatch(id):
            stream = Stream(Audience(place[1]), int(place[2]))
            found = await self._store.traced_at(stream, int(place[3]))
        elif (message := _uuid(id)) is not None:
            found = await self._store.traced([message])
        else:
            request = {"request": id}
            answers = await self._bus.ask(_POSTED, request, within=_WITHIN)
            missing |= answers.missing
            posted = [*self._answer_posted(request)]
            posted += [each for _, known in answers.items() for each in known]
            found = await self._store.traced([UUID(each) for each in posted[:FOUND]])
        if not found:
            return [], missing
        asked = {
            "messages": [
                [str(each.id), each.stream.audience, each.stream.room, each.seq] for each in found
            ]
        }
        answers = await self._bus.ask(_PASSED, asked, within=_WITHIN)
        passed = {self._bus.gateway: self._answer_passed(asked), **dict(answers.items())}
        traces = [
            Trace(each, {name: _passage(known[number]) for name, known in sorted(passed.items())})
            for number, each in enumerate(found)
        ]
        return traces, missing | dict(answers.missing)

    def _answer_posted(self, asked: Mapping[str, Any]) -> list[str]:
        return [str(post.message) for post in self._posts.by_request(asked["request"])]

    def _answer_passed(self, asked: Mapping[str, Any]) -> list[dict[str, Any]]:
        posts = self._posts.by_messages([UUID(id) for id, *_ in asked["messages"]])
        return [
            self._passed(posts[UUID(id)], Stream(Audience(audience), room), seq)
            for id, audience, room, seq in asked["messages"]
        ]

    def _passed(self, posts: Sequence[Post], stream: Stream, seq: int) -> dict[str, Any]:
        given_out = self._topics.given_out(stream)
        return {
            "posts": [asdict(post) | {"message": str(post.message)} for post in posts],
            "delivered": None if given_out is None else given_out[0] >= seq,
            "subscribers": 0 if given_out is None else given_out[1],
        }


def _passage(json: Mapping[str, Any]) -> Passage:
    posts = [Post(**{**post, "message": UUID(post["message"])}) for post in json["posts"]]
    return Passage(posts, json["delivered"], json["subscribers"])


def _uuid(text: str) -> UUID | None:
    # Twelve digits, as requests have, are none.
    try:
        return UUID(text)
    except ValueError:
        return None
