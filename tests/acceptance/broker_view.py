"""The cluster seen without the gateway: pika and the management API as independent witnesses."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar
from urllib.parse import quote

import pika
from pika.adapters.blocking_connection import BlockingChannel

from broker.management.versions import read_version
from devenv import rabbitmq
from devenv.broker_node import Node
from devenv.cluster import Cluster

EXCHANGE = "amq.topic"
_TIMEOUT = 20.0
T = TypeVar("T")


def wait_for(
    probe: Callable[[], T], *, wanted: Callable[[T], bool] = bool, within: float = _TIMEOUT
) -> T:
    """The result of `probe` as soon as it is `wanted`; fails after `within` seconds."""
    deadline = time.monotonic() + within
    while not wanted(found := probe()):
        assert time.monotonic() < deadline, f"still {found!r} after {within:g} s"
        time.sleep(0.05)
    return found


@contextmanager
def amqp(cluster: Cluster, node: Node | None = None) -> Iterator[BlockingChannel]:
    """A channel of the administrator's."""
    address = node or cluster.node(3)
    parameters = pika.ConnectionParameters(
        "127.0.0.1",
        address.amqp_port,
        credentials=pika.PlainCredentials(cluster.admin.name, cluster.admin.password),
    )
    with pika.BlockingConnection(parameters) as connection:
        yield connection.channel()


class Witness:
    """Hears everything that is published to `amq.topic` under a routing key (`#`: everything), but
    what gateways say to each other."""

    def __init__(self, channel: BlockingChannel, key: str = "#") -> None:
        self._channel = channel
        self.queue = channel.queue_declare("", exclusive=True).method.queue
        channel.queue_bind(self.queue, EXCHANGE, key)

    def heard(self) -> list[tuple[str, pika.BasicProperties, bytes]]:
        """Routing key, properties and body of all that was published before this call."""
        return list(self._until(b"the end of what was heard"))

    def hear(self, count: int) -> list[tuple[str, pika.BasicProperties, bytes]]:
        """The next so many messages; waits for them."""
        found: list[tuple[str, pika.BasicProperties, bytes]] = []
        for method, properties, body in self._channel.consume(
            self.queue, auto_ack=True, inactivity_timeout=_TIMEOUT
        ):
            assert method is not None, f"only {len(found)} of {count} messages came"
            if ".gateways" in method.routing_key:
                continue
            found.append((method.routing_key, properties, body))
            if len(found) == count:
                break
        return found

    def publish(self, key: str, body: bytes) -> None:
        """As any other producer may."""
        self._channel.basic_publish(EXCHANGE, key, body)

    def _until(self, sentinel: bytes) -> Iterator[tuple[str, pika.BasicProperties, bytes]]:
        # Behind everything else in the queue, so whatever was routed to it comes before.
        self._channel.basic_publish("", self.queue, sentinel)
        while True:
            ((key, properties, body),) = self.hear(1)
            if body == sentinel and not key.startswith("acdm"):
                return
            yield key, properties, body


@contextmanager
def witness(cluster: Cluster, key: str = "#") -> Iterator[Witness]:
    with amqp(cluster) as channel:
        yield Witness(channel, key)


def write_down(cluster: Cluster) -> None:
    """Let a queue that was declared just now survive a kill -9 of all nodes.

    RabbitMQ 3.10 keeps two things in memory for a while. Mnesia's log, with the queue itself, is
    written within two seconds: a queue that is lost with it is declared again, empty, by whoever
    publishes to it. The names of a quorum queue's members are written every three minutes: a node
    that is killed before knows nothing of its member's log, and with two such members the queue
    never has a leader again.
    """
    for node in cluster.nodes:
        # RabbitMQ 4.3 has no Mnesia.
        node.control("eval", "catch mnesia:sync_log(), [dets:sync(Table) || Table <- dets:all()].")


def on_khepri() -> bool:
    """Whether RabbitMQ keeps its metadata in Khepri: since 4.3 always, before it had Mnesia."""
    return read_version(rabbitmq.version()) >= (4, 3)


def forget_feeds(node: Node) -> None:
    """Let a node route to no queue but the private ones, though it goes on working: as one does
    that has lost the others and has not noticed it.

    Each node routes by tables of its own. Those of Khepri can be written only by the process that
    made them.
    """
    tables = (
        'lists:prefix("rabbit_khepri_topic_binding", atom_to_list(T))'
        if on_khepri()
        else "T =:= rabbit_topic_trie_binding"
    )
    lines = (
        "Named = fun F({resource, _, Kind, Name}) -> [{Kind, Name}];"
        " F(Tuple) when is_tuple(Tuple) -> F(tuple_to_list(Tuple));"
        " F([H | T]) -> F(H) ++ F(T);"
        " F(_) -> [] end",
        "Has = fun(Name, Part) -> binary:match(Name, Part) =/= nomatch end",
        # A feed's own exchange stands before its queue.
        "Mine = fun(B) -> lists:any(fun"
        ' ({queue, Queue}) -> not Has(Queue, <<"interact.private.">>);'
        ' ({exchange, Exchange}) -> Has(Exchange, <<"interact.feed.">>) end, Named(B)) end',
        f"Tables = [T || T <- ets:all(), is_atom(T), {tables}]",
        "Forget = fun(T) -> Found = [B || B <- ets:tab2list(T), Mine(B)],"
        " Delete = fun(State) -> [ets:delete_object(T, B) || B <- Found], State end,"
        " case ets:info(T, protection) of public -> Delete(none);"
        " _ -> sys:replace_state(ets:info(T, owner), Delete) end, length(Found) end",
        "lists:sum([Forget(T) || T <- Tables]).",
    )
    assert int(node.control("eval", ", ".join(lines))) > 0, "there was no feed to forget"


@contextmanager
def metadata_held(node: Node) -> Iterator[None]:
    """Meanwhile, a minute at most, the cluster makes and deletes no queue and no binding; all else
    works."""
    if on_khepri():
        # Its process, not its node: so no other one becomes the leader.
        leader = "{ok, _, Leader} = ra:members({rabbitmq_metadata, node()})"
        node.control(
            "eval",
            f"{leader}, ok = sys:suspend(Leader), spawn(fun() -> register(metadata_holder, self()),"
            " receive release -> ok after 60000 -> ok end, sys:resume(Leader) end), ok.",
        )
    else:
        tables = "rabbit_queue, rabbit_durable_queue, rabbit_route, rabbit_semi_durable_route"
        hold = (
            "register(metadata_holder, self()),"
            f" mnesia:transaction(fun() -> [mnesia:write_lock_table(T) || T <- [{tables}]],"
            " Parent ! held, receive release -> ok after 60000 -> ok end end)"
        )
        node.control(
            "eval",
            f"Parent = self(), spawn(fun() -> {hold} end),"
            " receive held -> ok after 10000 -> error(not_held) end.",
        )
    try:
        yield
    finally:
        node.control("eval", "metadata_holder ! release.")


def cut_feeds(cluster: Cluster) -> None:
    """Close the connections of all gateways' feeds, as an operator may."""
    found = _management(cluster, "/api/connections?columns=name,user_provided_name")
    own = [each["name"] for each in found if ", feed " in str(each.get("user_provided_name"))]
    for name in own:
        cluster.node(1).management("DELETE", f"/api/connections/{quote(name)}", cluster.admin)
    assert len(own) >= 2, found


def waiting(cluster: Cluster, queue: str) -> int:
    """How many messages a queue has ready."""
    with amqp(cluster) as channel:
        return int(channel.queue_declare(queue, passive=True).method.message_count)


def max_length(cluster: Cluster, queue: str) -> object:
    """How many messages the queue may hold by a policy."""
    found = _management(cluster, "/api/queues?columns=name,effective_policy_definition")
    [of_queue] = [each for each in found if each["name"] == queue]
    return dict(of_queue.get("effective_policy_definition") or {}).get("max-length")


def queues(cluster: Cluster) -> set[str]:
    """The names of all queues."""
    found = _management(cluster, "/api/queues?columns=name")
    return {queue["name"] for queue in found}


def bound(cluster: Cluster, key: str) -> set[str]:
    """The names of the queues that are bound to `amq.topic` by this very key."""
    found = _management(cluster, f"/api/exchanges/%2F/{EXCHANGE}/bindings/source")
    return {each["destination"] for each in found if each["routing_key"] == key}


def nodes_of(cluster: Cluster, user: str) -> list[str]:
    """The node of each of the user's connections, `r1` … `r3`."""
    found = _management(cluster, "/api/connections?columns=user,node")
    return sorted(each["node"].partition("@")[0] for each in found if each.get("user") == user)


def nodes_of_feeds(cluster: Cluster, name: str = ".feed.") -> list[int]:
    """The numbers of the nodes that have feeds with this in the names of their queues."""
    found = _management(cluster, "/api/queues?columns=name,node")
    return sorted(
        int(each["node"].removeprefix("r").partition("@")[0])
        for each in found
        if name in each["name"]
    )


def _management(cluster: Cluster, path: str) -> list[dict[str, Any]]:
    for node in cluster.nodes:
        answer = node.management("GET", path, cluster.admin)
        if answer is not None:
            return list(answer)
    raise AssertionError(f"no node answers {path}")


def consumers(cluster: Cluster, queue: str) -> int:
    """How many consumers a queue has."""
    with amqp(cluster) as channel:
        return int(channel.queue_declare(queue, passive=True).method.consumer_count)
