"""Judges a run's journal by the history at its end. Pure.

It knows the contract, and nothing of the gateway's code.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from statistics import median
from typing import NamedTuple

from tests.chaos.expectations import (
    LONG_FAULT,
    POST_WITHIN,
    PRICES,
    QUEUE_WITHIN,
    REMOVED_WITHIN,
    Price,
)
from tests.chaos.growth import LONG_ENOUGH, MOST_OF_A_CROWD, Growth, Sample, added, growth
from tests.chaos.journal import Event
from tests.chaos.schedule import AHEAD, Kind

#: Seconds after a fault is mended in which something may still be its doing.
_AFTERMATH = 5.0
_ACCEPTED = (201, 202)
#: The most that may be added to RabbitMQ between the second and the last quarter of a run.
_MOST_OF_BROKER = {"queues": 5, "connections": 10, "memory": 100_000_000}
#: Bytes of SQLite's write-ahead log at the end of a run.
_MOST_WAL = 64_000_000
#: Descriptors and tasks that a crowd of sockets may leave, when all of them have gone: idle
#: connections to the database among them.
_MOST_LEFT = 15
_CALM = "calm"


class Stream(NamedTuple):
    """One room and audience; the history's key."""

    room: int
    audience: str


class Row(NamedTuple):
    """A message of the history."""

    seq: int
    id: str


History = Mapping[Stream, Sequence[Row]]


class Rule:
    """The rules that can be broken."""

    ANSWERED = "an answered POST is in the history exactly once"
    NUMBERED = "the history is numbered 1, 2, 3 …, each id once"
    FOLLOWED = "a subscriber's seq goes +1, from its beginning to the end of the stream"
    QUEUED = "a host gets everything at least once"
    FOREIGN = "no message in a foreign room or audience"
    KEPT_OPEN = "no socket is closed but by what may close it"
    ANSWERING = "POST is answered 201 or 202"
    LOGGED = "no gateway's log tells of a crash or holds a secret"
    GOING_ON = "while one node is lost, most posts and messages to hosts are as quick as before"
    READABLE = "frames keep to the contract"
    PUBLISHED = "nothing stored is unpublished at the end"
    WORKING = "no background work of a gateway fails"
    STEADY = (
        "a gateway's memory, descriptors and tasks do not grow, nor RabbitMQ or the log on disk"
    )
    LEFT = "sockets that came and went leave nothing"
    SAID = "a gateway says what is wrong with it, and is not ready if it cannot do its work"
    HEARD = "gateways hear each other, whatever their clocks say"
    ENDED = "whoever was removed is sent away, at whichever gateway they are"


@dataclass(frozen=True, slots=True)
class Violation:
    """A promise that a run has broken."""

    rule: str
    text: str


@dataclass(slots=True)
class Costs:
    """The observations while one kind of fault lasted, or none (calm); times are in seconds."""

    faults: int = 0
    topic_delays: list[float] = field(default_factory=list)
    queue_delays: list[float] = field(default_factory=list)
    post_times: list[float] = field(default_factory=list)
    failed_posts: int = 0
    topics_closed: int = 0
    queues_closed: int = 0
    failed_attempts: int = 0
    longest_lag: float = 0.0
    #: How long the shortest of the faults lasted.
    shortest: float = float("inf")
    removals: list[float] = field(default_factory=list)


@dataclass(slots=True)
class Verdict:
    """The result of checking a run.

    `counts` says how much was seen: a run that saw nothing has proved nothing.
    """

    violations: list[Violation]
    costs: dict[str, Costs]
    counts: Counter[str]
    #: By the gateway and the number of its process.
    growths: dict[str, Growth] = field(default_factory=dict)
    #: Further sizes, a line for each.
    sizes: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Fault:
    kind: Kind
    target: int
    begin: float
    end: float = float("inf")
    #: When mending began.
    mended: float = float("inf")

    def lasts(self, moment: float) -> bool:
        return self.begin <= moment <= self.end

    @property
    def price(self) -> Price:
        return PRICES[self.kind]

    def concerns(self, gateway: int) -> bool:
        return not self.price.own_gateway or gateway == self.target

    def closes(self, kind: str, gateway: int, code: int | None) -> bool:
        price = self.price
        may = price.closes_topics if kind == "topic" else price.closes_queues
        return may and self.concerns(gateway) and price.code in (None, code)

    def fails_posts(self, gateway: int) -> bool:
        return self.price.fails_posts and self.concerns(gateway)

    def tells(self, gateway: int, moment: float) -> bool:
        """Whether this gateway must say at this moment that it is broken."""
        known = self.begin + self.price.within <= moment < self.mended
        return self.price.says is not None and gateway == self.target and known


@dataclass(slots=True)
class _Client:
    who: str
    kind: str
    room: int
    audience: str | None
    last: int = 0
    up_since: float | None = None
    ids: dict[Stream, set[str]] = field(default_factory=lambda: defaultdict(set))

    def may_hear(self, stream: Stream) -> bool:
        return stream.room == self.room and self.audience in (None, stream.audience)


def judge(events: Iterable[Event], history: History) -> Verdict:
    """`events` in the order in which they happened, the history complete."""
    events = list(events)
    return _Court(events, history).verdict


class _Court:
    def __init__(self, events: Sequence[Event], history: History) -> None:
        self.verdict = Verdict([], defaultdict(Costs), Counter())
        self._history = history
        self._ids = {stream: {row.seq: row.id for row in rows} for stream, rows in history.items()}
        self._clients: dict[str, _Client] = {}
        self._posts: dict[str, tuple[Stream, set[int | None]]] = {}
        self._attempts: dict[tuple[str, int], Stream] = {}
        self._samples: dict[tuple[int, int], list[Event]] = defaultdict(list)
        self._before_the_crowd: dict[int, Event] = {}
        self._crowd: list[Event] = []
        self._broker: list[Event] = []
        self._faults = list(_faults(events))
        for fault in self._faults:
            costs = self.verdict.costs[fault.kind]
            costs.faults += 1
            costs.shortest = min(costs.shortest, fault.end - fault.begin)
        for event in events:
            self.verdict.counts[event["what"]] += 1
            if take := getattr(self, f"_take_{event['what']}", None):
                take(event)
        self._judge_history()
        self._judge_posts()
        self._judge_ends()
        self._judge_samples()
        self._judge_broker()
        self._judge_pace()

    def _object(self, rule: str, text: str) -> None:
        self.verdict.violations.append(Violation(rule, text))

    # What happened

    def _take_client(self, event: Event) -> None:
        self._clients[event["who"]] = _Client(
            event["who"], event["kind"], event["room"], event.get("audience")
        )

    def _take_up(self, event: Event) -> None:
        self._clients[event["who"]].up_since = event["t"]

    def _take_down(self, event: Event) -> None:
        client = self._clients[event["who"]]
        client.up_since = None
        if event["own"]:
            return
        lasting = self._lasting(event["t"])
        if not event["up"]:
            self._costs(lasting).failed_attempts += 1
            return
        if client.kind == "topic":
            self._costs(lasting).topics_closed += 1
        else:
            self._costs(lasting).queues_closed += 1
        gateway, code = event["gateway"], event["code"]
        if not any(fault.closes(client.kind, gateway, code) for fault in lasting):
            self._object(
                Rule.KEPT_OPEN,
                f"{client.who} ({client.kind}) at gateway {gateway} was closed with "
                f"{code} ({event['why']}) during {_names(lasting)}, t={event['t']:.3f}",
            )

    def _take_stall(self, event: Event) -> None:
        self._clients[event["who"]].up_since = None

    _take_flow = _take_up

    def _take_message(self, event: Event) -> None:
        client = self._clients[event["who"]]
        stream = Stream(event["room"], event["audience"])
        seq, id = event["seq"], event["id"]
        if not client.may_hear(stream):
            self._object(Rule.FOREIGN, f"{client.who} of room {client.room} got {stream} {seq}")
            return
        if self._ids.get(stream, {}).get(seq) != id:
            self._object(
                Rule.FOLLOWED, f"{client.who} got {id} as {stream} {seq}, the history says other"
            )
        first_time = id not in client.ids[stream]
        client.ids[stream].add(id)
        sent = datetime.fromisoformat(event["sent"]).timestamp()
        # What was sent before the client came, or read on, is no pause of the stream.
        live = client.up_since is not None and sent > client.up_since
        if client.kind == "topic":
            if seq != client.last + 1:
                self._object(
                    Rule.FOLLOWED,
                    f"{client.who} got {stream} {seq} after {client.last}, t={event['t']:.3f}",
                )
            client.last = max(client.last, seq)
        # A wrong clock says nothing about delays.
        if live and first_time and not self._clocks_apart(event["t"], sent):
            costs = self._costs(self._lasting(sent))
            delays = costs.topic_delays if client.kind == "topic" else costs.queue_delays
            delays.append(event["t"] - sent)

    def _take_removed(self, event: Event) -> None:
        took, began = event["took"], event["t"] - (event["took"] or 0.0)
        lasting = self._lasting(event["t"], since=began)
        if took is not None:
            self._costs(lasting).removals.append(took)
        in_time = took is not None and took <= REMOVED_WITHIN
        # A gateway judges by the database.
        if not in_time and not any(fault.fails_posts(event["gateway"]) for fault in lasting):
            self._object(
                Rule.ENDED,
                f"{event['who']} was removed at gateway {event['orders']}; at gateway "
                f"{event['gateway']} the socket ended {took} s later, with {event['code']}, during "
                f"{_names(lasting)}, t={event['t']:.3f}",
            )

    def _take_lag(self, event: Event) -> None:
        costs = self._costs(self._lasting(event["t"]))
        costs.longest_lag = max(costs.longest_lag, event["late"])

    def _take_sample(self, event: Event) -> None:
        self._samples[event["gateway"], event["pid"]].append(event)
        for fault in self._lasting(event["t"]):
            self._judge_what_is_said(fault, event)
        if not self._crowd:
            self._before_the_crowd[event["gateway"]] = event

    def _take_crowd(self, event: Event) -> None:
        self._crowd.append(event)

    def _take_broker(self, event: Event) -> None:
        self._broker.append(event)

    def _take_garbled(self, event: Event) -> None:
        self._object(Rule.READABLE, f"{event['who']}: {event['why']}")

    def _take_attempt(self, event: Event) -> None:
        stream = Stream(event["room"], event["audience"])
        self._posts.setdefault(event["id"], (stream, set()))

    def _take_answer(self, event: Event) -> None:
        lasting = self._lasting(event["t"], since=event["t"] - event["took"])
        costs = self._costs(lasting)
        if event["status"] in _ACCEPTED:
            costs.post_times.append(event["took"])
            self.verdict.counts[f"answered {event['status']}"] += 1
            self._posts[event["id"]][1].add(event["seq"])
            return
        costs.failed_posts += 1
        if not any(fault.fails_posts(event["gateway"]) for fault in lasting):
            self._object(
                Rule.ANSWERING,
                f"POST {event['id']} at gateway {event['gateway']}: {event['status']} "
                f"({event.get('why')}) during {_names(lasting)}, t={event['t']:.3f}",
            )

    # What stands at the end

    def _judge_history(self) -> None:
        for stream, rows in self._history.items():
            if [row.seq for row in rows] != list(range(1, len(rows) + 1)):
                self._object(Rule.NUMBERED, f"{stream}: {[row.seq for row in rows]}")
        for id, number in Counter(
            row.id for rows in self._history.values() for row in rows
        ).items():
            if number > 1:
                self._object(Rule.NUMBERED, f"{id} is there {number} times")
            if id not in self._posts:
                self._object(Rule.NUMBERED, f"{id} was never posted")

    def _judge_posts(self) -> None:
        for id, (stream, seqs) in self._posts.items():
            found = [row.seq for row in self._history.get(stream, ()) if row.id == id]
            named = seqs - {None}
            if seqs and (len(found) != 1 or not named <= set(found)):
                self._object(
                    Rule.ANSWERED, f"{id} was answered as {stream} {seqs}, found as {found}"
                )

    def _judge_ends(self) -> None:
        for client in self._clients.values():
            for stream, rows in self._history.items():
                if not client.may_hear(stream):
                    continue
                if client.kind == "topic" and client.last != len(rows):
                    self._object(
                        Rule.FOLLOWED,
                        f"{client.who} ended at {stream} {client.last} of {len(rows)}",
                    )
                if client.kind == "queue":
                    missed = [row.seq for row in rows if row.id not in client.ids[stream]]
                    if missed:
                        self._object(Rule.QUEUED, f"{client.who} missed {stream} {missed}")

    def _judge_samples(self) -> None:
        last: dict[int, Event] = {}
        for (gateway, pid), samples in self._samples.items():
            last[gateway] = samples[-1]
            for task, times in samples[-1]["failures"].items():
                if times:
                    self._object(
                        Rule.WORKING, f"gateway {gateway}: {task} has failed {times:.0f} times"
                    )
            looks = [
                Sample(
                    each["t"],
                    each["memory"],
                    each["descriptors"] - each["connections"],
                    each["tasks"] - each["connections"],
                )
                for each in samples
            ]
            if (growing := growth(looks)) is None:
                continue
            self.verdict.growths[f"gateway {gateway}, process {pid}"] = growing
            if growing.excessive_for_a_crowd if self._crowd else growing.excessive:
                self._object(Rule.STEADY, f"gateway {gateway}: {growing}")
        for gateway, sample in last.items():
            if sample["outbox"]:
                self._object(
                    Rule.PUBLISHED, f"gateway {gateway}: {sample['outbox']} messages in the outbox"
                )
            self._judge_disk(gateway, sample["database"])
            if self._crowd:
                self._judge_what_is_left(gateway, self._before_the_crowd[gateway], sample)

    def _judge_disk(self, gateway: int, sizes: Mapping[str, int]) -> None:
        if not sizes:
            return
        shown = ", ".join(f"{name} {size / 1e6:.1f} MB" for name, size in sorted(sizes.items()))
        self.verdict.sizes.append(f"gateway {gateway}, at the end: {shown}")
        if sizes.get("db-wal", 0) > _MOST_WAL:
            self._object(Rule.STEADY, f"gateway {gateway}: {shown}")

    def _judge_what_is_left(self, gateway: int, before: Event, after: Event) -> None:
        last = self._crowd[-1]
        self.verdict.sizes.append(
            f"crowd: {max(each['standing'] for each in self._crowd)} sockets at a time, "
            f"{last['subscribed']} subscribed in all, {last['failed']} failed to connect"
        )
        left = {
            name: after[name] - before[name] for name in ("connections", "descriptors", "tasks")
        }
        text = ", ".join(f"{name} {number:+}" for name, number in left.items())
        self.verdict.sizes.append(f"gateway {gateway}, when the crowd had left: {text}")
        if max(left.values()) > _MOST_LEFT:
            self._object(Rule.LEFT, f"gateway {gateway}: {text}")

    def _judge_broker(self) -> None:
        if not self._broker:
            return
        more = {name: added([each[name] for each in self._broker]) for name in _MOST_OF_BROKER}
        text = (
            f"RabbitMQ: queues {more['queues']:+.0f}, connections {more['connections']:+.0f}, "
            f"memory {more['memory'] / 1e6:+.1f} MB"
        )
        self.verdict.sizes.append(text)
        most = _MOST_OF_BROKER | ({"connections": MOST_OF_A_CROWD} if self._crowd else {})
        long_enough = self._broker[-1]["t"] - self._broker[0]["t"] >= LONG_ENOUGH
        if long_enough and any(more[name] > limit for name, limit in most.items()):
            self._object(Rule.STEADY, text)

    def _judge_pace(self) -> None:
        for kind, price in PRICES.items():
            costs = self.verdict.costs.get(kind)
            if costs is None or not price.goes_on or costs.shortest < LONG_FAULT:
                continue
            for what, seconds, within in (
                ("POSTs", costs.post_times, POST_WITHIN),
                ("messages to hosts", costs.queue_delays, QUEUE_WITHIN),
            ):
                if seconds and (half := median(seconds)) > within:
                    self._object(
                        Rule.GOING_ON,
                        f"half of the {what} during {kind} took {half:.1f} s or more instead of"
                        f" {within:g}",
                    )

    def _judge_what_is_said(self, fault: _Fault, look: Event) -> None:
        price, gateway, at = fault.price, look["gateway"], f"{fault.kind}, t={look['t']:.3f}"
        if price.hears and not look["peers"]:
            self._object(Rule.HEARD, f"gateway {gateway} hears no other during {at}")
        if fault.tells(gateway, look["t"]):
            self.verdict.counts[f"said during {fault.kind}"] += 1
            if price.says not in look["failing"]:
                self._object(
                    Rule.SAID,
                    f"gateway {gateway} says that {look['failing']} fail during {at}, not that "
                    f"{price.says} does",
                )
            if look["ready"] is price.not_ready:
                ready = "is" if look["ready"] else "is not"
                self._object(Rule.SAID, f"gateway {gateway} {ready} ready during {at}")
        elif price.not_ready and gateway != fault.target and not look["ready"]:
            self._object(Rule.SAID, f"gateway {gateway} is not ready during {at}")

    def _clocks_apart(self, *moments: float) -> bool:
        return any(
            fault.kind is Kind.CLOCKS_APART
            for moment in moments
            for fault in self._faults
            if fault.begin - AHEAD <= moment <= fault.end + AHEAD
        )

    def _lasting(self, moment: float, *, since: float | None = None) -> list[_Fault]:
        start = moment if since is None else since
        return [fault for fault in self._faults if fault.begin <= moment and start <= fault.end]

    def _costs(self, lasting: Sequence[_Fault]) -> Costs:
        """The costs, under the name of the fault that began first."""
        return self.verdict.costs[lasting[0].kind if lasting else _CALM]


def _faults(events: Iterable[Event]) -> Iterable[_Fault]:
    by_number: dict[int, _Fault] = {}
    for event in events:
        if event["what"] == "begin":
            by_number[event["fault"]] = _Fault(Kind(event["kind"]), event["target"], event["t"])
        elif event["what"] == "end":
            by_number[event["fault"]].mended = event["t"]
        elif event["what"] == "recovered":
            by_number[event["fault"]].end = event["t"] + _AFTERMATH
    return by_number.values()


def _names(faults: Sequence[_Fault]) -> str:
    return ", ".join(fault.kind for fault in faults) or _CALM
