"""The answers to RabbitMQ: rooms by membership, everything else by the access rules."""

from __future__ import annotations

import asyncio
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.topology import Topology
from gateway.auth.access import AccessRules
from gateway.auth.broker_auth import BrokerAuth, role_tag, roles_in_tags
from gateway.auth.passcodes import Passcodes
from gateway.auth.permissions import Permissions
from gateway.auth.shared_secret import SharedSecret
from gateway.config import Access
from gateway.domain.identity import Identity
from gateway.domain.room import MemberRole, Membership
from gateway.errors import StoreUnavailable
from tests.fake_clock import FakeClock

MEMBERS = {"host": MemberRole.HOST, "participant": MemberRole.PARTICIPANT}
PUBLIC, PRIVATE = "acdm.mo.interact.public.1", "acdm.mo.interact.private.1"


class FakeMemberships:
    """Room 1 is open, room 2 closed, room 4 out of reach; there is no other."""

    async def membership(self, room: int, user: str) -> Membership | None:
        if room == 4:
            raise StoreUnavailable("away")
        if room not in (1, 2):
            return None
        return Membership(is_open=room == 1, role=MEMBERS.get(user))


def role(name: str, *, subscribe: tuple[str, ...] = (), send: tuple[str, ...] = ()) -> Access:
    return Access(roles=(name,), subscribe=subscribe, send=send)


ACCESS = AccessRules(
    [
        role("topics", subscribe=("/topic/news.*",), send=("/topic/news.in.#",)),
        role("logs", subscribe=("/exchange/logs/a.#",), send=("/exchange/logs/b",)),
        role("orders", subscribe=("/queue/orders.*",)),
        role("shop", send=("/queue/orders.*",)),
        role("reader", subscribe=("/amq/queue/ready.#",)),
        role("writer", send=("/amq/queue/ready.#",)),
        role("answerer", send=("/reply-queue/#",)),
        role("spy", subscribe=("/topic/#",)),
        role("listener", subscribe=("**",)),
        role("speaker", send=("**",)),
        role("All Rights", subscribe=("**",), send=("**",)),
    ]
)
CLOCK = FakeClock()
PASSCODES = Passcodes(SharedSecret("s" * 32), clock=CLOCK)
AUTH = BrokerAuth(
    PASSCODES, Permissions(FakeMemberships(), ACCESS), ACCESS, topology=Topology(), vhost="school"
)


def ask(question: str, **fields: str | bytes | list[bytes]) -> str:
    def raw(value: str | bytes | list[bytes]) -> list[bytes]:
        if isinstance(value, list):
            return value
        return [value.encode() if isinstance(value, str) else value]

    return asyncio.run(AUTH.answer(question, {name: raw(v) for name, v in fields.items()}))


def passcode(user: str, *roles: str) -> str:
    return PASSCODES.issue(Identity(user, frozenset(roles), math.inf))


def allowed(question: str, user: str, *roles: str, **fields: str) -> bool:
    tags = " ".join(["administrator", *(role_tag(name) for name in roles)])
    answer = ask(question, username=user, vhost="school", tags=tags, ip="127.0.0.1", **fields)
    assert answer in ("allow", "deny")
    return answer == "allow"


def queue(permission: str, name: str, user: str, *roles: str) -> bool:
    fields = {"resource": "queue", "name": name, "permission": permission}
    return allowed("resource", user, *roles, **fields)


def exchange(permission: str, name: str, user: str, *roles: str) -> bool:
    fields = {"resource": "exchange", "name": name, "permission": permission}
    return allowed("resource", user, *roles, **fields)


def topic(permission: str, key: str, user: str, *roles: str, name: str = "amq.topic") -> bool:
    fields = {"resource": "topic", "name": name, "permission": permission, "routing_key": key}
    return allowed("topic", user, *roles, **fields)


# user


def test_a_signed_passcode_logs_its_user_in() -> None:
    assert ask("user", username="김하나", password=passcode("김하나"), vhost="school") == "allow"


def test_the_roles_that_matter_travel_as_tags() -> None:
    signed = passcode("kim", "admin", "All Rights", "spy", "offline_access", "administrator")
    answer = ask("user", username="kim", password=signed)
    assert answer == "allow role-%41ll%20%52ights role-admin role-spy"
    assert roles_in_tags(answer.lower()) == {"admin", "All Rights", "spy"}


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"username": "kim"},
        {"password": passcode("kim")},
        {"username": "", "password": passcode("kim")},
        {"username": "lee", "password": passcode("kim")},
        {"username": "kim", "password": ""},
        {"username": "kim", "password": "guest"},
        {"username": "kim", "password": b"\xff"},
        {"username": b"\xff", "password": passcode("kim")},
        {"username": "k\0im", "password": passcode("k\0im")},
        {"username": "kim", "password": [passcode("kim").encode()] * 2},
        {"username": [b"kim", b"lee"], "password": passcode("kim")},
        {"username": "kim", "password": []},
    ],
)
def test_any_other_login_is_denied(fields: dict[str, str | bytes | list[bytes]]) -> None:
    assert ask("user", **fields) == "deny"


def test_a_passcode_that_has_ended_is_denied() -> None:
    signed = passcode("kim")
    CLOCK.now += 100
    assert ask("user", username="kim", password=signed) == "deny"


# vhost


def test_only_the_configured_vhost_is_open() -> None:
    assert ask("vhost", username="kim", vhost="school", ip="10.0.0.1", tags="") == "allow"
    assert ask("vhost", username="kim", vhost="/", ip="10.0.0.1", tags="") == "deny"
    assert ask("vhost", username="kim", vhost="School") == "deny"
    assert ask("vhost", username="kim") == "deny"
    assert ask("vhost", vhost="school") == "deny"
    assert ask("vhost", username="", vhost="school") == "deny"


# what makes no sense


@pytest.mark.parametrize("question", ["user", "vhost", "resource", "topic", "", "USER", "../x"])
def test_a_question_without_parameters_is_denied(question: str) -> None:
    assert ask(question) == "deny"


FULL = {
    "username": "x",
    "vhost": "school",
    "tags": role_tag("All Rights"),
    "resource": "topic",
    "name": "amq.topic",
    "permission": "read",
    "routing_key": "a",
}


def test_the_full_question_is_allowed() -> None:
    assert ask("topic", **FULL) == "allow"
    assert ask("resource", **{**FULL, "resource": "queue"}) == "allow"


@pytest.mark.parametrize("missing", ["username", "vhost", "tags", "name", "permission"])
def test_a_missing_parameter_is_denied(missing: str) -> None:
    fields = {name: value for name, value in FULL.items() if name != missing}
    assert ask("topic", **fields) == "deny"
    assert ask("resource", **{**fields, "resource": "queue"}) == "deny"


@pytest.mark.parametrize(
    ("question", "change"),
    [
        ("topic", {"vhost": "/"}),
        ("topic", {"permission": "configure"}),
        ("topic", {"permission": ""}),
        ("topic", {"permission": "READ"}),
        ("topic", {"tags": "role-%ff"}),
        ("resource", {"resource": "topic"}),
        ("resource", {"resource": ""}),
        ("resource", {"resource": "queue", "vhost": "/"}),
        ("resource", {"resource": "queue", "permission": "delete"}),
        ("resource", {"resource": "queue", "username": ""}),
    ],
)
def test_a_parameter_of_no_meaning_is_denied(question: str, change: dict[str, str]) -> None:
    assert ask(question, **{**FULL, **change}) == "deny"


def test_a_store_that_is_away_is_a_denial(caplog: pytest.LogCaptureFixture) -> None:
    assert not topic("read", "acdm.mo.interact.public.4", "host")
    assert not queue("read", "acdm.mo.interact.private.4", "host")
    assert "away" in caplog.text


# rooms


def test_members_read_the_public_topic_and_hosts_the_private_one() -> None:
    assert topic("read", PUBLIC, "host")
    assert topic("read", PUBLIC, "participant")
    assert topic("read", PRIVATE, "host")
    assert not topic("read", PRIVATE, "participant")
    for key in (PUBLIC, PRIVATE):
        assert not topic("read", key, "outsider")
        assert not topic("read", key, "outsider", "topics", "logs", "orders", "reader")
        assert topic("read", key, "outsider", "admin")


@pytest.mark.parametrize("room", ["2", "3"])
def test_a_closed_and_an_unknown_room_are_read_by_nobody(room: str) -> None:
    for audience in ("public", "private"):
        assert not topic("read", f"acdm.mo.interact.{audience}.{room}", "host", "admin")
    assert not queue("read", f"acdm.mo.interact.private.{room}", "host", "admin")


@pytest.mark.parametrize("permission", ["read", "write"])
@pytest.mark.parametrize("more", ["", ".echo-1f", ".*", ".#"])
def test_messages_among_gateways_are_open_to_nobody(permission: str, more: str) -> None:
    gateways = f"acdm.mo.interact.gateways{more}"
    assert not topic(permission, gateways, "olga", "All Rights", "admin")
    assert topic(permission, gateways, "olga", "All Rights", name="another.exchange")


@pytest.mark.parametrize(
    "key",
    [
        "#",
        "*",
        "acdm.#",
        "acdm.mo.interact.*.1",
        "acdm.mo.interact.public.*",
        "acdm.mo.interact.public.#",
        "acdm.mo.interact.public.1.#",
        "#." + PUBLIC,
        "*.mo.interact.public.1",
        "acdm.mo.interact.public.01",
        "acdm.mo.interact.public.１",
        "other.public.1",
        "",
    ],
)
def test_membership_opens_no_wildcard_and_no_other_key(key: str) -> None:
    assert not topic("read", key, "host", "admin")


def test_a_rooms_key_is_a_rooms_on_its_own_exchange_only() -> None:
    assert not topic("read", PUBLIC, "host", name="amq.fanout")
    assert not topic("read", PUBLIC, "host", "admin", name="")


def test_nobody_writes_to_a_room() -> None:
    for user, roles in (("host", ()), ("host", ("admin",)), ("host", ("topics", "shop", "writer"))):
        assert not topic("write", PUBLIC, user, *roles)
        assert not topic("write", PRIVATE, user, *roles)
        assert not queue("write", PRIVATE, user, *roles)
    assert not exchange("write", "amq.topic", "host", "admin")
    assert not exchange("write", "amq.default", "host", "admin")


def test_the_private_queue_is_read_by_hosts_and_declared_by_nobody() -> None:
    assert queue("read", PRIVATE, "host")
    assert queue("read", PRIVATE, "outsider", "admin")
    assert not queue("read", PRIVATE, "participant")
    assert not queue("read", PRIVATE, "outsider", "orders", "reader", "spy")
    assert not queue("configure", PRIVATE, "host", "admin")
    assert not queue("write", PRIVATE, "host", "admin")
    assert not queue("read", PUBLIC, "host")


def test_anyone_who_is_logged_in_may_follow_topics_with_a_queue_for_it() -> None:
    for permission in ("configure", "read", "write"):
        assert queue(permission, "stomp-subscription-AbC", "outsider")
        assert not queue(permission, "x-stomp-subscription-AbC", "outsider")
    assert exchange("read", "amq.topic", "outsider")
    assert not exchange("configure", "amq.topic", "outsider")
    assert not exchange("read", "amq.fanout", "outsider", "admin")
    assert not queue("read", "amq.gen-AbC", "outsider", "admin")


# access rules


def test_topic_rules() -> None:
    assert topic("read", "news.kr", "x", "topics")
    assert topic("read", "news.*", "x", "topics")
    assert not topic("read", "news.#", "x", "topics")
    assert not topic("read", "news.kr", "x")
    assert not topic("read", "news.kr", "x", "topics", name="logs")
    assert topic("write", "news.in.a.b", "x", "topics")
    assert not topic("write", "news.kr", "x", "topics")
    assert exchange("write", "amq.topic", "x", "topics")
    assert not exchange("write", "amq.topic", "x", "logs", "shop")
    assert not exchange("write", "logs", "x", "topics")


def test_exchange_rules() -> None:
    assert exchange("read", "logs", "x", "logs")
    assert not exchange("read", "other", "x", "logs")
    assert topic("read", "a.b", "x", "logs", name="logs")
    assert not topic("read", "b", "x", "logs", name="logs")
    assert not topic("read", "a.b", "x", "logs")
    assert exchange("write", "logs", "x", "logs")
    assert topic("write", "b", "x", "logs", name="logs")
    assert not topic("write", "a", "x", "logs", name="logs")
    assert not exchange("configure", "logs", "x", "logs")


def test_queue_rules_declare_too() -> None:
    assert queue("read", "orders.new", "x", "orders")
    assert queue("configure", "orders.new", "x", "orders")
    assert not queue("write", "orders.new", "x", "orders")
    assert not queue("read", "orders", "x", "orders")
    assert not exchange("write", "amq.default", "x", "orders")
    assert queue("configure", "orders.new", "x", "shop")
    assert not queue("read", "orders.new", "x", "shop")
    assert exchange("write", "amq.default", "x", "shop")


def test_rules_for_existing_queues_do_not_declare() -> None:
    assert queue("read", "ready.a.b", "x", "reader")
    assert not queue("configure", "ready.a.b", "x", "reader", "writer")
    assert exchange("write", "amq.default", "x", "writer")
    assert not exchange("write", "amq.default", "x", "reader")
    assert not topic("write", "ready.a", "x", "writer", name="amq.default")


def test_rules_for_reply_queues_send_by_the_default_exchange() -> None:
    assert exchange("write", "amq.default", "x", "answerer")
    for permission in ("configure", "read", "write"):
        assert not queue(permission, "amq.gen-AbC", "x", "answerer", "orders", "reader")


def test_a_rule_that_covers_the_rooms_is_the_operators_word() -> None:
    assert topic("read", PRIVATE, "outsider", "spy")
    assert topic("read", "#", "outsider", "spy")
    assert not topic("write", PRIVATE, "outsider", "spy")


def test_two_stars_open_one_direction_or_both() -> None:
    for permission in ("configure", "read", "write"):
        assert queue(permission, "any", "x", "All Rights")
        assert queue(permission, "any", "x", "listener")
    assert exchange("read", "any", "x", "listener")
    assert not exchange("write", "any", "x", "listener")
    assert topic("read", "#", "x", "listener", name="any")
    assert not topic("write", "a", "x", "listener", name="any")
    assert exchange("write", "any", "x", "speaker")
    assert exchange("write", "amq.default", "x", "speaker")
    assert queue("configure", "any", "x", "speaker")
    assert not queue("read", "any", "x", "speaker")
    assert not queue("write", "any", "x", "speaker")
    assert topic("write", PRIVATE, "x", "All Rights")
    assert exchange("write", "amq.topic", "x", "All Rights")


# tags


@given(st.frozensets(st.text(st.characters(exclude_categories=["Cs"]), min_size=1)))
def test_any_role_survives_the_way_through_rabbitmq(roles: frozenset[str]) -> None:
    tags = " ".join(role_tag(name) for name in roles)
    assert roles_in_tags(tags.lower()) == roles


def test_no_role_becomes_a_tag_that_means_something_to_rabbitmq() -> None:
    assert role_tag("administrator") == "role-administrator"
    assert roles_in_tags("administrator management role-a") == {"a"}


BILLING = BrokerAuth(
    PASSCODES,
    Permissions(FakeMemberships(), ACCESS),
    AccessRules(
        [
            Access(roles=("clerk",), vhosts=("billing",), subscribe=("/topic/#",), send=("**",)),
            Access(roles=("spy",), subscribe=("/topic/#",)),
        ],
        home="school",
    ),
    topology=Topology(),
    vhost="school",
    vhosts=["billing"],
)


def ask_in(vhost: str, question: str, tags: str = "", **fields: str) -> str:
    given = {"username": "host", "vhost": vhost, "tags": tags, **fields}
    return asyncio.run(BILLING.answer(question, {n: [v.encode()] for n, v in given.items()}))


def test_a_virtual_host_that_clients_may_choose_is_open_and_no_other() -> None:
    assert [ask_in(name, "vhost") for name in ("school", "billing", "other", "/")] == [
        "allow",
        "allow",
        "deny",
        "deny",
    ]


def read_topic(vhost: str, key: str, *roles: str) -> str:
    return ask_in(
        vhost,
        "topic",
        " ".join(role_tag(role) for role in roles),
        resource="topic",
        name="amq.topic",
        permission="read",
        routing_key=key,
    )


def test_a_membership_opens_nothing_in_another_virtual_host() -> None:
    assert read_topic("school", PUBLIC) == "allow"
    assert read_topic("billing", PUBLIC) == "deny"
    queue = {"resource": "queue", "name": PRIVATE, "permission": "read"}
    assert ask_in("school", "resource", **queue) == "allow"
    assert ask_in("billing", "resource", **queue) == "deny"


def test_a_rule_opens_only_its_own_virtual_host() -> None:
    assert read_topic("billing", "invoices", "clerk") == "allow"
    assert read_topic("billing", PUBLIC, "clerk") == "allow"
    assert read_topic("school", "invoices", "clerk") == "deny"
    assert read_topic("school", "invoices", "spy") == "allow"
    assert read_topic("billing", "invoices", "spy") == "deny"
    exchange = {"resource": "exchange", "name": "any", "permission": "write"}
    assert ask_in("billing", "resource", role_tag("clerk"), **exchange) == "allow"
    assert ask_in("school", "resource", role_tag("clerk"), **exchange) == "deny"
