"""The rights of RabbitMQ's own users, as RabbitMQ itself has said a short time ago.

Whatever such a user does over a relay is judged by RabbitMQ then and there. What the gateway serves
from elsewhere (topics, from the hub) needs RabbitMQ's word: it is asked with the user's own login
(:class:`Ask`), its answer counts for ``lifetime`` seconds, and it is asked again while somebody
relies on it. A right that RabbitMQ takes back, or that cannot be confirmed in time, ends.
"""

from __future__ import annotations

import asyncio
import hmac
import math
import secrets
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from hashlib import sha256
from random import Random
from typing import Final, Protocol

from broker.feeds.reading import Source
from broker.nodes.credentials import Credentials
from broker.timing.tasks import Cancelled, Tasks, shared
from broker.timing.ticker import Ticker
from gateway.domain.broker_login import BrokerLogin
from gateway.domain.identity import Identity
from gateway.errors import (
    BrokerRefused,
    BrokerUnavailable,
    GatewayError,
    NotAuthenticated,
)
from gateway.fair_turns import FairTurns

#: Questions to RabbitMQ at the same time, and those of one user: what else is asked about this user
#: meanwhile is one question more.
AT_ONCE: Final = 8
OF_USER: Final = 2
#: The part of a right's lifetime after which RabbitMQ is asked again; the rest is for the answer.
_AGAIN: Final = 0.5
#: The part of the lifetime between two looks at a login's rights.
_STEP: Final = 0.1
#: Rights of one login about which one question asks: a node has some seconds to answer it.
PORTION: Final = 50
#: Rights of one login that are remembered although nobody relies on them.
_IDLE: Final = 1_000

Ended = Callable[[GatewayError], None]


class Ask(Protocol):
    """The question to RabbitMQ, asked with the user's own login."""

    async def __call__(
        self, login: Credentials, sources: Sequence[Source]
    ) -> Mapping[Source, str | None]:
        """For each source None, or RabbitMQ's reason why the user may not read it. Without sources
        only the login is tried.

        Raises :class:`WrongLogin` if RabbitMQ does not take the login, and
        :class:`BrokerUnavailable` if no node answers.
        """
        ...


class Held:
    """A right that somebody relies on. ``ended`` is called once if it ends before
    :meth:`release`."""

    __slots__ = ("_ended", "_right", "login", "over")

    def __init__(self, right: _Right, login: BrokerLogin) -> None:
        self._right = right
        self._ended: Ended | None = None
        self.login = login
        #: Its end, if that came before somebody could be told.
        self.over: GatewayError | None = None
        right.held.add(self)

    def tell(self, ended: Ended) -> None:
        """Call ``ended`` from now on. Raises the error if the right has ended already."""
        if self.over is not None:
            raise self.over
        self._ended = ended

    def end(self, error: GatewayError) -> None:
        """The right has ended."""
        if self._ended is None:
            self.over = error
        else:
            self._ended(error)

    def release(self) -> None:
        """Rely on it no longer; any number of times."""
        self._right.held.discard(self)


class BrokerRights:
    """The rights of RabbitMQ's own users, by login and source."""

    def __init__(
        self, ask: Ask, *, lifetime: float, ticker: Ticker, tasks: Tasks, rng: Random
    ) -> None:
        self.lifetime = lifetime
        self.rng = rng
        self.tasks = tasks
        self._ask = ask
        self._ticker = ticker
        self._turns = FairTurns(AT_ONCE, of_user=OF_USER)
        self._loop = asyncio.get_running_loop()
        self._logins: dict[_Key, _Login] = {}
        self._doors: dict[str, _Door] = {}
        #: Passcodes are told apart by it, in this process alone.
        self._salt = secrets.token_bytes(32)

    def __len__(self) -> int:
        return len(self._logins)

    def login(self, user: str, passcode: str, *, vhost: str, payer: str) -> BrokerLogin:
        """A login that was not tried yet."""
        mark = hmac.digest(self._salt, passcode.encode(errors="surrogatepass"), sha256)
        return BrokerLogin(user, passcode, vhost=vhost, mark=mark, payer=payer)

    @asynccontextmanager
    async def logging_in(self, login: BrokerLogin) -> AsyncIterator[bool]:
        """A block that finds out whether RabbitMQ takes the login; when it ends without an
        exception, RabbitMQ has. It is given whether that is known already.

        For each user name one block at a time: a class that shares a login is tried once, and
        nobody guesses at one faster by guessing often.
        """
        if self._is_known(login):
            yield True
            return
        door = self._doors.setdefault(login.user, _Door())
        door.visitors += 1
        try:
            async with door.lock:
                if self._is_known(login):
                    yield True
                    return
                began = self._loop.time()
                yield False
                self._known(login).right(None).confirmed = began
        finally:
            door.visitors -= 1
            if not door.visitors:
                del self._doors[login.user]

    def hold_login(self, login: BrokerLogin, *, ended: Ended) -> Held:
        """Rely on the login itself: ``ended`` is called when RabbitMQ takes it no longer."""
        held = Held(self._known(login).right(None), login)
        held.tell(ended)
        return held

    async def hold(self, who: Identity, exchange: str, key: str, *, ended: Ended) -> Held:
        """Rely on the right to read what an exchange gives for a routing key (with wildcards).

        ``ended`` is called, with the reason for the client, when RabbitMQ has taken the right back,
        or has not confirmed it for the whole lifetime. Raises :class:`BrokerRefused` with
        RabbitMQ's own text, :class:`WrongLogin`, :class:`BrokerUnavailable`.
        """
        login = who.login
        if login is None:
            raise ValueError("only RabbitMQ's own users are judged by RabbitMQ")
        known = self._known(login)
        right = known.right((exchange, key))
        held = Held(right, login)
        try:
            if not right.is_fresh(self._loop.time(), self.lifetime):
                await self._first_answer(known, (exchange, key), right, login)
            held.tell(ended)
        except BaseException:
            held.release()
            raise
        return held

    @asynccontextmanager
    async def turn(self, credentials: Credentials) -> AsyncIterator[Ask]:
        """A turn at asking RabbitMQ. Raises :class:`BrokerUnavailable` if it does not come."""
        user = credentials.login, credentials.vhost
        async with AsyncExitStack() as stack:
            turn = self._turns.turn(user, urgent=False, within=self.lifetime * _AGAIN)
            try:
                await stack.enter_async_context(turn)
            except TimeoutError:
                raise BrokerUnavailable("too many users are asked about at RabbitMQ") from None
            yield self._ask

    def forget(self, known: _Login) -> None:
        """Drop a login that nobody needs."""
        self._ticker.remove(known)
        if self._logins.get(known.key) is known:
            del self._logins[known.key]

    async def _first_answer(
        self, known: _Login, source: Source, right: _Right, login: BrokerLogin
    ) -> None:
        if right.asking is None:
            right.asking = self._in_a_question(known, source, right, login.credentials)
        try:
            refusal = (await shared(right.asking))[source]
        except Cancelled as error:
            raise BrokerUnavailable("RabbitMQ was not asked to the end") from error
        if refusal is not None:
            raise refusal

    def _in_a_question(
        self, known: _Login, source: Source, right: _Right, credentials: Credentials
    ) -> _Asking:
        """The question that asks for this source: one that waits for its turn, if there is any."""
        question = known.waiting
        if question is None or question.asking.done() or len(question.rights) >= PORTION:
            question = known.waiting = _Question()
            question.asking = self.tasks.spawn(
                self._answer(known, question, credentials), "rights: a question to RabbitMQ"
            )
        question.rights[source] = right
        return question.asking

    async def _answer(
        self, known: _Login, question: _Question, credentials: Credentials
    ) -> Mapping[Source, GatewayError | None]:
        """Errors are returned: several may wait for them, or nobody any more."""
        rights = question.rights
        try:
            async with self.turn(credentials) as ask:
                if known.waiting is question:
                    known.waiting = None
                began = self._loop.time()
                answers = await ask(credentials, list(rights))
        except GatewayError as error:
            return dict.fromkeys(rights, error)
        finally:
            if known.waiting is question:
                known.waiting = None
            for right in rights.values():
                right.asking = None
        return {
            source: self._take(known, source, right, answers[source], began)
            for source, right in rights.items()
        }

    def _take(
        self, known: _Login, source: Source, right: _Right, refusal: str | None, began: float
    ) -> GatewayError | None:
        if refusal is None:
            right.confirmed = began
            return None
        if known.rights.get(source) is right:
            del known.rights[source]
        refused = BrokerRefused(refusal)
        # Others may rely on what RabbitMQ has said before.
        right.end(refused)
        return refused

    def _is_known(self, login: BrokerLogin) -> bool:
        known = self._logins.get(_key(login))
        right = None if known is None else known.rights.get(None)
        return right is not None and right.is_fresh(self._loop.time(), self.lifetime)

    def _known(self, login: BrokerLogin) -> _Login:
        key = _key(login)
        known = self._logins.get(key)
        if known is None:
            known = self._logins[key] = _Login(self, key, due=self._next_look())
            self._ticker.add(known)
        return known

    def _next_look(self) -> float:
        return self._loop.time() + self.lifetime * _STEP


_Key = tuple[str, str, bytes]
#: By source: the refusal, if it is one.
_Asking = asyncio.Task[Mapping[Source, GatewayError | None]]


def _key(login: BrokerLogin) -> _Key:
    return login.user, login.vhost, login.mark


class _Door:
    """The door that users of one name pass one after the other; dropped after the last one."""

    __slots__ = ("lock", "visitors")

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.visitors = 0


class _Right:
    """One right. ``confirmed``: when RabbitMQ was asked that has said yes, on the loop's clock."""

    __slots__ = ("asking", "confirmed", "held")

    def __init__(self) -> None:
        self.confirmed = -math.inf
        self.held: set[Held] = set()
        self.asking: _Asking | None = None

    def stands(self, now: float, lifetime: float) -> bool:
        return now < self.confirmed + lifetime

    def is_fresh(self, now: float, lifetime: float) -> bool:
        """Whether somebody may begin to rely on it: there is time to ask again."""
        return now < self.confirmed + lifetime * _AGAIN

    def end(self, error: GatewayError) -> None:
        held, self.held = self.held, set()
        for each in held:
            each.end(error)


class _Question:
    """The rights of one login about which one question asks for the first time."""

    __slots__ = ("asking", "rights")
    asking: _Asking

    def __init__(self) -> None:
        self.rights: dict[Source, _Right] = {}


class _Login:
    """The rights of one login; an entry of the ticker. The login itself is the right to None."""

    def __init__(self, owner: BrokerRights, key: _Key, *, due: float) -> None:
        self.key = key
        self.due = due
        self.rights: dict[Source | None, _Right] = {}
        self._owner = owner
        #: The first question that waits for its turn, and takes more until then.
        self.waiting: _Question | None = None
        self._asking: asyncio.Task[None] | None = None
        self._again = _AGAIN * owner.rng.uniform(0.8, 1.0)

    def right(self, source: Source | None) -> _Right:
        right = self.rights.get(source)
        if right is None:
            if len(self.rights) >= _IDLE:
                self._drop_idle()
            right = self.rights[source] = _Right()
        return right

    def rights_in_use(self, now: float) -> bool:
        """Whether somebody relies on one, or it still counts for whoever comes next."""
        lifetime = self._owner.lifetime
        self.rights = {
            source: right
            for source, right in self.rights.items()
            if right.held or right.asking is not None or right.stands(now, lifetime)
        }
        return bool(self.rights)

    def check(self, now: float) -> None:
        lifetime = self._owner.lifetime
        for right in tuple(self.rights.values()):
            if right.held and right.asking is None and not right.stands(now, lifetime):
                right.end(
                    BrokerUnavailable("RabbitMQ could not be asked whether you may still do this")
                )
        if not self.rights_in_use(now):
            self._owner.forget(self)
            return
        held = [right for right in self.rights.values() if right.held and right.asking is None]
        if not held:
            self.due = now + lifetime * _STEP
            return
        oldest = min(right.confirmed for right in held)
        if self._asking is None and now >= oldest + lifetime * self._again:
            # One who has just gone may hold a right for a moment more. RabbitMQ's word about its
            # empty passcode would end everybody's rights.
            logins = (each.login for right in held for each in right.held)
            login = next((login for login in logins if not login.is_forgotten), None)
            if login is not None:
                self._asking = self._owner.tasks.spawn(
                    # The login is taken now: its holder may be gone before its turn comes.
                    self._ask_again(login.credentials),
                    "rights: RabbitMQ is asked again",
                    failed=self._not_asked,
                )
        self.due = min(now + lifetime * _STEP, oldest + lifetime)

    async def _ask_again(self, credentials: Credentials) -> None:
        """Ask for all rights that somebody relies on, those that end first before the others."""
        ages = (
            (right.confirmed, source)
            for source, right in self.rights.items()
            if source is not None and right.held
        )
        relied_on = [source for _, source in sorted(ages)]
        try:
            # The first question tries the login, also if there is nothing else to ask for.
            for start in range(0, max(1, len(relied_on)), PORTION):
                await self._ask_about(relied_on[start : start + PORTION], credentials)
        except NotAuthenticated as error:
            self._end_all(error)
        except BrokerUnavailable:
            # Asked again at the next look, until the rights have ended.
            pass
        finally:
            self._asking = None

    async def _ask_about(self, sources: Sequence[Source], credentials: Credentials) -> None:
        began = asyncio.get_running_loop().time()
        answers: dict[Source | None, str | None] = {None: None}
        async with self._owner.turn(credentials) as ask:
            answers.update((await ask(credentials, sources)).items())
        for source, refusal in answers.items():
            right = self.rights.get(source)
            if right is None:
                continue
            if refusal is None:
                right.confirmed = began
            else:
                del self.rights[source]
                right.end(BrokerRefused(refusal))

    def _not_asked(self, fault: Exception) -> None:
        self._asking = None

    def _end_all(self, error: NotAuthenticated) -> None:
        rights, self.rights = self.rights, {}
        for right in rights.values():
            right.end(error)

    def _drop_idle(self) -> None:
        self.rights = {
            source: right
            for source, right in self.rights.items()
            if source is None or right.held or right.asking is not None
        }
