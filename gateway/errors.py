"""Everything that is refused or fails, and how each is told to the outside.

    GatewayError
    ├── NotAuthenticated          who are you?
    │   ├── TokenExpired
    │   ├── TokenInvalid          forged, malformed, wrong issuer, audience or algorithm
    │   ├── SessionEnded          logged out, or the account was removed or changed
    │   └── UserChanged           somebody else has logged in in the same browser
    ├── Refused                   known, but not allowed
    │   ├── OriginRefused
    │   ├── BrokerRefused         RabbitMQ has ended the session for what was sent
    │   └── Removed               a membership was ended by somebody
    │       └── Kicked            a connection was, by an admin
    ├── Invalid                   the request makes no sense
    │   ├── BadFrame              STOMP or RFC 6455 framing
    │   ├── ConnectFirst          more was sent before CONNECT than CONNECT needs
    │   ├── BadUtf8
    │   ├── TooLarge
    │   ├── HeadTooLarge, HeadTooSlow  of an HTTP request
    │   ├── UnknownPath, MethodNotAllowed, UpgradeNeeded
    │   ├── UnknownRoom, UnknownMember, UnknownAccount, RoomClosed
    │   ├── UnknownNode, UnknownGateway
    │   ├── NotKept               a seq that the history does not reach back to
    │   ├── LastHost
    │   └── IdReused              the same id with other content
    ├── RateLimited
    │   ├── TooManyGuesses        failed logins, of an address or for an account
    │   └── TooManyReads          of the history, by one user
    ├── TooSlow                   a reader that does not keep up
    ├── Internal                  a fault of the gateway; the log knows more
    └── Unavailable               try again later
        ├── StoreUnavailable
        ├── BrokerUnavailable
        ├── NoCapacity
        │   ├── TooManyUnknown    connections that have not said who they are
        │   ├── LoginsWait        more logins wait than can be checked soon
        │   ├── TooManyHttp       connections without a WebSocket
        │   └── ReadsBusy         of the history, by all together
        └── Draining

:data:`ERRORS` is the only place that knows statuses, close codes and public titles.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from broker.protocol.websocket import CloseCode


class GatewayError(Exception):
    """``detail`` is public: it names what is wrong and what would be right, never a secret.

    ``retry_after`` is in seconds, where trying again helps.
    """

    def __init__(self, detail: str, *, retry_after: float | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after = retry_after


class NotAuthenticated(GatewayError):
    pass


class TokenExpired(NotAuthenticated):
    pass


class TokenInvalid(NotAuthenticated):
    pass


class SessionEnded(NotAuthenticated):
    pass


class UserChanged(NotAuthenticated):
    pass


class Refused(GatewayError):
    pass


class OriginRefused(Refused):
    pass


class BrokerRefused(Refused):
    pass


class Removed(Refused):
    pass


class Kicked(Removed):
    pass


class Invalid(GatewayError):
    pass


class BadFrame(Invalid):
    pass


class ConnectFirst(Invalid):
    pass


class BadUtf8(Invalid):
    pass


class TooLarge(Invalid):
    pass


class HeadTooLarge(Invalid):
    pass


class HeadTooSlow(Invalid):
    pass


class UnknownPath(Invalid):
    pass


class MethodNotAllowed(Invalid):
    pass


class UpgradeNeeded(Invalid):
    pass


class UnknownRoom(Invalid):
    pass


class UnknownMember(Invalid):
    pass


class UnknownAccount(Invalid):
    pass


class UnknownNode(Invalid):
    pass


class UnknownGateway(Invalid):
    pass


class RoomClosed(Invalid):
    pass


class NotKept(Invalid):
    pass


class LastHost(Invalid):
    pass


class IdReused(Invalid):
    pass


class RateLimited(GatewayError):
    pass


class TooManyGuesses(RateLimited):
    pass


class TooManyReads(RateLimited):
    pass


class TooSlow(GatewayError):
    pass


class Internal(GatewayError):
    pass


class Unavailable(GatewayError):
    pass


class StoreUnavailable(Unavailable):
    """``reason``: the database's own words, for the log and for operators only."""

    def __init__(
        self, detail: str, *, retry_after: float | None = None, reason: str | None = None
    ) -> None:
        super().__init__(detail, retry_after=retry_after)
        self.reason = reason


class BrokerUnavailable(Unavailable):
    pass


class NoCapacity(Unavailable):
    pass


class TooManyUnknown(NoCapacity):
    pass


class LoginsWait(NoCapacity):
    pass


class TooManyHttp(NoCapacity):
    pass


class ReadsBusy(NoCapacity):
    pass


class Draining(Unavailable):
    pass


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an error leaves the gateway: RFC 9457 ``code``/``title``/status, WebSocket close code."""

    code: str
    status: int
    close_code: CloseCode
    title: str


ERRORS: Final[dict[type[GatewayError], Outcome]] = {
    NotAuthenticated: Outcome(
        "not_authenticated", 401, CloseCode.NOT_AUTHENTICATED, "Authentication is needed"
    ),
    TokenExpired: Outcome(
        "token_expired", 401, CloseCode.NOT_AUTHENTICATED, "The token has expired"
    ),
    TokenInvalid: Outcome(
        "token_invalid", 401, CloseCode.NOT_AUTHENTICATED, "The token is not valid here"
    ),
    SessionEnded: Outcome(
        "session_ended", 401, CloseCode.NOT_AUTHENTICATED, "The session has ended"
    ),
    UserChanged: Outcome(
        "user_changed", 401, CloseCode.NOT_AUTHENTICATED, "Another user is logged in now"
    ),
    Refused: Outcome("access_refused", 403, CloseCode.REFUSED, "Not allowed"),
    OriginRefused: Outcome(
        "origin_refused", 403, CloseCode.REFUSED, "This web origin is not allowed"
    ),
    BrokerRefused: Outcome(
        "broker_refused", 403, CloseCode.REFUSED, "The broker refused what was sent"
    ),
    Removed: Outcome("removed", 403, CloseCode.REFUSED, "Access was ended"),
    Kicked: Outcome("kicked", 403, CloseCode.REFUSED, "The connection was ended"),
    Invalid: Outcome("invalid_request", 400, CloseCode.PROTOCOL_ERROR, "Invalid request"),
    BadFrame: Outcome("bad_frame", 400, CloseCode.PROTOCOL_ERROR, "Broken frame"),
    ConnectFirst: Outcome(
        "connect_first", 400, CloseCode.PROTOCOL_ERROR, "CONNECT must come first"
    ),
    BadUtf8: Outcome("bad_utf8", 400, CloseCode.INVALID_DATA, "Not UTF-8"),
    TooLarge: Outcome("too_large", 413, CloseCode.TOO_LARGE, "Too large"),
    HeadTooLarge: Outcome(
        "head_too_large", 431, CloseCode.TOO_LARGE, "Request Header Fields Too Large"
    ),
    HeadTooSlow: Outcome("head_too_slow", 408, CloseCode.POLICY_VIOLATION, "Request Timeout"),
    UnknownPath: Outcome("unknown_path", 404, CloseCode.REFUSED, "Nothing is here"),
    MethodNotAllowed: Outcome(
        "method_not_allowed", 405, CloseCode.REFUSED, "This method is not served here"
    ),
    UpgradeNeeded: Outcome(
        "upgrade_needed", 426, CloseCode.PROTOCOL_ERROR, "A WebSocket upgrade is needed"
    ),
    UnknownRoom: Outcome("unknown_room", 404, CloseCode.REFUSED, "There is no such room"),
    UnknownMember: Outcome("unknown_member", 404, CloseCode.REFUSED, "There is no such member"),
    UnknownAccount: Outcome("unknown_account", 404, CloseCode.REFUSED, "There is no such account"),
    UnknownNode: Outcome("unknown_node", 404, CloseCode.REFUSED, "There is no such broker node"),
    UnknownGateway: Outcome("unknown_gateway", 404, CloseCode.REFUSED, "There is no such gateway"),
    RoomClosed: Outcome("room_closed", 410, CloseCode.REFUSED, "The room is closed"),
    NotKept: Outcome("not_kept", 410, CloseCode.REFUSED, "The history does not reach so far back"),
    LastHost: Outcome("last_host", 409, CloseCode.REFUSED, "A room needs a host"),
    IdReused: Outcome("id_reused", 422, CloseCode.REFUSED, "This id was used for another message"),
    RateLimited: Outcome("rate_limited", 429, CloseCode.TRY_AGAIN_LATER, "Too many requests"),
    TooManyGuesses: Outcome(
        "too_many_guesses", 429, CloseCode.TRY_AGAIN_LATER, "Too many failed logins"
    ),
    TooManyReads: Outcome(
        "too_many_reads", 429, CloseCode.TRY_AGAIN_LATER, "Too many reads at once"
    ),
    TooSlow: Outcome("too_slow", 503, CloseCode.TOO_SLOW, "The reader does not keep up"),
    Internal: Outcome("internal_error", 500, CloseCode.INTERNAL_ERROR, "The gateway failed"),
    Unavailable: Outcome("unavailable", 503, CloseCode.TRY_AGAIN_LATER, "Try again later"),
    StoreUnavailable: Outcome(
        "store_unavailable", 503, CloseCode.TRY_AGAIN_LATER, "The history is not available"
    ),
    BrokerUnavailable: Outcome(
        "broker_unavailable", 503, CloseCode.SERVICE_RESTART, "The broker is not available"
    ),
    NoCapacity: Outcome("no_capacity", 503, CloseCode.TRY_AGAIN_LATER, "No capacity left"),
    TooManyUnknown: Outcome(
        "too_many_unknown",
        503,
        CloseCode.TRY_AGAIN_LATER,
        "Too many connections have not said who they are",
    ),
    TooManyHttp: Outcome(
        "too_many_connections", 503, CloseCode.TRY_AGAIN_LATER, "Too many HTTP connections"
    ),
    LoginsWait: Outcome(
        "logins_wait", 503, CloseCode.TRY_AGAIN_LATER, "Many are logging in just now"
    ),
    ReadsBusy: Outcome("reads_busy", 503, CloseCode.TRY_AGAIN_LATER, "Too many read at once"),
    Draining: Outcome("draining", 503, CloseCode.SERVICE_RESTART, "The gateway is draining"),
}


def outcome(error: GatewayError) -> Outcome:
    """The row of the nearest class in :data:`ERRORS`."""
    for kind in type(error).__mro__:
        if kind in ERRORS:
            return ERRORS[kind]
    raise LookupError(f"{type(error).__name__} has no row in ERRORS") from error
