"""The rotation of clients that want to be read: a bound on all reading in one turn of the loop.

A client's own turn is short (:mod:`gateway.live.client.allowance`), but a thousand short turns in a
row are a long one. So the time of all reading in a turn of the loop is bounded too. Whatever is
beyond it waits here, and clients that have had least come first: start-time fair queueing (Goyal,
Vin, Cheng: "Start-time Fair Queuing", SIGCOMM 1996), with the seconds of a turn as its cost. A
client that asks for less than its share is served in the next turn of the loop, however many others
ask for more.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from contextvars import copy_context
from heapq import heappop, heappush
from itertools import count
from math import exp
from typing import Final, Protocol

from broker.timing.readings import Monotonic
from gateway.budget.addresses import network_of
from gateway.stopwatch import Stopwatch

#: Seconds of work from sockets in one turn of the loop. A post needs two dozen turns of the loop
#: until it is answered, and each of them may be as full.
TURN: Final = 0.000_5
#: Seconds of probes in one turn of the loop that wait for nobody.
PROBING: Final = 0.002
#: Seconds that a client which has asked for less than its share is ahead of the others. Without
#: them it would have to wait for a turn of each.
CREDIT: Final = 0.001
#: A client that had more than this part of the loop's time lately asks for much.
MUCH: Final = 0.03
#: Seconds that "lately" means: what was had counts less and less.
_LATELY: Final = 0.25
#: Turns of the loop between two with work for clients that ask for much. A post needs two dozen of
#: its own, and passes most of them by.
BETWEEN: Final = 8
#: Seconds that they wait instead where turns of the loop are empty: the others have what they want,
#: and turning the loop for nothing would take the processor from threads and from RabbitMQ.
PAUSE: Final = 0.001
#: For each second that threads compute for a client that asks for much, seconds in which it begins
#: nothing while somebody else is about: a thread takes the interpreter from the loop whenever that
#: waits for its sockets, so turns of the loop are no measure for it.
REST: Final = 3.0
LONGEST_REST: Final = 1.0
#: Seconds after which nobody else is about: as long as a request takes.
_ABOUT: Final = 0.05
#: Seconds of work that are not worth a callback to begin counting anew.
_NEGLIGIBLE: Final = 0.000_1
#: Seconds of the loop's time that a request counts for at least: half of what a cheap one takes, so
#: that a class that posts at once is not held up.
REQUEST: Final = 0.000_25
#: A request counts for what the share's last ones have taken, each with this weight.
_WEIGHT: Final = 0.25
#: Seconds for which a refusal is kept from a client that asks for much: it asks again as soon as it
#: is answered, whatever Retry-After says, and each question costs the loop as much as a cheap
#: request. Others hear at once.
HELD: Final = 0.5
#: Refusals that such a client hears a second: however many connections it asks on, each waits for
#: those before it, but no longer than so many seconds.
REFUSALS: Final = 50.0
LONGEST_HELD: Final = 10.0
#: Shares that are remembered, beyond those that are in use.
_CAPACITY: Final = 10_000

#: A piece of work: one turn of a client.
Turn = Callable[[], None]


class Line(Protocol):
    """A connection among those of one share, which take turns as shares do: behind one address
    there may be a school, and one of its machines must not make the others wait.

    ``had``: the time that it has had, on the share's own scale. 0 where the share is another one.
    """

    had: float


def share_key(user: str | None, address: str) -> Hashable:
    """The key of a client's share: the user; as long as that is unknown, the address, of an IPv6
    address its network."""
    return ("address", network_of(address)) if user is None else ("user", user)


class Waiting:
    """A turn that waits, and may be cancelled. It has the context of whoever waits."""

    __slots__ = ("context", "turn")

    def __init__(self, turn: Turn) -> None:
        self.turn: Turn | None = turn
        self.context = copy_context()

    def cancel(self) -> None:
        self.turn = None


class Share:
    """One client's share: all connections of a user, or of unknown clients at one address.

    ``waiting``: its turns that wait, as a heap: the time that their connection has had, their
    order, and the connection, if it is known. ``begin`` is where on the scale of its connections
    whoever comes now starts, with credit, ``end`` the most that one has had.

    ``tag`` is the time that it has had, on the rotation's own scale. Of equal tags the ``rank``,
    which is the order in which they came, decides. The tag stays as it is while the share waits;
    what it has meanwhile is ``owed``. ``request`` is the time that its next request will probably
    take, in seconds. ``lately`` is the time that it has had up to the moment ``at``, of which less
    and less counts. ``refused_at`` is the moment at which it hears the last of its refusals.
    ``computing`` is the time that threads will probably have for its next request, ``rests_until``
    the moment until which it begins nothing for what they have had.
    """

    __slots__ = (
        "at",
        "begin",
        "computing",
        "end",
        "lately",
        "owed",
        "rank",
        "refused_at",
        "request",
        "rests_until",
        "tag",
        "waiting",
    )

    def __init__(self) -> None:
        self.tag = self.owed = self.lately = self.at = self.refused_at = 0.0
        self.computing = self.rests_until = self.begin = self.end = 0.0
        self.request = REQUEST
        self.rank = 0
        self.waiting: list[tuple[float, int, Waiting, Line | None]] = []

    def __lt__(self, other: Share) -> bool:
        return (self.tag, self.rank) < (other.tag, other.rank)

    def add(self, waiting: Waiting, line: Line | None, rank: int) -> None:
        """Let a turn wait. Without a line it comes as one that has had its credit."""
        had = self.begin
        if line is not None:
            had = line.had = max(line.had, had - CREDIT)
        heappush(self.waiting, (had, rank, waiting, line))

    def next(self) -> tuple[Waiting, Line | None, bool]:
        """Take out the turn of the connection that has had least; and whether it comes anew."""
        had, _, waiting, line = heappop(self.waiting)
        comes_anew = had <= self.begin
        self.begin = max(self.begin, had)
        return waiting, line, comes_anew

    def count(self, seconds: float, line: Line | None) -> None:
        """Count what a connection has had."""
        if line is not None:
            line.had = max(line.had, self.begin - CREDIT) + seconds
            self.end = max(self.end, line.had)
        if not self.waiting:
            # What one had while no other waited is not held against it later.
            self.begin = max(self.begin, self.end)


class Rotation:
    """The order in which work that comes from sockets is done.

    ``clock`` advances within a turn of the loop, unlike the loop's own time. ``cpu`` is the time
    that this thread has had of a processor: nobody is charged for what other processes take, but
    for a tenth of a millisecond (:mod:`gateway.stopwatch`).
    """

    def __init__(self, *, clock: Monotonic, cpu: Monotonic = time.thread_time) -> None:
        self.clock = clock
        #: Measures work on the loop.
        self.watch = Stopwatch(clock=clock, cpu=cpu)
        #: Shares with work that waits, the one that is next first.
        self._heap: list[Share] = []
        self._ranks = count()
        #: Where on the scale whoever comes now starts, with credit. It never goes back.
        self._virtual = 0.0
        #: The highest tag of all. The scale goes on there once nobody waits: what somebody had when
        #: nobody else asked is not held against them later.
        self._highest = 0.0
        #: What has come while turns were served: it has to wait for the next turn of the loop.
        self._later: list[tuple[Waiting, Share, Line | None]] = []
        self._serving = False
        #: Seconds of work in this turn of the loop, and those of probes among them.
        self._spent = self._probed = 0.0
        #: Turns of the loop since the last one with work for somebody who asks for much.
        self._turns = 0
        #: Until when somebody who asks for little is about.
        self._company = 0.0
        self._scheduled = False
        #: Ends a pause of those who ask for much, while turns of the loop are empty; and whether
        #: one has ended.
        self._pause: asyncio.TimerHandle | None = None
        self._has_paused = False
        self._shares: OrderedDict[Hashable, Share] = OrderedDict()

    def share(self, key: Hashable) -> Share:
        """The share of the client that is known by this key."""
        share = self._shares.get(key)
        if share is None:
            share = self._shares[key] = Share()
            if len(self._shares) > _CAPACITY:
                self._shares.popitem(last=False)
        else:
            self._shares.move_to_end(key)
        return share

    @property
    def has_room(self) -> bool:
        """Whether this turn of the loop has time left, and nobody waits."""
        return self._spent < TURN and not self._heap

    def may_work(self, share: Share) -> bool:
        """Whether work for the share may be done at once. Otherwise it has to :meth:`wait`."""
        if not self.has_room:
            return False
        if self.asks_for_much(share):
            return self.clock() >= self._company
        self._company = self.clock() + _ABOUT
        return True

    def work(self, turn: Turn, share: Share, line: Line | None = None) -> None:
        """Do work that :meth:`may_work`, and count it for the share."""
        begun = self.watch.begin()
        turn()
        self.charge(self.watch.since(begun), share, line)

    def spend(self, seconds: float) -> None:
        """Count work that was done at once, or that a turn has only begun."""
        self._spent += seconds
        if self._spent > _NEGLIGIBLE and not (self._scheduled or self._serving):
            self._schedule()

    def may_probe(self, share: Share) -> bool:
        """Count a probe that is answered at once, though others wait. False: there are too many of
        them in this turn of the loop, which they would have for themselves, or from there, whose
        ``share`` of probes it is; it has to wait."""
        if self._probed >= PROBING or self.asks_for_much(share):
            return False
        self._probed += REQUEST
        self.charge(REQUEST, share)
        return True

    def learn(self, seconds: float, share: Share) -> None:
        """Expect of the share's next requests what this one has taken."""
        share.request = max(REQUEST, share.request + _WEIGHT * (seconds - share.request))

    def learn_computing(self, seconds: float, share: Share) -> None:
        """Expect of the share's next requests that threads compute for as long as for this one."""
        share.computing += _WEIGHT * (seconds - share.computing)

    def charge(self, seconds: float, share: Share, line: Line | None = None) -> None:
        """Count work for the share that was not done in one of its turns."""
        self.charge_too(seconds, share)
        share.count(seconds, line)
        self.spend(seconds)

    def charge_too(self, seconds: float, share: Share) -> None:
        """Count work for one more share, that was counted in this turn of the loop already."""
        if share.waiting:
            # Its place among the others may change only when it is not among them.
            share.owed += seconds
        else:
            share.tag = max(share.tag, self._virtual - CREDIT) + seconds
            self._highest = max(self._highest, share.tag)
        self._note(seconds, share)

    def rest(self, seconds: float, share: Share) -> None:
        """Let the share rest for so much time of a thread, that was had or will be."""
        if seconds:
            now = self.clock()
            until = max(share.rests_until, now) + REST * seconds
            share.rests_until = min(until, now + LONGEST_REST)

    def wait(self, turn: Turn, share: Share, line: Line | None = None) -> Waiting:
        """Call ``turn`` in a later turn of the loop. It may :meth:`spend`. ``line``: the connection
        that asks."""
        waiting = Waiting(turn)
        if self._serving:
            self._later.append((waiting, share, line))
        else:
            self._add(waiting, share, line)
        return waiting

    def _add(self, waiting: Waiting, share: Share, line: Line | None) -> None:
        if not share.waiting:
            share.tag = max(share.tag, self._virtual - CREDIT)
            self._queue(share)
        share.add(waiting, line, next(self._ranks))
        if self._heap and not self._scheduled:
            self._schedule()

    def _queue(self, share: Share) -> None:
        now = self.clock()
        if share.rests_until > now and now < self._company and self.asks_for_much(share):
            asyncio.get_running_loop().call_later(share.rests_until - now, self._has_rested, share)
            return
        share.rank = next(self._ranks)
        heappush(self._heap, share)

    def _has_rested(self, share: Share) -> None:
        share.tag = max(share.tag, self._virtual - CREDIT) + share.owed
        share.owed = 0.0
        self._queue(share)
        if self._heap and not self._scheduled:
            self._schedule()

    def _schedule(self) -> None:
        self._scheduled = True
        asyncio.get_running_loop().call_soon(self._next)

    def _paused(self) -> None:
        self._pause = None
        self._has_paused = True
        if not self._scheduled:
            self._next()

    def _next(self) -> None:
        is_empty = self._spent <= _NEGLIGIBLE
        self._scheduled = False
        self._spent = self._probed = 0.0
        self._turns += 1
        self._serving = True
        try:
            for_all = self._turns > BETWEEN or self._has_paused or self.clock() >= self._company
            while self._heap and self._spent < TURN:
                if not self.asks_for_much(self._heap[0]):
                    self._company = self.clock() + _ABOUT
                elif for_all:
                    self._turns, self._has_paused = 0, False
                else:
                    break
                self._serve(heappop(self._heap))
        finally:
            self._serving = False
            later, self._later = self._later, []
            for waiting, share, line in later:
                self._add(waiting, share, line)
            if not self._heap:
                self._virtual = max(self._virtual, self._highest)
            # Only now: behind what the turns have begun, so that a client whose request is over in
            # its first step may ask for the next one before others are served.
            if self._scheduled:
                pass
            elif self._spent > _NEGLIGIBLE or (self._heap and not is_empty):
                self._schedule()
            elif self._heap and self._pause is None:
                # Only those wait who ask for much, and nobody else wants anything.
                self._pause = asyncio.get_running_loop().call_later(PAUSE, self._paused)

    def _serve(self, share: Share) -> None:
        comes_anew = share.tag <= self._virtual
        self._virtual = max(self._virtual, share.tag)
        waiting, line, is_new_line = share.next()
        turn, taken = waiting.turn, 0.0
        try:
            if turn is not None:
                before, begun = self._spent, self.watch.begin()
                waiting.context.run(turn)
                taken = self.watch.since(begun) + self._spent - before
                share.tag += taken
                self._note(taken, share)
                if comes_anew:
                    # Those who wait are not passed for ever, however many come anew.
                    self._virtual += taken / (len(self._heap) + 1)
                self._spent += self.clock() - begun[0]
        finally:
            share.count(taken, line)
            if is_new_line and share.waiting:
                # As shares are: connections that wait are not passed for ever by new ones.
                share.begin += taken / (len(share.waiting) + 1)
            share.tag += share.owed
            share.owed = 0.0
            self._highest = max(self._highest, share.tag)
            if share.waiting:
                self._queue(share)

    def _note(self, seconds: float, share: Share) -> None:
        """Note what the share has had."""
        now = self.clock()
        share.lately = share.lately * exp((share.at - now) / _LATELY) + seconds
        share.at = now

    def holds_refusal(self, share: Share) -> float:
        """Seconds for which one more refusal is kept from the client; 0: it asks for little."""
        if not self.asks_for_much(share):
            return 0.0
        now = self.clock()
        next_one = max(now + HELD, share.refused_at + 1 / REFUSALS)
        share.refused_at = min(next_one, now + LONGEST_HELD)
        return share.refused_at - now

    def asks_for_much(self, share: Share) -> bool:
        """Whether the share has had more than :data:`MUCH` of the loop's time lately."""
        much = MUCH * _LATELY
        if share.lately <= much:
            return False
        return share.lately * exp((share.at - self.clock()) / _LATELY) > much
