"""The table of users in rooms by all claims; one of the gateways announces the changes."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.cluster.presence_table import Event, Kind, PresenceTable, message_id
from gateway.cluster.replica import Claim
from gateway.domain.room import MemberRole

EARLY, LATE = Claim(1.0, MemberRole.PARTICIPANT), Claim(2.0, MemberRole.PARTICIPANT)
GATEWAYS = ("north", "south", "east")


def news(present: PresenceTable) -> list[tuple[int, list[Event]]]:
    """The announcements that are due once the others know of the changes, too."""
    assert present.news() == []
    return present.news()


def said(present: PresenceTable) -> list[tuple[int, list[tuple[str, bool]]]]:
    return [
        (room, [(e.user, e.kind is Kind.JOIN) for e in events]) for room, events in news(present)
    ]


def test_a_user_on_two_gateways_comes_once_and_leaves_once() -> None:
    present = PresenceTable("north")
    present.put("north", (1, "hana"), EARLY)
    present.put("north", (1, "paul"), LATE)
    assert said(present) == [(1, [("hana", True), ("paul", True)])]
    present.put("elsewhere", (1, "paul"), EARLY)
    assert present.of(1) == {"hana": EARLY, "paul": EARLY}
    present.put("north", (1, "paul"), None)
    present.put("north", (1, "paul"), None)
    assert news(present) == []
    present.put("elsewhere", (1, "paul"), None)
    assert said(present) == [(1, [("paul", False)])]
    assert present.of(1) == {"hana": EARLY}


def test_a_user_who_comes_and_goes_in_one_moment_is_not_announced() -> None:
    present = PresenceTable("north")
    present.put("north", (1, "hana"), EARLY)
    present.put("north", (1, "paul"), EARLY)
    present.put("north", (1, "paul"), None)
    assert said(present) == [(1, [("hana", True)])]


def test_the_last_one_leaves_in_silence() -> None:
    present = PresenceTable("north")
    present.put("north", (1, "hana"), EARLY)
    news(present)
    present.put("north", (1, "hana"), None)
    assert news(present) == []
    assert present.of(1) == {}
    present.put("north", (1, "hana"), LATE)
    assert said(present) == [(1, [("hana", True)])]


def test_presence_announced_before_this_gateway_came_is_no_news() -> None:
    present = PresenceTable("north")
    present.put("south", (1, "hana"), EARLY, said=True)
    present.put("north", (1, "paul"), LATE)
    news = {user for _, events in said(present) for user, _ in events}
    assert "hana" not in news
    present.put("south", (1, "hana"), None)
    assert said(present) == [(1, [("hana", False)])]


def test_a_user_who_was_learnt_of_and_left_comes_as_news_again() -> None:
    present = PresenceTable("north")
    present.put("north", (1, "paul"), LATE)
    present.put("south", (1, "hana"), EARLY, said=True)
    present.put("south", (1, "hana"), None, said=True)
    assert said(present) == [(1, [("hana", False), ("paul", True)])]
    present.put("north", (1, "hana"), LATE)
    assert said(present) == [(1, [("hana", True)])]


def test_a_claim_that_is_withdrawn_before_it_was_news_is_none() -> None:
    present = PresenceTable("north")
    present.put("south", (1, "hana"), None, said=True)
    assert (present.of(1), news(present)) == ({}, [])


def test_with_a_gateway_go_those_who_were_only_there() -> None:
    present = PresenceTable("north")
    for gateway, room, user in (
        ("north", 1, "hana"),
        ("south", 1, "hana"),
        ("south", 1, "paul"),
        ("south", 2, "paul"),
        ("east", 3, "olga"),
    ):
        present.put(gateway, (room, user), EARLY)
    news(present)
    present.drop("south")
    assert said(present) == [(1, [("paul", False)])]
    assert [list(present.of(room)) for room in (1, 2, 3)] == [["hana"], [], ["olga"]]


def test_one_of_those_who_have_somebody_in_the_room_speaks() -> None:
    tables = [PresenceTable(name) for name in GATEWAYS]
    for room in range(50):
        for table in tables:
            for name in GATEWAYS[:2]:
                table.put(name, (room, f"{name}'s"), EARLY)
    spoken = [{room for room, _ in news(table)} for table in tables]
    assert spoken[0] | spoken[1] == set(range(50))
    assert not spoken[0] & spoken[1]
    assert all(spoken[:2]), "the rooms are shared among them"
    assert spoken[2] == set()


def test_a_gateway_whose_last_user_has_left_the_room_does_not_speak_there() -> None:
    table = PresenceTable("north")
    for room in range(50):
        table.put("south", (room, "paul"), EARLY)
        table.put("south", (room, "olga"), EARLY)
        table.put("north", (room, "hana"), EARLY)
        table.put("south", (room, "paul"), None)
        table.put("south", (room, "olga"), None)
    assert [room for room, _ in news(table)] == [*range(50)]


def test_of_a_room_that_everybody_has_left_nothing_is_kept() -> None:
    table = PresenceTable("north")
    table.put("north", (1, "hana"), EARLY)
    news(table)
    table.put("north", (1, "hana"), None)
    news(table)
    assert [len(kept) for kept in (table._rooms, table._gateways, table._said)] == [0, 0, 0]


def test_an_event_has_the_role_that_was_claimed() -> None:
    host = Claim(1.0, MemberRole.HOST)
    assert Event("ann", Kind.JOIN, host).role is MemberRole.HOST
    assert Event("ann", Kind.LEAVE, EARLY).role is MemberRole.PARTICIPANT


def test_the_same_events_have_the_same_id_and_others_another() -> None:
    events = [Event("ann", Kind.JOIN, EARLY), Event("bob", Kind.LEAVE, LATE)]
    again = [Event("ann", Kind.JOIN, EARLY), Event("bob", Kind.LEAVE, LATE)]
    assert message_id(1, events, 7.0) == message_id(1, again, 7.0)
    others = [
        message_id(2, events, 7.0),
        message_id(1, events[:1], 7.0),
        message_id(1, events[::-1], 7.0),
        message_id(1, [Event("ann", Kind.JOIN, LATE), events[1]], 7.0),
        message_id(1, [Event("ann", Kind.LEAVE, EARLY), events[1]], 7.0),
    ]
    assert len({message_id(1, events, 7.0), *others}) == 6


def test_who_has_another_role_is_told_of_with_the_new_one_each_time() -> None:
    table = PresenceTable("north")
    table.put("north", (1, "hana"), EARLY)
    news(table)
    ids = set()
    for now, role in enumerate([MemberRole.HOST, MemberRole.PARTICIPANT, MemberRole.HOST]):
        table.put("north", (1, "hana"), Claim(EARLY.since, role))
        ((room, events),) = news(table)
        assert (room, events) == (1, [Event("hana", Kind.ROLE, Claim(EARLY.since, role))])
        ids.add(message_id(room, events, float(now)))
        table.put("north", (1, "hana"), Claim(EARLY.since, role))
        assert news(table) == []
    assert len(ids) == 3


claims = st.lists(
    st.tuples(
        st.sampled_from(GATEWAYS),
        st.integers(1, 2),
        st.sampled_from(["ann", "bob"]),
        st.sampled_from([EARLY, LATE, None]),
        st.booleans(),
    ),
    max_size=40,
)


@given(claims)
def test_a_client_that_believes_the_announcements_knows_who_is_there(
    steps: list[tuple[str, int, str, Claim | None, bool]],
) -> None:
    tables = [PresenceTable(name) for name in GATEWAYS]
    rooms: dict[int, set[str]] = {1: set(), 2: set()}
    for gateway, room, user, claim, pause in steps:
        for table in tables:
            table.put(gateway, (room, user), claim)
        if pause:
            _hear(tables, rooms)
    _hear(tables, rooms)
    for room, users in rooms.items():
        there = set(tables[0].of(room))
        # The last one leaves in silence: nobody is there to hear it.
        assert there in (users, set())
        assert all(set(table.of(room)) == there for table in tables)


def _hear(tables: list[PresenceTable], rooms: dict[int, set[str]]) -> None:
    for table in tables:
        for room, events in news(table):
            for event in events:
                if event.kind is Kind.JOIN:
                    rooms[room].add(event.user)
                else:
                    rooms[room].remove(event.user)
    for room, users in rooms.items():
        if not tables[0].of(room):
            users.clear()
