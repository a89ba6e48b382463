"""The classroom never meets a default: a school of 500 people behind one address, who all come back
at once after their network was away, computed from the table."""

from __future__ import annotations

from typing import Final

import pytest

from gateway.budget.budgets import most_of, rate_of
from gateway.budget.rank import Rank
from gateway.budget.table import ROOM_POSTS, TABLE, Budget, Form, Limit
from gateway.config import Limits

PEOPLE: Final = 500
#: Pages that one of them has open: a device or two, with a tab each.
TABS: Final = 2
#: Everybody's first dial comes to nothing.
TRIES: Final = 2
#: The public topic, what is asked of the hosts, and one more.
TOPICS: Final = 3
HOSTS: Final = 3
SOCKETS: Final = PEOPLE * TABS
#: Browsers open six connections each for the page before there is a socket.
BROWSER: Final = 6
#: A page of what was said meanwhile: a thousand messages of three hundred bytes.
MISSED: Final = 1000 * 300
#: A class logs in with one shared account.
CLASS: Final = 40
#: A pupil answers polls and claps as fast as fingers go, twice a second, for ten seconds.
TAPS: Final = 20
MESSAGE: Final = 500
#: Minutes.
LESSON: Final = 45
SCHOOL_DAYS: Final = 200
#: A class votes in its room so often in a lesson, in one lesson on four days of a week.
VOTES: Final = 5
LESSONS: Final = SCHOOL_DAYS * 4 // 5
#: What one key of the kept state and its message have in bytes.
ENTRY: Final = 400
#: The body of a vote, in bytes.
VOTE: Final = 100
#: A picture in a message, as large as that may be.
PICTURE: Final = 65_536

#: What is asked of each limit within a moment.
DEMAND: Final[dict[str, float]] = {
    "connections/user": TABS * TRIES,
    "connections/all": SOCKETS * TRIES,
    # Only those who send their token with CONNECT; the others are known by their cookies.
    "unknown_connections/address": SOCKETS,
    "unknown_connections/all": SOCKETS,
    # All of them with the login that stands in the page.
    "login_connections/address": SOCKETS * TRIES,
    "upgrades/address": SOCKETS * TRIES,
    "upgrades/user": TABS * TRIES,
    "http_connections/address": PEOPLE * BROWSER,
    "http_connections/all": PEOPLE * BROWSER,
    "http_connects/address": PEOPLE * BROWSER + SOCKETS * TRIES,
    "http_connects/user": TABS * BROWSER + TABS * TRIES,
    # CONNECT, the subscriptions (sixteen units more) and what a host acknowledges of a full hour.
    "frames/connection": 2 + TOPICS * 18 + 2 * 2000,
    "bytes_in/connection": 4096 + TOPICS * 200 + TAPS * MESSAGE,
    "subscriptions/connection": TOPICS + 1,
    "copies/connection": 1,
    "copies/user": TABS * TRIES,
    "dashboards/user": TABS,
    "dashboards/all": 10 * TABS,
    "backlog/user": TABS * TOPICS * MISSED,
    "backlog/all": SOCKETS * TOPICS * 100_000,
    "half_read/user": TABS * 65_536,
    "half_read/all": SOCKETS * 4096,
    # A host's pages at their private queues.
    "dials/user": TABS * TRIES,
    "broker_queues/user": 0,
    "broker_queues/all": 0,
    "broker_subscriptions/user": TABS * TRIES,
    "posts/user": TAPS,
    # While everybody claps, the bucket fills again.
    "room_posts/room": PEOPLE * TAPS - 10 * rate_of(ROOM_POSTS.limits[0], Limits()).per_second,
    "post_bytes/user": TABS * PICTURE,
    "post_bytes/room": PEOPLE * PICTURE,
    "waiting_posts/user": TAPS,
    "waiting_posts/all": PEOPLE * 3,
    "waiting_bytes/user": TAPS * MESSAGE,
    "waiting_bytes/all": PEOPLE * 3 * MESSAGE,
    # RabbitMQ is away for a whole lesson.
    "outbox/all": PEOPLE * 4 * LESSON,
    "outbox_bytes/all": PEOPLE * 10 * PICTURE,
    "bodies/user": TABS * 2 * PICTURE,
    "bodies/all": PEOPLE * PICTURE,
    "rooms/user": 20,
    # Six lessons a day, in a room each that is never closed.
    "open_rooms/user": 6 * SCHOOL_DAYS,
    "open_rooms/all": PEOPLE / CLASS * 6 * SCHOOL_DAYS,
    "member_changes/user": 2 * PEOPLE,
    # One in five mistypes, all within the same minute.
    "failed_logins/address": PEOPLE * 0.2,
    "user_logins/user": CLASS * TRIES,
    "waiting_logins/address": PEOPLE,
    "waiting_logins/all": PEOPLE,
    # Each looks at the room's name, enters, and some come twice.
    "joins/address": PEOPLE * 3,
    "joins/all": PEOPLE * 3,
    "entries/room": PEOPLE,
    # All behind one address, as at school.
    "guests/room": PEOPLE,
    "knocks/room": PEOPLE,
    # One in ten mistypes the code, all within the same minute, before anybody was right.
    "wrong_codes/address": PEOPLE * 0.1,
    "all_wrong_codes/all": PEOPLE * 0.1,
    # The poll, its votes and its result, and as many questions and hidden messages.
    "kept/room": 5 * VOTES * LESSONS,
    "kept/user": VOTES * LESSONS,
    "kept_bytes/room": CLASS * VOTES * LESSONS * VOTE,
    "kept_bytes/user": VOTES * LESSONS * VOTE,
    "state_reads/user": TOPICS * TABS,
    # Pages ask for one stream after the other; two reads take ten milliseconds.
    "state_reads/all": PEOPLE,
    # A host's pages want everybody's votes of the year.
    "state_bytes/user": TABS * CLASS * VOTES * LESSONS * ENTRY,
    # Of one lesson.
    "state_bytes/all": PEOPLE * TABS * 2 * (3 * VOTES + 2 * CLASS) * ENTRY,
    "reads/user": TOPICS * TABS,
    # Pages ask for one topic after the other; two reads take ten milliseconds.
    "reads/all": PEOPLE,
    "read_bytes/user": TABS * TOPICS * MISSED,
    "read_bytes/all": PEOPLE * TABS * TOPICS * MISSED,
    # A host takes the four tables and the page at once, the hosts of all classes at the bell.
    "exports/user": 5,
    "exports/all": PEOPLE / CLASS * HOSTS,
    "export_bytes/user": 5 * MISSED,
    "room_members/room": PEOPLE + HOSTS,
}

LIMITS: Final = {budget.met(limit): (budget, limit) for budget in TABLE for limit in budget.limits}


def for_participants(budget: Budget, limit: Limit) -> float:
    """The default, as far as it is not kept for hosts."""
    defaults = Limits()
    most = rate_of(limit, defaults).burst if budget.form is Form.RATE else most_of(limit, defaults)
    kept = Rank.PARTICIPANT / 100 if limit.hosts_first else 0.0
    return most * (1 - kept)


def test_the_demand_on_every_limit_is_known() -> None:
    assert DEMAND.keys() == LIMITS.keys()


@pytest.mark.parametrize("name", DEMAND)
def test_a_school_that_comes_back_at_once_meets_no_default(name: str) -> None:
    assert DEMAND[name] <= for_participants(*LIMITS[name])


def test_of_what_a_full_classroom_shares_something_is_left_for_its_teachers() -> None:
    for budget, limit in LIMITS.values():
        if limit.hosts_first and budget.form is Form.CAP:
            most = most_of(limit, Limits())
            assert most - for_participants(budget, limit) >= HOSTS
