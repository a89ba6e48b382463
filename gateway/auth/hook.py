"""The surrounding application's word on whose a request is (``[auth.hook]``).

As nginx' ``auth_request`` and Centrifugo's connect proxy do it: the request's cookies and the
chosen headers are sent to one HTTP address of the application, by GET. It answers

* 200 with a JSON object: ``user``, ``roles`` (a list of strings, may be left out) and either
  ``expires_in`` (seconds) or ``expires_at`` (seconds since the epoch);
* 401 or 403: the request is nobody's.

Anything else lets nobody in: the application is away (503), and the log says what came.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final

from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.httputil import HTTPHeaders
from tornado.simple_httpclient import SimpleAsyncHTTPClient

from broker.timing.clock import Clock
from broker.timing.complaints import Complaints
from broker.timing.tasks import Cancelled, Tasks, shared
from gateway.config import Hook as Settings
from gateway.domain.display_name import display_name
from gateway.domain.guest import account_name
from gateway.domain.identity import Identity
from gateway.domain.user_name import written_otherwise
from gateway.errors import GatewayError, HookUnavailable, NotAuthenticated
from gateway.expiring import Expiring
from gateway.fair_turns import FairTurns

logger = logging.getLogger(__name__)

#: Bytes of an answer: a name and some roles.
MAX_BYTES: Final = 64 * 1024
#: Requests that wait for their answers at most, whoever they are from.
WAITING: Final = 2_000
#: Answers that are remembered.
CAPACITY: Final = 10_000
#: The longest time for which an answer counts, in seconds: nobody means more than a year.
LONGEST: Final = 366 * 86_400.0
_MOST_ROLES: Final = 1_000
_FAILURE: Final = "failure"


class HookFailure(Exception):
    """The application did not answer, or nonsense; the text is for the log, and has no secret."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The application's answer. ``body`` is to be read for the status 200 only."""

    status: int
    body: bytes = field(default=b"", repr=False)


#: A question to the application: the headers that are sent to it. Raises :class:`HookFailure`.
Question = Callable[[HTTPHeaders], Awaitable[Answer]]


class Hook:
    """The asker, for handshakes and calls of the HTTP API alike.

    ``own_cookies`` are never sent to the application. ``known_roles`` gives the system roles that
    are used; others are left out of identities.

    An answer is remembered for ``settings.cache`` seconds, under a hash of everything that was
    sent; a refusal and a failure are not. Requests with the same headers share one question.
    Questions are asked ``settings.at_once`` at a time, one address after the other, and a request
    waits ``settings.timeout`` seconds for its turn and as long for the answer.
    """

    def __init__(
        self,
        settings: Settings,
        question: Question,
        *,
        own_cookies: frozenset[str],
        known_roles: Callable[[], frozenset[str]],
        clock: Clock,
        tasks: Tasks,
    ) -> None:
        self._settings = settings
        self._question = question
        self._own_cookies = own_cookies
        self._known_roles = known_roles
        self._clock = clock.unix
        self._tasks = tasks
        self._complaints = Complaints([_FAILURE], clock=clock.monotonic)
        self._turns = FairTurns(settings.at_once, of_user=max(1, settings.at_once // 2))
        self._known: Expiring[bytes, Identity] = Expiring(
            CAPACITY, max(settings.cache, 0.001), clock=clock.monotonic
        )
        self._asking: dict[bytes, asyncio.Task[Identity | GatewayError]] = {}

    @property
    def takes_authorization(self) -> bool:
        """Whether the header ``Authorization`` is the application's, and no token for us."""
        return any(name.lower() == "authorization" for name in self._settings.headers)

    def proof(self, headers: HTTPHeaders) -> HTTPHeaders | None:
        """The headers of the request that are to be sent; None if it has none of them."""
        chosen = HTTPHeaders()
        if cookies := self._cookies(headers.get_list("Cookie")):
            chosen["Cookie"] = cookies
        for name in self._settings.headers:
            for value in headers.get_list(name):
                chosen.add(name, value)
        return chosen if len(chosen) else None

    async def identify(self, proof: HTTPHeaders, *, address: str) -> Identity:
        """The user of a request with these headers.

        Raises :class:`NotAuthenticated`, and :class:`HookUnavailable` while the application does
        not say.
        """
        key = _key(proof)
        identity = self._known.get(key)
        if identity is not None and identity.expires_at > self._clock():
            return identity
        asking = self._asking.get(key)
        if asking is None:
            if len(self._asking) >= WAITING:
                raise HookUnavailable("too many requests wait to be identified", retry_after=2.0)
            asking = self._asking[key] = self._tasks.spawn(
                self._ask(key, proof, address), "hook: a question to the application"
            )
        try:
            found = await shared(asking)
        except Cancelled as error:
            raise _away() from error
        if isinstance(found, GatewayError):
            raise found
        return found

    async def _ask(self, key: bytes, proof: HTTPHeaders, address: str) -> Identity | GatewayError:
        """Errors are returned: several may wait for them, or nobody any more."""
        try:
            async with self._turns.turn(address, urgent=False, within=self._settings.timeout):
                answer = await self._question(proof)
            identity = self._read(answer)
        except TimeoutError:
            return HookUnavailable("too many requests wait to be identified", retry_after=2.0)
        except NotAuthenticated as error:
            return error
        except HookFailure as error:
            if times := self._complaints.note(_FAILURE):
                logger.warning(
                    "auth.hook: the application does not tell who somebody is, so they are refused"
                    " with 503 (%d times since the last such line): %s",
                    times,
                    error,
                )
            return _away()
        finally:
            del self._asking[key]
        if self._settings.cache:
            self._known.put(key, identity)
        return identity

    def _read(self, answer: Answer) -> Identity:
        """Raises :class:`NotAuthenticated`, :class:`HookFailure`."""
        match answer.status:
            case 200:
                return _identity(answer.body, self._known_roles(), self._clock())
            case 401 | 403:
                raise NotAuthenticated(
                    "the application does not know whose request this is: log in there"
                )
            case 301 | 302 | 303 | 307 | 308:
                raise HookFailure(
                    f"it answers {answer.status}, a redirect, which is not followed: its address"
                    " must answer 401 where it would send a browser to a login page"
                )
            case status:
                raise HookFailure(f"it answers {status} instead of 200, 401 or 403")

    def _cookies(self, given: Iterable[str]) -> str:
        """The cookies that are sent, as they came (RFC 6265, section 4.2.1)."""
        chosen = self._settings.cookies
        pairs = (pair.strip() for line in given for pair in line.split(";"))
        return "; ".join(
            pair
            for pair in pairs
            if (name := pair.partition("=")[0].strip()) not in self._own_cookies
            and pair
            and (chosen is None or name in chosen)
        )


class HttpQuestion:
    """The question over HTTP; make it inside the running loop. Redirects are not followed."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client = SimpleAsyncHTTPClient(
            force_instance=True,
            max_clients=settings.at_once,
            max_body_size=MAX_BYTES,
            max_header_size=MAX_BYTES,
        )

    def __repr__(self) -> str:
        return f"HttpQuestion({self._settings.url})"

    async def __call__(self, headers: HTTPHeaders) -> Answer:
        sent = headers.copy()
        sent["Accept"] = "application/json"
        sent["User-Agent"] = "interact-gateway"
        if self._settings.secret is not None:
            sent["Authorization"] = f"Bearer {self._settings.secret.get_secret_value()}"
        seconds = self._settings.timeout
        request = HTTPRequest(
            self._settings.url,
            headers=sent,
            connect_timeout=seconds,
            request_timeout=seconds,
            follow_redirects=False,
            # A compressed body could unfold beyond the limit.
            decompress_response=False,
        )
        try:
            response = await self._client.fetch(request, raise_error=False)
        except (HTTPClientError, OSError, ValueError) as error:
            # Among them an answer that is larger than the limit, or no HTTP.
            raise HookFailure(
                f"GET {self._settings.url}: {error or type(error).__name__}"
            ) from None
        return Answer(response.code, response.body or b"")


def _identity(body: bytes, known_roles: frozenset[str], now: float) -> Identity:
    """Raises :class:`HookFailure` for whatever is not exactly as it was agreed."""
    try:
        answer = json.loads(body, object_pairs_hook=_once)
    except (ValueError, RecursionError):
        raise HookFailure("its answer is not JSON") from None
    if not isinstance(answer, dict):
        raise HookFailure(
            'its answer must be a JSON object, e.g. {"user": "mina", "expires_in": 600}'
        )
    if unknown := sorted(answer.keys() - {"user", "name", "roles", "expires_in", "expires_at"}):
        raise HookFailure(
            f"its answer has the unknown member {unknown[0][:50]!r}; it may have user, name,"
            " roles, expires_in and expires_at"
        )
    try:
        user = account_name(answer.get("user"))
    except ValueError as error:
        raise HookFailure(f"user: {error}") from None
    roles = answer.get("roles", [])
    if (
        not isinstance(roles, list)
        or len(roles) > _MOST_ROLES
        or not all(isinstance(role, str) for role in roles)
    ):
        raise HookFailure("roles: must be a list of strings")
    return Identity(
        user,
        known_roles.intersection(roles),
        _end(answer, now),
        display_name=_shown(answer) or written_otherwise(answer["user"], user),
    )


def _shown(answer: dict[str, Any]) -> str | None:
    """The name to show. One that cannot be shown keeps nobody out."""
    try:
        return display_name(answer.get("name"))
    except ValueError:
        return None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Two readers would take different values of a name that comes twice."""
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("a name comes twice")
    return members


def _end(answer: dict[str, Any], now: float) -> float:
    given = [name for name in ("expires_in", "expires_at") if name in answer]
    if len(given) != 1:
        raise HookFailure("its answer must have exactly one of expires_in and expires_at")
    value = answer[given[0]]
    try:
        seconds = float(value) if type(value) in (int, float) else math.nan
    except OverflowError:
        # JSON bounds no number.
        seconds = math.inf
    if not math.isfinite(seconds):
        raise HookFailure(f"{given[0]}: must be a number of seconds")
    end = seconds + (now if given[0] == "expires_in" else 0.0)
    if end <= now:
        raise HookFailure(f"{given[0]}: is over already; answer 401 for a login that has ended")
    if end > now + LONGEST:
        raise HookFailure(f"{given[0]}: must be within a year (seconds, not milliseconds)")
    return end


def _key(proof: HTTPHeaders) -> bytes:
    """The hash of what is sent, which is kept in its place."""
    joined = json.dumps(sorted(proof.get_all()))
    return sha256(joined.encode(errors="surrogatepass")).digest()


def _away() -> HookUnavailable:
    return HookUnavailable(
        "the application that tells who you are does not answer as it should", retry_after=2.0
    )
