"""Credentials of a request: ``Authorization: Bearer``, the session cookie, or what the surrounding
application knows its users by."""

from __future__ import annotations

from hashlib import sha256
from typing import Final, Protocol
from urllib.parse import unquote

from tornado.httputil import HTTPHeaders, HTTPServerRequest

from broker.timing.readings import UnixTime
from gateway.auth.hook import Hook
from gateway.auth.names import check_user, is_user
from gateway.auth.revocations import AccessEnded
from gateway.auth.session_cookie import SessionCookie
from gateway.auth.sessions import Sessions
from gateway.auth.tokens import Tokens
from gateway.domain.guest import is_guest
from gateway.domain.identity import Identity
from gateway.errors import Invalid, KeptOut, NotAuthenticated, TokenInvalid
from gateway.expiring import Expiring

#: The user that the caller believes to be, as percent-encoded UTF-8. All tabs share a cookie, so a
#: login in one of them changes the user of the others.
USER_HEADER: Final = "Interact-User"

#: Seconds. A key that is withdrawn stops counting after this time; an expiry counts at once.
LIFETIME: Final = 60.0
CAPACITY: Final = 10_000


class Verified:
    """Credentials of one kind that were verified a moment ago; a signature costs more than the rest
    of a request. Known by their hash: the credentials themselves are not kept."""

    def __init__(self, *, clock: UnixTime) -> None:
        self._clock = clock
        self._known: Expiring[bytes, Identity] = Expiring(CAPACITY, LIFETIME, clock=clock)

    def get(self, proof: str) -> Identity | None:
        """The identity of the credential, if it was verified lately and has not ended since."""
        identity = self._known.get(_key(proof))
        if identity is None or identity.expires_at <= self._clock():
            return None
        return identity

    def add(self, proof: str, identity: Identity) -> None:
        self._known.put(_key(proof), identity)


class KnownSessions(Protocol):
    """The sessions that the database has."""

    async def recognise(self, identity: Identity) -> None:
        """Raises :class:`SessionEnded` if the identity's session is not one of them, and
        :class:`StoreUnavailable`."""

    def see(self, id: str) -> None:
        """Note that the session is in use now."""


class Credentials:
    """The finder of a request's user: by its token, its session cookie, or by asking the
    surrounding application, in this order; a guest's cookie counts only if the caller says to be
    this guest, or the application knows nobody.

    ``tokens`` is None if no issuer is configured: then only local logins exist. ``hook`` is None
    where the application is not asked. ``ended``: whose access has ended, however they prove who
    they are. ``cookie``: the session cookie; None: that of a gateway at the root.
    """

    def __init__(
        self,
        *,
        sessions: Sessions,
        known_sessions: KnownSessions,
        ended: AccessEnded,
        tokens: Tokens | None,
        clock: UnixTime,
        hook: Hook | None = None,
        cookie: SessionCookie | None = None,
    ) -> None:
        self.cookie = cookie or SessionCookie()
        self._sessions = sessions
        self._in_store = known_sessions
        self._ended = ended
        self._hook = hook
        self._clock = clock
        self.forget_sessions()
        self.accept(tokens)

    def accept(self, tokens: Tokens | None) -> None:
        """Check tokens by these from now on, including those that were verified before."""
        self.tokens = tokens
        self._known_tokens = Verified(clock=self._clock)

    def forget_sessions(self) -> None:
        """Verify every session cookie anew, because the secret has changed."""
        # A cache of its own: a token must not pass as a cookie, nor a cookie as a token.
        self._known_sessions = Verified(clock=self._clock)

    @property
    def token_bytes(self) -> int:
        """Bytes of the longest token that is taken; 0 where none are."""
        return 0 if self.tokens is None else self.tokens.max_bytes

    @property
    def accounts_only(self) -> bool:
        """Whether the gateway's own accounts are the only users of rooms that there can be."""
        return self.tokens is None and self._hook is None

    def given(self, request: HTTPServerRequest) -> bool:
        """Whether the request has credentials, valid or not."""
        return (
            "Authorization" in request.headers
            or self.cookie.find(request.headers) is not None
            or (self._hook is not None and self._hook.proof(request.headers) is not None)
        )

    def verified_lately(self, headers: HTTPHeaders) -> str | None:
        """The user of a token or cookie that was valid a moment ago, by a request's headers. It is
        cheap to ask, and no answer: use :meth:`identify` as well."""
        authorization = headers.get("Authorization")
        if authorization is not None:
            identity = self._known_tokens.get(authorization.partition(" ")[2].strip())
        elif (cookie := self.cookie.find(headers)) is not None:
            identity = self._known_sessions.get(_proof(*cookie))
        else:
            return None
        return None if identity is None else identity.user

    def claimed(self, headers: HTTPHeaders) -> str | None:
        """The user of a token or cookie that was valid a moment ago, or of a cookie that a gateway
        has signed: of both it is known without asking anybody. The session may have ended."""
        if (user := self.verified_lately(headers)) is not None or "Authorization" in headers:
            return user
        if (cookie := self.cookie.find(headers)) is None:
            return None
        name, value = cookie
        try:
            return self._sessions.verify(value, secure=name == self.cookie.secure).user
        except (NotAuthenticated, KeptOut):
            return None

    async def identify(self, request: HTTPServerRequest, *, address: str) -> Identity:
        """The user of the request. Raises :class:`NotAuthenticated`, :class:`KeptOut`,
        :class:`HookUnavailable`, :class:`StoreUnavailable`, and :class:`UserChanged` if the caller
        believes to be somebody else. With two credentials the header wins: it was set on purpose.
        ``address`` is the client's.
        """
        identity = await self._identify(request, address)
        self._check_user(request, identity)
        return identity

    def _check_user(self, request: HTTPServerRequest, identity: Identity) -> None:
        if (believed := _believed(request)) is not None:
            check_user(believed, identity)

    async def _identify(self, request: HTTPServerRequest, address: str) -> Identity:
        hook = self._hook
        authorization = request.headers.get("Authorization")
        if authorization is not None and not (hook is not None and hook.takes_authorization):
            scheme, _, token = authorization.partition(" ")
            if scheme.lower() != "bearer" or not token.strip():
                raise NotAuthenticated("the Authorization header must be: Bearer <token>")
            return await self.verify(token.strip())
        proof = None if hook is None else hook.proof(request.headers)
        if (cookie := self.cookie.find(request.headers)) is not None:
            try:
                identity = await self._session(*cookie)
            except NotAuthenticated:
                # Left behind by a login that has ended: the application knows better.
                if proof is None:
                    raise
            else:
                if hook is None or proof is None or not is_guest(identity.user):
                    return identity
                believed = _believed(request)
                if believed is not None and is_user(believed, identity):
                    # A page of the guest says so with each call; the application is asked no more.
                    return identity
                return await self._by_application(hook, proof, address, guest=identity)
        if hook is not None and proof is not None:
            return await self._by_application(hook, proof, address)
        raise NotAuthenticated(
            "log in by POST /api/session, or send the header Authorization: Bearer <token>"
        )

    async def _by_application(
        self, hook: Hook, proof: HTTPHeaders, address: str, *, guest: Identity | None = None
    ) -> Identity:
        """The user whom the application knows, or else the ``guest``: anybody is one who has seen a
        code on a wall, and on a device that pupils share the cookie may be the one of a lesson
        before."""
        try:
            identity = await hook.identify(proof, address=address)
            self._ended.check(identity)
        except NotAuthenticated:
            if guest is None:
                raise
            return guest
        return identity

    async def session(self, request: HTTPServerRequest) -> Identity | None:
        """The user of the cookie's session, if that goes on. Raises :class:`UserChanged`,
        :class:`StoreUnavailable`."""
        cookie = self.cookie.find(request.headers)
        if cookie is None:
            return None
        try:
            identity = await self._session(*cookie)
        except (NotAuthenticated, KeptOut):
            return None
        hook = self._hook
        if hook is None or not is_guest(identity.user) or hook.proof(request.headers) is None:
            self._check_user(request, identity)
        return identity

    async def verify(self, token: str) -> Identity:
        """The user of a JWT. Raises :class:`NotAuthenticated`, :class:`KeptOut`."""
        tokens, known = self.tokens, self._known_tokens
        if tokens is None:
            raise TokenInvalid("this gateway accepts no tokens: no issuer is configured (auth.jwt)")
        identity = known.get(token)
        if identity is None:
            identity = await tokens.verify(token)
            known.add(token, identity)
        self._ended.check(identity)
        return identity

    async def _session(self, name: str, cookie: str) -> Identity:
        proof, known = _proof(name, cookie), self._known_sessions
        identity = known.get(proof)
        if identity is None:
            identity = self._sessions.verify(cookie, secure=name == self.cookie.secure)
            await self._in_store.recognise(identity)
            # Not among those of a new secret, which may have come meanwhile.
            known.add(proof, identity)
        # Also after the database was asked: it may have ended in between.
        self._sessions.check(identity)
        if identity.session is not None:
            self._in_store.see(identity.session)
        return identity


def _proof(name: str, cookie: str) -> str:
    """By name and value: a value of one name is not valid under the other."""
    return f"{name}={cookie}"


def _believed(request: HTTPServerRequest) -> str | None:
    """The user who the caller believes to be, as JavaScript's encodeURIComponent writes it; None:
    the caller does not say. Raises :class:`Invalid`."""
    header = request.headers.get(USER_HEADER)
    try:
        return None if header is None else unquote(header, errors="strict")
    except UnicodeDecodeError:
        raise Invalid(f"{USER_HEADER}: must be a user name as percent-encoded UTF-8") from None


def _key(proof: str) -> bytes:
    return sha256(proof.encode(errors="surrogatepass")).digest()
