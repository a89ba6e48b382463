"""A checker that objects to nothing proves nothing."""

from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count
from typing import Any

import pytest

from tests.chaos.checker import Row, Rule, Stream, Verdict, judge
from tests.chaos.journal import Event
from tests.chaos.schedule import Kind

PUBLIC, PRIVATE = Stream(1, "public"), Stream(1, "private")
OTHER = Stream(2, "public")


class Story:
    """A run in which all went well: rooms 1 and 2, a subscriber and a host of room 1, messages
    p1 … p9 and q1 … q9 (private) of room 1."""

    def __init__(self) -> None:
        self._time = count(1_800_000_000)
        self.history = {
            PUBLIC: [Row(seq, f"p{seq}") for seq in range(1, 10)],
            PRIVATE: [Row(seq, f"q{seq}") for seq in range(1, 10)],
            OTHER: [],
        }
        self.events: list[Event] = []
        self.tell("client", who="sub", kind="topic", room=1, audience="public")
        self.tell("client", who="host", kind="queue", room=1)
        for who in ("sub", "host"):
            self.tell("up", who=who, gateway=0)
        for stream in (PUBLIC, PRIVATE):
            for row in self.history[stream]:
                self.post(stream, row)
                self.hear("host", stream, row)
                if stream == PUBLIC:
                    self.hear("sub", stream, row)

    def tell(self, what: str, **fields: object) -> None:
        self.events.append({"t": float(next(self._time)), "what": what, **fields})

    def post(self, stream: Stream, row: Row) -> None:
        self.tell("attempt", id=row.id, room=stream.room, audience=stream.audience, gateway=0)
        self.tell("answer", id=row.id, gateway=0, status=201, seq=row.seq, took=0.1)

    def hear(self, who: str, stream: Stream, row: Row) -> None:
        self.tell(
            "message",
            who=who,
            room=stream.room,
            audience=stream.audience,
            seq=row.seq,
            id=row.id,
            sent="2026-11-23T05:00:00.000Z",
        )

    def heard(self, who: str, id: str) -> int:
        """The index of the event at which `who` receives it."""
        return next(
            index
            for index, event in enumerate(self.events)
            if (event["what"], event.get("who"), event.get("id")) == ("message", who, id)
        )

    def close(self, who: str, **fields: object) -> None:
        closed: dict[str, Any] = {"gateway": 0, "up": True, "own": False, "code": None, "why": ""}
        self.tell("down", who=who, **{**closed, **fields})

    def judged(self) -> Verdict:
        return judge(self.events, self.history)

    def broken(self) -> set[str]:
        """The rules that the checker finds broken."""
        return {violation.rule for violation in self.judged().violations}


@pytest.fixture
def story() -> Story:
    story = Story()
    assert story.broken() == set()
    return story


def drop(story: Story) -> None:
    del story.events[story.heard("sub", "p5")]


def drop_the_last(story: Story) -> None:
    del story.events[story.heard("sub", "p9")]


def double(story: Story) -> None:
    at = story.heard("sub", "p5")
    story.events.insert(at, story.events[at])


def double_much_later(story: Story) -> None:
    story.events.append(story.events[story.heard("sub", "p5")])


def swap(story: Story) -> None:
    one, other = story.heard("sub", "p5"), story.heard("sub", "p6")
    events = story.events
    events[one], events[other] = events[other], events[one]


def forge(story: Story) -> None:
    event = story.events[story.heard("sub", "p5")]
    event["id"] = "p6"


def repeat_after_reconnecting(story: Story) -> None:
    at = story.heard("sub", "p5")
    again = dict(story.events[at])
    story.close("sub", own=True)
    story.tell("up", who="sub", gateway=1)
    story.events[at + 1 : at + 1] = [story.events.pop(-2), story.events.pop(-1), again]


@pytest.mark.parametrize(
    "tamper",
    [drop, drop_the_last, double, double_much_later, swap, forge, repeat_after_reconnecting],
)
def test_a_subscriber_may_miss_repeat_and_swap_nothing(
    story: Story, tamper: Callable[[Story], None]
) -> None:
    tamper(story)
    assert Rule.FOLLOWED in story.broken()


def test_a_message_of_another_room_is_a_leak(story: Story) -> None:
    row = Row(1, "o1")
    story.history[OTHER].append(row)
    story.post(OTHER, row)
    assert story.broken() == set()
    story.hear("sub", OTHER, row)
    assert story.broken() == {Rule.FOREIGN}


def test_a_private_message_to_a_public_subscriber_is_a_leak(story: Story) -> None:
    story.hear("sub", PRIVATE, Row(1, "q1"))
    assert story.broken() == {Rule.FOREIGN}


def test_a_host_must_get_both_audiences_and_may_get_them_twice_and_in_any_order(
    story: Story,
) -> None:
    story.hear("host", PUBLIC, Row(3, "p3"))
    assert story.broken() == set()
    del story.events[story.heard("host", "q2")]
    assert story.broken() == {Rule.QUEUED}


def test_an_answered_post_must_be_in_the_history(story: Story) -> None:
    story.post(PUBLIC, Row(10, "lost"))
    assert story.broken() == {Rule.ANSWERED}


def test_an_unanswered_post_may_be_there_or_not(story: Story) -> None:
    story.tell("attempt", id="unanswered", room=1, audience="public", gateway=0)
    assert story.broken() == set()


def test_the_same_id_answered_with_two_seqs_is_an_error(story: Story) -> None:
    story.post(PUBLIC, Row(6, "p5"))
    assert story.broken() == {Rule.ANSWERED}


def test_a_post_stored_twice_is_an_error(story: Story) -> None:
    story.history[PUBLIC].append(Row(10, "p5"))
    assert story.broken() >= {Rule.ANSWERED, Rule.NUMBERED}


def test_a_hole_in_the_history_is_an_error(story: Story) -> None:
    del story.history[PUBLIC][4]
    assert Rule.NUMBERED in story.broken()


def test_a_message_that_nobody_posted_must_not_be_in_the_history(story: Story) -> None:
    story.history[OTHER].append(Row(1, "invented"))
    assert story.broken() == {Rule.NUMBERED}


def test_a_frame_that_breaks_the_contract_is_an_error(story: Story) -> None:
    story.tell("garbled", who="sub", why="no seq")
    assert story.broken() == {Rule.READABLE}


@pytest.mark.parametrize(
    ("kind", "who", "broken"),
    [
        (Kind.KILL_NODE, "sub", {Rule.KEPT_OPEN}),
        (Kind.HANG_NODE, "sub", {Rule.KEPT_OPEN}),
        (Kind.KILL_NODE, "host", {Rule.KEPT_OPEN}),
        (Kind.HANG_NODE, "host", {Rule.KEPT_OPEN}),
        (Kind.STOP_NODE, "host", {Rule.KEPT_OPEN}),
        (Kind.ALL_NODES_DOWN, "sub", {Rule.KEPT_OPEN}),
        (Kind.ALL_NODES_DOWN, "host", set()),
        (Kind.RESTART_POSTGRES, "sub", {Rule.KEPT_OPEN}),
        (Kind.RESTART_POSTGRES, "host", {Rule.KEPT_OPEN}),
        (Kind.FREEZE_POSTGRES, "sub", {Rule.KEPT_OPEN}),
        (Kind.FREEZE_POSTGRES, "host", {Rule.KEPT_OPEN}),
        (Kind.BREAK_POOLS, "host", {Rule.KEPT_OPEN}),
        (Kind.CUT_OFF_GATEWAY, "sub", {Rule.KEPT_OPEN}),
        (Kind.CUT_OFF_GATEWAY, "host", set()),
        (Kind.CLOCKS_APART, "host", {Rule.KEPT_OPEN}),
        (Kind.STALL_READERS, "sub", {Rule.KEPT_OPEN}),
        (Kind.KILL_GATEWAY, "sub", set()),
        (Kind.KILL_GATEWAY, "host", set()),
        (Kind.DRAIN_GATEWAY, "sub", {Rule.KEPT_OPEN}),
    ],
)
def test_whether_a_fault_may_close_a_socket_stands_in_the_table(
    story: Story, kind: Kind, who: str, broken: set[str]
) -> None:
    story.tell("begin", fault=0, kind=kind, target=0)
    story.close(who)
    assert story.broken() == broken


def test_a_socket_that_closes_while_nothing_is_broken_is_an_error(story: Story) -> None:
    story.tell("begin", fault=0, kind=Kind.KILL_GATEWAY, target=0)
    story.tell("recovered", fault=0, kind=Kind.KILL_GATEWAY, target=0)
    for _ in range(10):
        story.tell("lag", late=0.1)
    story.close("sub")
    assert story.broken() == {Rule.KEPT_OPEN}


def test_a_gateways_death_closes_no_socket_at_another(story: Story) -> None:
    story.tell("begin", fault=0, kind=Kind.KILL_GATEWAY, target=1)
    story.close("sub", gateway=0)
    assert story.broken() == {Rule.KEPT_OPEN}


def test_a_stalled_reader_may_be_told_so(story: Story) -> None:
    story.tell("begin", fault=0, kind=Kind.STALL_READERS, target=1)
    story.close("sub", code=4008)
    assert story.broken() == set()


@pytest.mark.parametrize("who", ["sub", "host"])
def test_clients_sent_away_by_a_drained_gateway_are_told_to_come_back(
    story: Story, who: str
) -> None:
    story.tell("begin", fault=0, kind=Kind.DRAIN_GATEWAY, target=0)
    story.close(who, code=1012)
    assert story.broken() == set()


@pytest.mark.parametrize("fields", [{"own": True}, {"up": False}])
def test_sockets_cut_by_the_client_and_those_never_open_were_not_closed(
    story: Story, fields: dict[str, bool]
) -> None:
    story.close("sub", **fields)
    assert story.broken() == set()


@pytest.mark.parametrize(
    ("kind", "broken"),
    [
        (Kind.ALL_NODES_DOWN, {Rule.ANSWERING}),
        (Kind.KILL_NODE, {Rule.ANSWERING}),
        (Kind.RESTART_POSTGRES, set()),
        (Kind.FREEZE_POSTGRES, set()),
        (Kind.KILL_GATEWAY, set()),
        (Kind.CUT_OFF_GATEWAY, {Rule.ANSWERING}),
        (Kind.CLOCKS_APART, {Rule.ANSWERING}),
    ],
)
@pytest.mark.parametrize("status", [None, 503])
def test_whether_a_post_may_fail_stands_in_the_table(
    story: Story, kind: Kind, broken: set[str], status: int | None
) -> None:
    story.tell("begin", fault=0, kind=kind, target=0)
    story.tell("attempt", id="p1", room=1, audience="public", gateway=0)
    story.tell("answer", id="p1", gateway=0, status=status, seq=None, took=0.1)
    assert story.broken() == broken


def test_delays_are_counted_under_the_fault_that_lasted_when_a_message_was_sent(
    story: Story,
) -> None:
    story.tell("begin", fault=0, kind=Kind.KILL_NODE, target=1)
    row = Row(10, "p10")
    story.history[PUBLIC].append(row)
    story.post(PUBLIC, row)
    sent = story.events[-1]["t"]
    for who in ("sub", "host"):
        story.hear(who, PUBLIC, row)
        story.events[-1] |= {"t": sent + 2.5, "sent": _rfc3339(sent)}
    costs = story.judged().costs[Kind.KILL_NODE]
    assert costs.topic_delays == [2.5]
    assert costs.queue_delays == [2.5]


@pytest.mark.parametrize(
    ("kind", "lasts", "took", "came", "broken"),
    [
        (Kind.HANG_NODE, 30, 0.1, 0.1, set()),
        (Kind.HANG_NODE, 30, 2.0, 0.1, {Rule.GOING_ON}),
        (Kind.HANG_NODE, 30, 0.1, 12.0, {Rule.GOING_ON}),
        (Kind.HANG_NODE, 3, 2.0, 12.0, set()),
        (Kind.ALL_NODES_DOWN, 30, 2.0, 12.0, set()),
    ],
)
def test_while_one_node_is_lost_for_long_most_must_be_as_quick_as_before(
    story: Story, kind: Kind, lasts: float, took: float, came: float, broken: set[str]
) -> None:
    story.tell("begin", fault=0, kind=kind, target=0)
    began = story.events[-1]["t"]
    for seq in range(10, 15):
        row = Row(seq, f"p{seq}")
        story.history[PUBLIC].append(row)
        story.post(PUBLIC, row)
        # Whatever comes at the fault's beginning, when nobody knows of it yet, is slow.
        slow = seq < 12
        story.events[-1] |= {"t": began + 0.1, "took": 2.0 if slow else took}
        for who in ("sub", "host"):
            story.hear(who, PUBLIC, row)
            story.events[-1] |= {"t": began + (2.0 if slow else came), "sent": _rfc3339(began)}
    story.tell("recovered", fault=0)
    story.events[-1]["t"] = began + lasts
    assert story.broken() == broken


def test_a_receipt_promises_as_much_as_an_answer(story: Story) -> None:
    """It names no seq."""
    story.tell("attempt", id="said", room=1, audience="public", gateway=0)
    story.tell("answer", id="said", gateway=0, status=201, seq=None, took=0.1)
    assert story.broken() == {Rule.ANSWERED}
    said = Row(10, "said")
    story.history[PUBLIC].append(said)
    for who in ("sub", "host"):
        story.hear(who, PUBLIC, said)
    assert story.broken() == set()
    story.history[PUBLIC].append(Row(11, "said"))
    assert Rule.ANSWERED in story.broken()


def look(story: Story, **fields: object) -> None:
    well: dict[str, object] = {
        "gateway": 0,
        "pid": 7,
        "memory": 90e6,
        "descriptors": 40,
        "connections": 20,
    }
    well |= {"tasks": 60, "outbox": 0, "database": {"db": 8e6, "db-wal": 4e6}, "failures": {}}
    well |= {"ready": True, "failing": [], "peers": 1}
    story.tell("sample", **{**well, **fields})


@pytest.mark.parametrize(
    ("kind", "said", "broken"),
    [
        (Kind.CUT_OFF_GATEWAY, {"failing": ["bus", "feed 0"], "ready": False}, set()),
        (Kind.CUT_OFF_GATEWAY, {"failing": ["bus"]}, {Rule.SAID}),
        (Kind.CUT_OFF_GATEWAY, {"failing": ["feed 0"], "ready": False}, {Rule.SAID}),
        (Kind.CUT_OFF_GATEWAY, {"failing": ["bus"], "ready": False, "gateway": 1}, {Rule.SAID}),
        (Kind.CLOCKS_APART, {"failing": ["clock"]}, set()),
        (Kind.CLOCKS_APART, {}, {Rule.SAID}),
        (Kind.CLOCKS_APART, {"failing": ["clock"], "ready": False}, {Rule.SAID}),
        (Kind.CLOCKS_APART, {"failing": ["clock"], "peers": 0}, {Rule.HEARD}),
        (Kind.CLOCKS_APART, {"failing": ["clock"], "peers": 0, "gateway": 1}, {Rule.HEARD}),
        (Kind.KILL_NODE, {}, set()),
    ],
)
def test_a_gateway_says_what_is_wrong_with_it_once_it_must_know(
    story: Story, kind: Kind, said: dict[str, object], broken: set[str]
) -> None:
    story.tell("begin", fault=0, kind=kind, target=0)
    look(story)
    story.tell("lag", late=0.1)
    story.events[-1]["t"] += 20
    look(story, **said)
    story.events[-1]["t"] += 20
    assert story.broken() == broken
    story.tell("end", fault=0)
    story.events[-1]["t"] += 20
    look(story)
    story.events[-1]["t"] += 20
    assert story.broken() == broken


@pytest.mark.parametrize(
    ("kind", "took", "broken"),
    [
        (Kind.CUT_OFF_GATEWAY, 0.9, set()),
        (Kind.CUT_OFF_GATEWAY, 5.0, {Rule.ENDED}),
        (Kind.CLOCKS_APART, None, {Rule.ENDED}),
        (Kind.FREEZE_POSTGRES, None, set()),
    ],
)
def test_an_answered_removal_ends_the_socket_at_whichever_gateway_it_is(
    story: Story, kind: Kind, took: float | None, broken: set[str]
) -> None:
    story.tell("begin", fault=0, kind=kind, target=0)
    story.tell("removed", who="leaver", orders=0, gateway=1, took=took, code=4003)
    assert story.broken() == broken


def test_delays_by_a_wrong_clock_are_not_counted(story: Story) -> None:
    story.tell("begin", fault=0, kind=Kind.CLOCKS_APART, target=0)
    row = Row(10, "p10")
    story.history[PUBLIC].append(row)
    story.post(PUBLIC, row)
    posted = story.events[-1]["t"]
    for who in ("sub", "host"):
        story.hear(who, PUBLIC, row)
        story.events[-1] |= {"t": posted + 1, "sent": _rfc3339(posted + 45)}
    costs = story.judged().costs[Kind.CLOCKS_APART]
    assert (costs.topic_delays, costs.queue_delays) == ([], [])


def test_what_is_unpublished_at_the_end_is_an_error(story: Story) -> None:
    look(story, outbox=3)
    look(story)
    assert story.broken() == set()
    look(story, outbox=1)
    look(story, gateway=1, pid=8)
    assert story.broken() == {Rule.PUBLISHED}


def test_a_gateway_that_was_killed_with_a_full_outbox_has_published_it_since(story: Story) -> None:
    look(story, outbox=3)
    look(story, pid=9)
    assert story.broken() == set()


def test_background_work_that_has_failed_is_an_error_also_in_a_process_that_is_gone(
    story: Story,
) -> None:
    look(story, failures={"AMQP link to r1": 0.0})
    assert story.broken() == set()
    look(story, failures={"AMQP link to r1": 2.0})
    look(story, pid=9)
    assert story.broken() == {Rule.WORKING}
    assert "AMQP link to r1 has failed 2 times" in story.judged().violations[0].text


@pytest.mark.parametrize(
    ("name", "at_first", "each_time"),
    [("memory", 90e6, 40e3), ("descriptors", 40, 0.01), ("tasks", 60, 0.04)],
)
def test_a_process_that_grows_all_the_time_is_an_error(
    story: Story, name: str, at_first: float, each_time: float
) -> None:
    for number in range(1300):
        look(story, **{name: at_first + each_time * number})
    assert story.broken() == {Rule.STEADY}
    assert len(story.judged().growths) == 1


def test_descriptors_of_websockets_are_no_growth_of_the_process(story: Story) -> None:
    for number in range(1300):
        look(story, descriptors=40 + number, connections=20 + number)
    assert story.broken() == set()


@pytest.mark.parametrize("name", ["connections", "descriptors", "tasks"])
def test_what_a_crowd_leaves_when_it_has_gone_is_an_error(story: Story, name: str) -> None:
    look(story)
    story.tell("crowd", standing=2000, subscribed=100, failed=0)
    look(story, connections=2020, descriptors=2040, tasks=2060)
    story.tell("crowd", standing=1990, subscribed=900, failed=3)
    look(story)
    assert story.broken() == set()
    assert "2000 sockets at a time, 900 subscribed in all, 3 failed" in story.judged().sizes[1]
    look(story, **{name: 100})
    assert story.broken() == {Rule.LEFT}


def test_a_write_ahead_log_that_stays_large_is_an_error(story: Story) -> None:
    look(story, database={"db": 8e6, "db-wal": 90e6})
    assert story.broken() == {Rule.STEADY}
    look(story, database={})
    assert story.broken() == set()


@pytest.mark.parametrize(
    ("name", "each_time"), [("queues", 0.02), ("connections", 0.04), ("memory", 200e3)]
)
def test_a_broker_that_grows_all_the_time_is_an_error(
    story: Story, name: str, each_time: float
) -> None:
    well = {"queues": 10, "connections": 8, "memory": 150e6}
    for _ in range(1300):
        story.tell("broker", **well)
    assert story.broken() == set()
    story = Story()
    for number in range(1300):
        story.tell("broker", **{**well, name: well[name] + each_time * number})
    assert story.broken() == {Rule.STEADY}


def _rfc3339(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat()
