"""``/api/session``: log in, show the login, log out."""

from __future__ import annotations

from typing import Annotated, Final, Self

from pydantic import Field, model_validator
from typing_extensions import TypedDict

from gateway.config import LARGEST_TOKEN
from gateway.domain.identity import Identity
from gateway.domain.message import timestamp
from gateway.domain.session import LoginSession
from gateway.errors import (
    NotAuthenticated,
    UnknownSession,
)
from gateway.http.api import ApiHandler
from gateway.http.body import Body
from gateway.http.contract.operation import OF_USERS, Answer, Operation, Who
from gateway.http.contract.shapes import Identified, Moment
from gateway.http.session_cookie import device_of, identity_json, set_session

#: Bytes of a body, which anybody may send: the longest token, and what is around it.
_MOST_BODY: Final = LARGEST_TOKEN + 8 * 1024

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


class ShownSession(TypedDict):
    """One of the user's sessions. ``device``: what the browser says of itself; ``current``: the one
    that asks."""

    id: str
    since: Moment
    last_seen: Moment
    until: Moment
    address: str
    device: str
    current: bool


class ShownSessions(TypedDict):
    """The sessions of a user."""

    sessions: list[ShownSession]


class EndedSessions(TypedDict):
    """The number of sessions that have been ended."""

    ended: int


class SessionHandler(ApiHandler):
    """The session of the cookie: POST logs in, GET shows the user, DELETE logs out."""

    for_anybody = True

    @property
    def most_body(self) -> int:
        return min(super().most_body, _MOST_BODY)

    @Operation(
        "Show the user, and until when the login lasts",
        who=Who.USER,
        answers={200: Answer("The user.", Identified)},
    )
    async def get(self) -> None:
        self.write_json(identity_json(await self.identity()))

    @Operation(
        "Log in, with the password of a local account or a token of the surrounding system",
        who=Who.ANYBODY,
        body=Login,
        answers={
            200: Answer("The user; the cookie is the session.", Identified, headers=("Set-Cookie",))
        },
        refuses=(*OF_USERS,),
    )
    async def post(self) -> None:
        login = self.body(Login)
        address = self.caller.address
        device = device_of(self.request)
        if login.token is not None:
            proven = await self._by_token(login.token, address)
            identity = await self.services.logins.by_token(proven, address=address, device=device)
        else:
            identity = await self.services.logins.by_password(
                login.user or "", login.password or "", address=address, device=device
            )
        cookie = self.services.sessions.sign(identity, secure=self.caller.secure)
        set_session(self, cookie, max_age=identity.expires_at - self.services.clock())
        self.write_json(identity_json(identity))

    async def _by_token(self, token: str, address: str) -> Identity:
        try:
            return await self.services.credentials.verify(token)
        except NotAuthenticated:
            # Nobody guesses a signature: a good token is taken whatever neighbours send.
            guesses = self.services.accounts.guesses
            guesses.check(address)
            guesses.wrong(address)
            self.services.logins.wrong_token()
            raise

    @Operation(
        "Log out: the session of the cookie ends, on every gateway",
        who=Who.ANYBODY,
        answers={204: Answer("Logged out, or nobody was logged in.", headers=("Set-Cookie",))},
        refuses=OF_USERS,
    )
    async def delete(self) -> None:
        identity = await self.services.credentials.session(self.request)
        if identity is not None:
            await self.services.logins.log_out(identity)
        set_session(self, "", max_age=0)
        self.set_status(204)


class SessionsHandler(ApiHandler):
    """The user's sessions: GET lists them, DELETE ends all but the one that asks."""

    @Operation(
        "List the sessions of the user",
        who=Who.USER,
        answers={200: Answer("The sessions.", ShownSessions)},
    )
    async def get(self) -> None:
        identity = await self.identity()
        own = await self.services.logins.own(identity)
        self.write_json(ShownSessions(sessions=[_session_json(each, identity) for each in own]))

    @Operation(
        "End all sessions of the user but the one that asks",
        who=Who.USER,
        answers={200: Answer("How many.", EndedSessions)},
    )
    async def delete(self) -> None:
        ended = await self.services.logins.end_others(await self.identity())
        self.write_json(EndedSessions(ended=ended))


class OneSessionHandler(ApiHandler):
    """One of the user's sessions: DELETE ends it, with everything that it has opened."""

    @Operation(
        "End one session of the user, with everything that it has opened",
        who=Who.USER,
        answers={204: Answer("Ended.")},
        refuses=(UnknownSession,),
    )
    async def delete(self, id: str) -> None:
        await self.services.logins.end_own(await self.identity(), id)
        self.set_status(204)


def _session_json(session: LoginSession, caller: Identity) -> ShownSession:
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
