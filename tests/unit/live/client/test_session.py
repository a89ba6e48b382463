"""The session's table: every command in every state, the illegal ones included."""

from itertools import product

import pytest

from broker.protocol.stomp import CLIENT_COMMANDS, Frame
from broker.topology import Audience, Stream, Topology
from gateway.budget.table import SUBSCRIPTIONS
from gateway.errors import BadFrame, SubscriptionsFull
from gateway.live.client.requests import Subscribe, Unsubscribe
from gateway.live.client.session import TRANSITIONS, Input, Session, State
from gateway.live.destinations import RoomQueue, RoomTopic
from tests.budgets import budgets_of

TOPOLOGY = Topology("t")
HEADERS = {
    "CONNECT": (("accept-version", "1.2"),),
    "STOMP": (("accept-version", "1.2"),),
    "SUBSCRIBE": (("destination", "/topic/t.public.1"), ("id", "s")),
    "UNSUBSCRIBE": (("id", "s"),),
    "SEND": (("destination", "/queue/x"),),
}


def session_in(state: State) -> Session:
    session = Session(
        TOPOLOGY, places=budgets_of(subscriptions=2).cap(SUBSCRIPTIONS), largest_body=lambda: 1_000
    )
    session.state = state
    session.version = "1.2"
    return session


def frame(command: str, *headers: tuple[str, str]) -> Frame:
    return Frame(command, headers or HEADERS.get(command, ()))


def test_a_session_opens_in_the_version_of_clients_that_name_none() -> None:
    session = Session(
        TOPOLOGY, places=budgets_of(subscriptions=2).cap(SUBSCRIPTIONS), largest_body=lambda: 1_000
    )
    assert (session.state, session.version) == (State.OPENING, "1.0")


def test_every_input_is_a_command_or_an_event() -> None:
    assert {str(i) for i in Input} - CLIENT_COMMANDS == {"authenticated"}


@pytest.mark.parametrize(("state", "command"), [*product(State, sorted(CLIENT_COMMANDS))])
def test_a_command_moves_on_where_the_table_says_so_and_is_refused_elsewhere(
    state: State, command: str
) -> None:
    session = session_in(state)
    expected = TRANSITIONS.get((state, Input(command)))
    if expected is None:
        with pytest.raises(BadFrame, match=command):
            session.receive(frame(command))
        assert session.state is state
    else:
        session.receive(frame(command))
        assert session.state is expected


def test_nothing_but_connect_opens_a_session_and_nothing_follows_disconnect() -> None:
    legal = {state: {i for s, i in TRANSITIONS if s is state} for state in State}
    assert legal[State.OPENING] == {Input.CONNECT, Input.STOMP}
    assert legal[State.AUTHENTICATING] == {Input.AUTHENTICATED}
    assert legal[State.LEAVING] == set()
    assert Input.CONNECT not in legal[State.CONNECTED]


@pytest.mark.parametrize("state", State)
def test_only_a_session_that_waits_for_it_can_be_authenticated(state: State) -> None:
    session = session_in(state)
    if state is State.AUTHENTICATING:
        session.authenticated("1.1")
        assert (session.state, session.version) == (State.CONNECTED, "1.1")
    else:
        with pytest.raises(BadFrame):
            session.authenticated("1.1")


def test_a_refused_frame_changes_nothing() -> None:
    session = session_in(State.OPENING)
    with pytest.raises(BadFrame, match="accept-version"):
        session.receive(frame("CONNECT", ("accept-version", "3.0")))
    assert session.state is State.OPENING


def test_a_subscription_is_known_from_its_frame_until_its_unsubscribe() -> None:
    session = session_in(State.CONNECTED)
    request = session.receive(frame("SUBSCRIBE"))
    assert isinstance(request, Subscribe)
    assert session.subscriptions == {"s": RoomTopic(Stream(Audience.PUBLIC, 1))}
    request = session.receive(frame("UNSUBSCRIBE"))
    assert isinstance(request, Unsubscribe)
    assert request.destination == RoomTopic(Stream(Audience.PUBLIC, 1))
    assert session.subscriptions == {}


def test_a_subscription_id_is_used_once_at_a_time() -> None:
    session = session_in(State.CONNECTED)
    session.receive(frame("SUBSCRIBE"))
    with pytest.raises(BadFrame, match="'s'"):
        session.receive(frame("SUBSCRIBE"))


def test_subscriptions_are_limited() -> None:
    session = session_in(State.CONNECTED)
    for key in "ab":
        session.receive(frame("SUBSCRIBE", ("destination", "/queue/q"), ("id", key)))
    with pytest.raises(SubscriptionsFull, match="2"):
        session.receive(frame("SUBSCRIBE", ("destination", "/queue/q"), ("id", "c")))


def test_stomp_1_0_may_name_a_subscription_by_its_destination() -> None:
    session = session_in(State.CONNECTED)
    session.version = "1.0"
    session.receive(frame("SUBSCRIBE", ("destination", "/queue/t.private.7")))
    request = session.receive(frame("UNSUBSCRIBE", ("destination", "/queue/t.private.7")))
    assert isinstance(request, Unsubscribe)
    assert request.destination == RoomQueue(7)


@pytest.mark.parametrize("version", ["1.1", "1.2"])
def test_later_versions_need_a_subscription_id(version: str) -> None:
    session = session_in(State.CONNECTED)
    session.version = version
    with pytest.raises(BadFrame, match="id"):
        session.receive(frame("SUBSCRIBE", ("destination", "/queue/x")))
