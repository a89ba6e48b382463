"""Access rules: the destinations that each role may use."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.auth.access import AccessRules, Direction
from gateway.auth.patterns import parse
from gateway.config import Access, ConfigError

SUBSCRIBE, SEND = Direction.SUBSCRIBE, Direction.SEND


def rules(*, subscribe: tuple[str, ...] = (), send: tuple[str, ...] = ()) -> AccessRules:
    return AccessRules([Access(roles=("service",), subscribe=subscribe, send=send)])


def test_nothing_is_open_without_a_rule() -> None:
    access = AccessRules([])
    assert not access.opens({"admin", "host"}, SUBSCRIBE, "/queue/orders")
    assert not access.opens_everything({"admin", "host"}, SEND)
    assert access.roles == frozenset()


def test_a_rule_opens_to_its_roles_only() -> None:
    access = rules(subscribe=("/queue/orders.*",))
    assert access.opens({"x", "service"}, SUBSCRIBE, "/queue/orders.new")
    assert not access.opens({"x"}, SUBSCRIBE, "/queue/orders.new")
    assert not access.opens({"Service"}, SUBSCRIBE, "/queue/orders.new")
    assert not access.opens((), SUBSCRIBE, "/queue/orders.new")


def test_a_rule_opens_in_its_direction_only() -> None:
    access = rules(subscribe=("/queue/in",), send=("/queue/out",))
    assert access.opens({"service"}, SEND, "/queue/out")
    assert not access.opens({"service"}, SEND, "/queue/in")
    assert not access.opens({"service"}, SUBSCRIBE, "/queue/out")


def test_rules_of_several_tables_add_up() -> None:
    access = AccessRules(
        [
            Access(roles=("a", "b"), subscribe=("/topic/x",)),
            Access(roles=("b",), subscribe=("/topic/y", "/topic/z"), send=("**",)),
        ]
    )
    assert access.opens({"b"}, SUBSCRIBE, "/topic/x")
    assert access.opens({"b"}, SUBSCRIBE, "/topic/z")
    assert access.opens({"a"}, SUBSCRIBE, "/topic/x")
    assert not access.opens({"a"}, SUBSCRIBE, "/topic/y")
    assert access.roles == {"a", "b"}


def test_a_request_is_open_only_whole() -> None:
    access = rules(subscribe=("/topic/news.*",))
    assert access.opens({"service"}, SUBSCRIBE, "/topic/news.*")
    assert not access.opens({"service"}, SUBSCRIBE, "/topic/news.#")
    assert not access.opens({"service"}, SUBSCRIBE, "/topic/#")


def test_a_destination_that_cannot_be_read_is_not_open() -> None:
    access = rules(subscribe=("/queue/#",))
    for destination in ("/queue/a%2fb", "orders", "/queue/a\0", "/queue/a/b", ""):
        assert not access.opens({"service"}, SUBSCRIBE, destination)


def test_two_stars_open_everything_in_their_direction() -> None:
    access = rules(subscribe=("**",))
    assert access.opens({"service"}, SUBSCRIBE, "whatever this is")
    assert access.opens_everything({"service", "x"}, SUBSCRIBE)
    assert not access.opens_everything({"service"}, SEND)
    assert not access.opens_everything({"x"}, SUBSCRIBE)
    assert not access.opens({"service"}, SEND, "/queue/a")
    assert access.roles == {"service"}


def test_only_a_rule_that_covers_them_opens_the_rooms_names() -> None:
    name = "/topic/acdm.mo.interact.private.42"
    assert not rules(subscribe=("/topic/news.#",)).opens({"service"}, SUBSCRIBE, name)
    assert rules(subscribe=("/topic/#",)).opens({"service"}, SUBSCRIBE, name)


@pytest.mark.parametrize(
    ("table", "text"),
    [
        ({"subscribe": ("orders",)}, "access.0.subscribe: 'orders': must start with"),
        ({"send": ("/queue/a/b",)}, "access.0.send: '/queue/a/b': a slash"),
        ({"send": ("/queue/**",)}, "stand alone between dots"),
        ({"send": ("/topic/a*.b",)}, "stand alone between dots"),
        ({"send": ("/topic/b.#a",)}, "stand alone between dots"),
        ({"subscribe": ("/temp-queue/#",)}, "must start with /topic/, "),
        ({"subscribe": ("/reply-queue/x",)}, "can only be sent to"),
    ],
)
def test_a_rule_that_no_destination_can_be_is_refused_at_start(
    table: dict[str, Any], text: str
) -> None:
    with pytest.raises(ConfigError, match=r"^access") as caught:
        AccessRules([Access(roles=("service",), **table)])
    assert text in str(caught.value)


def test_a_reply_queue_can_be_opened_for_answers_and_a_temp_queue_by_two_stars_only() -> None:
    access = rules(subscribe=("/queue/#", "/topic/#"), send=("/reply-queue/amq.*",))
    assert access.opens({"service"}, SEND, "/reply-queue/amq.gen-1")
    assert not access.opens({"service"}, SUBSCRIBE, "/temp-queue/answers")
    assert rules(subscribe=("**",)).opens({"service"}, SUBSCRIBE, "/temp-queue/answers")


def test_a_rule_holds_in_the_virtual_hosts_that_it_names() -> None:
    tables = [
        Access(roles=("clerk",), subscribe=("/topic/a",)),
        Access(roles=("clerk",), vhosts=("billing",), subscribe=("/topic/b",), send=("**",)),
        Access(roles=("clerk",), vhosts=("billing", "school"), subscribe=("/topic/c",)),
    ]
    rules = AccessRules(tables, home="school")
    opened = {
        (vhost, name)
        for vhost in (None, "billing", "school", "other")
        for name in "abc"
        if rules.opens(["clerk"], Direction.SUBSCRIBE, f"/topic/{name}", vhost=vhost)
    }
    assert opened == {(None, "a"), (None, "c"), ("billing", "b"), ("billing", "c")}
    assert rules.opens_everything(["clerk"], Direction.SEND, vhost="billing")
    assert not rules.opens_everything(["clerk"], Direction.SEND)
    assert rules.roles == {"clerk"}


def test_a_rule_says_for_its_roles_that_each_subscriber_has_a_relay() -> None:
    access = AccessRules(
        [
            Access(roles=("a", "b"), subscribe=("/topic/#",), shared=True),
            Access(roles=("b",), subscribe=("/topic/own.*",), shared=False),
            Access(roles=("c",), subscribe=("**",), shared=False),
        ]
    )
    own, other = parse("/topic/own.x"), parse("/topic/other.x")
    assert access.shares({"a"}, own)
    assert access.shares({"b"}, other)
    assert not access.shares({"a", "b"}, own)
    assert not access.shares({"c"}, other)
    access.replace(AccessRules([]))
    assert access.shares({"b"}, own)
