"""A client by server-sent events whose gateway dies goes on at the other one: nothing is missing,
and nothing comes twice."""

import http.client
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager

import pytest

from tests.acceptance.conftest import StartGateway
from tests.acceptance.gateway_process import GatewayProcess
from tests.event_stream_parser import Event, parse

pytestmark = [pytest.mark.cluster, pytest.mark.postgres]

_POSTS = 40


class EventStream:
    """The events of an answer, one after the other."""

    def __init__(self, answer: http.client.HTTPResponse) -> None:
        self._answer = answer
        #: What a browser would say as Last-Event-ID.
        self.place: str | None = None

    def event(self) -> Event:
        block = b""
        while line := self._answer.readline():
            block += line
            if line == b"\n":
                if found := list(parse(block)):
                    self.place = found[0].id or self.place
                    return found[0]
                block = b""
        raise EOFError

    def bodies(self, count: int) -> list[int]:
        found: list[int] = []
        while len(found) < count:
            event = self.event()
            if event.name == "message":
                found.append(json.loads(event.data)["body"])
        return found


@contextmanager
def following(
    gateway: GatewayProcess, room: int, user: str, *, place: str | None = None
) -> Iterator[EventStream]:
    address = gateway.url.rpartition("/")[2]
    headers = {"Authorization": f"Bearer {gateway.token(user)}"}
    if place is not None:
        headers["Last-Event-ID"] = place
    with closing(http.client.HTTPConnection(address, timeout=30)) as connection:
        connection.request("GET", f"/api/rooms/{room}/events", headers=headers)
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        yield EventStream(answer)


def test_a_client_whose_gateway_dies_resumes_at_the_other_one_without_a_hole(
    start_gateway: StartGateway, postgres_url: str
) -> None:
    store = postgres_url.replace("+asyncpg", "")
    dying, staying = (
        start_gateway(number=n, store=store, server=f'name = "gateway-{n}"\ndrain_time = 0.0')
        for n in (0, 1)
    )
    room = staying.room("hana", "paul")

    def say(numbers: range, *gateways: GatewayProcess) -> None:
        for number in numbers:
            gateway = gateways[number % len(gateways)]
            assert gateway.post(room, "hana", number)[0] == 201

    with following(dying, room, "paul") as paul, ThreadPoolExecutor(1) as speaker:
        assert paul.event().name == "joined"
        # By the broker, from the other gateway, and from its own.
        speaking = speaker.submit(say, range(_POSTS), staying, dying)
        assert paul.bodies(_POSTS // 2) == list(range(_POSTS // 2))
        speaking.result()
        dying.kill()
        place = paul.place
        missed = range(_POSTS, _POSTS + 10)
        say(missed, staying)
    assert place is not None
    with following(staying, room, "paul", place=place) as paul:
        # Up to seq N the numbers 0 to N - 1 have been said.
        wanted = list(range(int(place), _POSTS + 10))
        assert paul.bodies(len(wanted)) == wanted
        say(range(_POSTS + 10, _POSTS + 12), staying)
        assert paul.bodies(2) == [_POSTS + 10, _POSTS + 11]
        assert staying.call("DELETE", f"/api/rooms/{room}/members/paul", user="hana")[0] == 204
        end = paul.event()
        assert (end.name, json.loads(end.data)["code"]) == ("end", "removed")
        with pytest.raises(EOFError):
            paul.event()
