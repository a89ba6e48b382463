"""``/api/session``: log in, show the login, log out."""

from __future__ import annotations

from datetime import UTC, datetime
from http.cookies import Morsel
from typing import Annotated, Any, Final, Self

from pydantic import Field, model_validator

from gateway.auth.credentials import SECURE_COOKIE, SESSION_COOKIE, has_plain_cookie
from gateway.config import LARGEST_TOKEN
from gateway.domain.identity import Identity
from gateway.domain.message import timestamp
from gateway.domain.session import LoginSession
from gateway.errors import NotAuthenticated
from gateway.http.api import ApiHandler
from gateway.http.body import Body

#: Bytes of a body, which anybody may send: the longest token, and what is around it.
_MOST_BODY: Final = LARGEST_TOKEN + 8 * 1024
#: Characters of a browser's ``User-Agent`` that are kept.
_LONGEST_DEVICE: Final = 200

#: Checking a longer one would only take more time.
_Password = Annotated[str, Field(min_length=1, max_length=1024)]
_Token = Annotated[str, Field(min_length=1, max_length=LARGEST_TOKEN)]
_User = Annotated[str, Field(min_length=1, max_length=255)]


class Login(Body):
    """The body of a login: a local account's name and password, or a JWT of the surrounding
    system."""

    user: _User | None = None
    password: _Password | None = Field(default=None, repr=False)
    token: _Token | None = Field(default=None, repr=False)

    @model_validator(mode="after")
    def _one_proof(self) -> Self:
        given = (self.user is not None, self.password is not None, self.token is not None)
        if given not in ((True, True, False), (False, False, True)):
            raise ValueError("give either user and password, or token")
        return self


class SessionHandler(ApiHandler):
    """The session of the cookie: POST logs in, GET shows the user, DELETE logs out."""

    for_anybody = True

    @property
    def most_body(self) -> int:
        return min(super().most_body, _MOST_BODY)

    async def get(self) -> None:
        self.write_json(_as_json(await self.identity()))

    async def post(self) -> None:
        login = self.body(Login)
        address = self.caller.address
        device = _device(self.request.headers.get("User-Agent", ""))
        if login.token is not None:
            proven = await self._by_token(login.token, address)
            identity = await self.services.logins.by_token(proven, address=address, device=device)
        else:
            identity = await self.services.logins.by_password(
                login.user or "", login.password or "", address=address, device=device
            )
        cookie = self.services.sessions.sign(identity, secure=self.caller.secure)
        self._set_session(cookie, max_age=identity.expires_at - self.services.clock())
        self.write_json(_as_json(identity))

    async def _by_token(self, token: str, address: str) -> Identity:
        guesses = self.services.accounts.guesses
        guesses.check(address)
        try:
            return await self.services.credentials.verify(token)
        except NotAuthenticated:
            guesses.wrong(address)
            self.services.logins.wrong_token()
            raise

    async def delete(self) -> None:
        identity = await self.services.credentials.session(self.request)
        if identity is not None:
            await self.services.logins.log_out(identity)
        self._set_session("", max_age=0)
        self.set_status(204)

    def _set_session(self, value: str, *, max_age: float) -> None:
        """Give the browser this session, and no other one under the cookie's other name."""
        if not self.caller.secure:
            self._set_cookie(SESSION_COOKIE, value, max_age=max_age)
            return
        self._set_cookie(SECURE_COOKIE, value, max_age=max_age)
        if has_plain_cookie(self.request):
            self._set_cookie(SESSION_COOKIE, "", max_age=0)

    def _set_cookie(self, name: str, value: str, *, max_age: float) -> None:
        cookie: Morsel[str] = Morsel()
        cookie.set(name, value, value)
        cookie.update({"path": "/", "httponly": "yes", "samesite": "Strict"})
        cookie["max-age"] = str(max(0, int(max_age)))
        if self.caller.secure:
            cookie["secure"] = "yes"
        self.add_header("Set-Cookie", cookie.OutputString())


class SessionsHandler(ApiHandler):
    """The user's sessions: GET lists them, DELETE ends all but the one that asks."""

    async def get(self) -> None:
        identity = await self.identity()
        own = await self.services.logins.own(identity)
        self.write_json({"sessions": [_session_json(each, identity) for each in own]})

    async def delete(self) -> None:
        ended = await self.services.logins.end_others(await self.identity())
        self.write_json({"ended": ended})


class OneSessionHandler(ApiHandler):
    """One of the user's sessions: DELETE ends it, with everything that it has opened."""

    async def delete(self, id: str) -> None:
        await self.services.logins.end_own(await self.identity(), id)
        self.set_status(204)


def _session_json(session: LoginSession, caller: Identity) -> dict[str, Any]:
    is_current = session.id == caller.session
    last_seen = session.last_seen or session.since
    return {
        "id": session.id,
        "since": timestamp(session.since),
        "last_seen": timestamp(last_seen),
        "until": timestamp(session.until),
        "address": session.address,
        "device": session.device,
        "current": is_current,
    }


def _device(user_agent: str) -> str:
    """The header as it can be shown and stored."""
    return "".join(sign for sign in user_agent if sign.isprintable())[:_LONGEST_DEVICE]


def _as_json(identity: Identity) -> dict[str, Any]:
    return {
        "user": identity.user,
        "roles": sorted(identity.roles),
        "expires_at": timestamp(datetime.fromtimestamp(identity.expires_at, UTC)),
    } | ({} if identity.display_name is None else {"name": identity.display_name})
