"""All errors that the gateway reports, and the form in which each leaves it.

    GatewayError
    ├── NotAuthenticated          the credentials are missing or wrong
    │   ├── TokenExpired
    │   ├── TokenInvalid          forged, malformed, wrong issuer, audience or algorithm
    │   ├── SessionEnded          logged out, or the account was removed or changed
    │   ├── UserChanged           another user has logged in in the same browser
    │   └── WrongLogin            RabbitMQ does not take the login of CONNECT
    ├── Refused                   known, but not allowed
    │   ├── OriginRefused
    │   ├── HostRefused           a name by which the internal listener is not reached
    │   ├── NetworkRefused        a question that only RabbitMQ's networks may ask
    │   ├── CredentialsDiffer     CONNECT names another user than the handshake
    │   ├── Muted, ChatOff        a participant who may not speak now
    │   ├── ApprovalNeeded        for what cannot wait for it
    │   ├── KeyRefused            of the room's state, which others write
    │   ├── BrokerRefused         RabbitMQ has ended the session for something that was sent
    │   ├── UnknownVirtualHost    CONNECT's host
    │   ├── Removed               a membership was ended by somebody
    │   │   └── Kicked            a connection was ended by an admin
    │   ├── GuestsRefused         a class code that lets in nobody without an account
    │   ├── TurnedAway            a host has refused a knock, or removed who comes back by the code
    │   └── KeptOut               an admin lets the user in again later
    ├── Invalid                   the request makes no sense
    │   ├── BadFrame              STOMP or RFC 6455 framing
    │   ├── ConnectFirst          more was sent before CONNECT than CONNECT needs
    │   ├── BadUtf8
    │   ├── TooLarge
    │   ├── HeadTooLarge, HeadTooSlow, BodyTooSlow  of an HTTP request
    │   ├── UnknownPath, MethodNotAllowed, UpgradeNeeded
    │   ├── UnknownRoom, UnknownMember, RoomClosed, RoomReplaced, HistoryFull
    │   ├── UnknownNode, UnknownGateway, UnknownCode, UnknownKnock
    │   ├── UnknownAccount
    │   ├── UnknownSession        of the user who asks; or it has ended
    │   ├── NotKeptOut            somebody who is to be let in again
    │   ├── RevocationsFull
    │   ├── NotKept               a seq that the history does not reach back to
    │   ├── BadBody               of a message that the gateway acts on
    │   ├── NotOpen               the key that must stand in the room's state does not
    │   ├── TooManyKeys           in a room's state, of the room or of one author
    │   ├── StateFull             in a room's state, too many bytes of one author, or of all
    │   ├── NotWaiting            a message about which a host decides, and that does not wait
    │   ├── RoomFull              of members
    │   ├── TooManyOpenRooms      made by one user
    │   ├── TooManyQueues         durable ones at the broker, named by one user
    │   ├── LastHost
    │   └── IdReused              the same id with other content
    ├── RateLimited               one user, connection, room or address has too much: 429
    │   ├── TooManyBytes          in posts of one user
    │   ├── TooManyGuesses        failed logins, of an address or for an account
    │   ├── TooManyReads          of the history by one user at a time
    │   ├── TooMuchRead           of the history by one user, in bytes
    │   ├── SlowMode              a participant who has just spoken
    │   ├── TooManyWaiting        messages for a host's approval
    │   ├── TooManyExports        of rooms by one user at a time
    │   ├── TooManyLogins         of one user, or from one address at once
    │   ├── TooManyCodes          wrong class codes, of an address or of all
    │   ├── TooManyJoins          calls with class codes, of an address or of all
    │   ├── TooManyConnects       new HTTP connections from one address
    │   ├── TooManyUpgrades       new WebSockets from one address
    │   ├── TooManyPosts          waiting for the store, of one user
    │   ├── TooManyDials          relays opened by one user
    │   ├── TooManySubscriptions  at the broker by one user, in a short time
    │   ├── TooManyRooms          made by one user, in a short time
    │   ├── TooManyChanges        of members by one user, in a short time
    │   ├── RoomBusy              too much is posted to one room
    │   ├── JoinsWait             more people enter one room at once than can be let in
    │   ├── TooManyKnocks         at the door of one room
    │   ├── TooManyOfUser         connections of one user
    │   ├── TooManyUnknown        connections from one address that have not authenticated yet
    │   ├── TooManyHttp           connections from one address without a WebSocket
    │   ├── TooManyDashboards     of one admin at one gateway
    │   ├── SubscriptionsFull     too many of one connection
    │   ├── TooManyCopies         subscriptions of one user to the same destination
    │   ├── TooMuchOpen           transactions and receipts of one connection
    │   └── FramesBusy            parts of frames, and much of it from this client
    ├── TooSlow                   a client that does not read fast enough
    ├── Silent                    a client of which nothing is heard any more
    ├── Internal                  a fault of the gateway; its log has the details
    └── Unavailable               what gateway, broker or store cannot do now, for anybody: 503
        ├── StoreUnavailable
        ├── HookUnavailable       the application that tells who somebody is
        ├── BrokerUnavailable
        ├── NoCapacity            of this gateway, for all users together
        │   ├── LoginsWait        more logins wait than can be checked soon
        │   ├── PostsBusy         posts of all users together wait for the store
        │   ├── PublishingBehind  too much waits for RabbitMQ
        │   ├── RoomsFull         of all users together
        │   ├── ExportsBusy       of rooms by all users together
        │   ├── DialsBusy         too many relays wait to be opened
        │   └── ReadsBusy         of the history by all users together
        └── Draining

:data:`ERRORS` is the only table of statuses, close codes and public titles.

A load balancer takes 503 as the gateway's own failure, and asks another one. So whatever the doing
of one client, room or address provokes is 429.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from broker.protocol.websocket import CloseCode


class GatewayError(Exception):
    """An error with a public meaning. ``detail`` is public too: it names what is wrong and what
    would be right, never a secret.

    ``retry_after`` is in seconds, where trying again helps. ``budget``: the limit that was met, for
    admins (:mod:`gateway.budget`), e.g. ``posts/user``.
    """

    #: What stands in the header ``message`` of an ERROR frame instead of the code: RabbitMQ's own.
    stomp_message: str | None = None
    #: What to do about it, for whoever writes a client. A kind without a line of its own has its
    #: parent's.
    advice: ClassVar[str]

    def __init__(self, detail: str, *, retry_after: float | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after = retry_after
        self.budget: str | None = None


class NotAuthenticated(GatewayError):
    """The credentials are missing or wrong."""

    advice = "Log in, or send a token as Authorization: Bearer."


class TokenExpired(NotAuthenticated):
    """The token has expired; a new one helps."""

    advice = "Get a new token; on a WebSocket SEND it to /gateway/token before the old one ends."


class TokenInvalid(NotAuthenticated):
    """The token is forged, malformed, or not meant for this gateway."""

    advice = "Get a token from an issuer, and for an audience, that the configuration names."


class SessionEnded(NotAuthenticated):
    """The session has ended: logged out, or the account was removed or changed."""

    advice = "Log in again."


class UserChanged(NotAuthenticated):
    """Another user has logged in in the same browser."""

    advice = "Load the page again: it belongs to the user who is logged in now."


class WrongLogin(NotAuthenticated):
    """RabbitMQ does not take the login and passcode of CONNECT; the text is RabbitMQ's."""

    advice = "Send the login and passcode of a user of RabbitMQ."

    stomp_message = "Bad CONNECT"


class Refused(GatewayError):
    """The user is known, but not allowed to do this."""

    advice = "Ask somebody who may; repeated as it is, it is refused again."


class OriginRefused(Refused):
    """Pages of this web origin may not use the gateway."""

    advice = "Add the page's origin to server.origins."


class HostRefused(Refused):
    """The header Host names something that is not this listener."""

    advice = "Use the listener's address, or add the name to server.internal_hosts."


class NetworkRefused(Refused):
    """The address may not ask what RabbitMQ asks."""

    advice = "Add the network of the RabbitMQ nodes to server.internal_networks."


class CredentialsDiffer(Refused):
    """CONNECT names another user than the credentials of the handshake."""

    advice = "Send the credentials of one user only."


class Muted(Refused):
    """A host has muted the participant."""

    advice = "Wait until a host lets you speak again."


class ChatOff(Refused):
    """The room's hosts let nobody else speak to everyone now."""

    advice = "Wait until a host lets everybody speak again."


class ApprovalNeeded(Refused):
    """A message to everyone that cannot wait for a host's approval, in a room where all wait."""

    advice = "Send a guaranteed message without a key; it then waits for a host."


class KeyRefused(Refused):
    """The sender may not write this key of the room's state, or not that of somebody else."""

    advice = "Write your own entries of the keys in rooms.participant_keys; hosts write any key."


class BrokerRefused(Refused):
    """RabbitMQ has ended the session because of something that was sent."""

    advice = "Change what was sent; the ERROR frame has RabbitMQ's own words."


class UnknownVirtualHost(Refused):
    """CONNECT names a virtual host that is not open to clients; the text is RabbitMQ's."""

    advice = "Name a virtual host that is open to clients in CONNECT's host, or none."

    stomp_message = "Bad CONNECT"


class Removed(Refused):
    """Somebody has ended or changed a membership."""

    advice = "Ask a host of the room to add you again."


class Kicked(Removed):
    """An admin has ended the connection."""

    advice = "Connect again; an admin has ended this connection only."


class GuestsRefused(Refused):
    """The class code lets in nobody without an account."""

    advice = "Log in with an account, then come in by the code."


class TurnedAway(Refused):
    """A host has refused the knock, or has removed the member who comes back by the class code."""

    advice = "Ask a host of the room."


class KeptOut(Refused):
    """An admin lets the user in again later; ``retry_after`` says when."""

    advice = "Come back when Retry-After says, or ask an admin."


#: The errors by which access ends: a client gets nothing more of what was queued for it before.
ACCESS_ENDED: Final = (NotAuthenticated, Removed, KeptOut)


class Invalid(GatewayError):
    """The request is malformed or makes no sense."""

    advice = "Change the request as the detail says; repeated as it is, it fails again."


class BadFrame(Invalid):
    """The STOMP or WebSocket framing is wrong."""


class ConnectFirst(Invalid):
    """The client has sent more before CONNECT than CONNECT needs."""

    advice = "Send CONNECT before anything else."


class BadUtf8(Invalid):
    """Text that must be UTF-8 is not."""


class TooLarge(Invalid):
    """A body, frame or message is larger than its limit."""

    advice = "Send less at once; the detail has the limit."


class HeadTooLarge(Invalid):
    """An HTTP request's head is larger than its limit."""

    advice = "Send fewer or shorter headers."


class HeadTooSlow(Invalid):
    """An HTTP request's head has not arrived in time."""

    advice = "Send the whole head at once."


class BodyTooSlow(Invalid):
    """An HTTP request's body arrives too slowly."""

    advice = "Send the body faster, or a smaller one."


class UnknownPath(Invalid):
    """No resource has this path."""

    advice = "Compare the path with this document."


class MethodNotAllowed(Invalid):
    """The resource has no such method."""

    advice = "Use one of the methods in the header Allow."


class UpgradeNeeded(Invalid):
    """The resource serves WebSocket upgrades only."""

    advice = "Connect with a WebSocket client, by ws:// or wss://."


class UnknownRoom(Invalid):
    """There is no such room."""

    advice = "Look the number up in GET /api/rooms."


class UnknownMember(Invalid):
    """The room has no such member."""

    advice = "Look the name up in GET /api/rooms/{room}/members."


class UnknownNode(Invalid):
    """No broker node has this name."""

    advice = "Use a name of broker.nodes, as the dashboard shows it."


class UnknownGateway(Invalid):
    """No gateway of this name is up."""

    advice = "Use a name that the dashboard shows."


class UnknownCode(Invalid):
    """No open room has this class code."""

    advice = "Look at the room's code again; a host may have made a new one."


class UnknownKnock(Invalid):
    """Nobody has knocked so, or it was too long ago."""

    advice = "Knock again, without the old knock."


class UnknownAccount(Invalid):
    """Nobody of this name has an account."""

    advice = "Look the name up in GET /api/admin/accounts."


class UnknownSession(Invalid):
    """The user has no such session, or it has ended."""

    advice = "Look the id up in GET /api/sessions."


class NotKeptOut(Invalid):
    """Nobody of this name is kept out."""

    advice = "Nothing: the user may come in."


class RevocationsFull(Invalid):
    """The revocation list has as many entries as it may have."""

    advice = (
        "Let tokens live for a shorter time, or wait until some of the revoked ones have ended."
    )


class RoomClosed(Invalid):
    """The room is closed."""

    advice = "Ask a host to open it again (POST /api/rooms/{room}/open)."


class RoomReplaced(Invalid):
    """The room of this number is another one than the client knows: the database is a new one, or
    an older backup."""

    advice = "Forget what you have kept of the room, and load it anew."


class HistoryFull(Invalid):
    """The room's history has as much as it may have."""

    advice = "Go on in a new room, e.g. a copy (POST /api/rooms/{room}/copy)."


class NotKept(Invalid):
    """The history does not reach back to this seq."""

    advice = "Begin again at a later seq; GET /api/rooms/{room}/messages says from where."


class BadBody(Invalid):
    """The body of a message that the gateway acts on has another form than its key wants."""


class NotOpen(Invalid):
    """The message was to be stored only while a key of the room's state stands, which does not."""

    advice = "Do not repeat it: what it answers is not open."


class TooManyKeys(Invalid):
    """The room's state has as many entries of the room, or of one author, as it may have."""

    advice = "Clear an entry first, by a body of null."


class StateFull(Invalid):
    """The room's state has as many bytes of one author, or of all, as it may have."""


class NotWaiting(Invalid):
    """There is no such message that waits for approval, or its fate has been decided."""

    advice = "List what waits again (GET /api/rooms/{room}/approvals)."


class RoomFull(Invalid):
    """The room has as many members as it may have."""

    advice = "Remove members first, or raise limits.room_members."


class TooManyOpenRooms(Invalid):
    """One user has created as many open rooms as a user may have."""

    advice = "Close rooms first, or raise limits.open_rooms_per_user."


class TooManyQueues(Invalid):
    """One user, or all together, have named as many durable queues of the broker as they may."""

    advice = "Use the names of queues again, or raise limits.broker_queues."


class LastHost(Invalid):
    """The change would leave a room without a host."""

    advice = "Make somebody else a host first."


class IdReused(Invalid):
    """The id was used for another message."""

    advice = "Give a new message a new id."


class RateLimited(GatewayError):
    """Too many requests in a short time; wait and try again."""

    advice = "Wait as long as Retry-After says, then try again; a post keeps its id."


class TooManyGuesses(RateLimited):
    """Too many failed logins, from an address or for an account."""

    advice = "Wait as long as Retry-After says, then try with the right password."


class TooManyReads(RateLimited):
    """Too many reads of the history by one user."""


class TooManyBytes(RateLimited):
    """One user has posted too many bytes in a short time."""


class TooMuchRead(RateLimited):
    """One user has read too much of the history in a short time."""


class SlowMode(RateLimited):
    """The participant has spoken to everyone a moment ago, and the room is in slow mode."""


class TooManyWaiting(RateLimited):
    """As many messages of the author, or of all, wait for a host's approval as may."""


class TooManyExports(RateLimited):
    """Too many exports of rooms by one user at a time."""


class TooManyLogins(RateLimited):
    """One user logs in too often, or too many log in from one address at once."""


class TooManyCodes(RateLimited):
    """Too many wrong class codes in a short time."""


class TooManyJoins(RateLimited):
    """Too many calls with class codes in a short time."""


class TooManyConnects(RateLimited):
    """Too many new HTTP connections from one address in a short time."""


class TooManyUpgrades(RateLimited):
    """Too many new WebSockets from one address in a short time."""


class TooManyPosts(RateLimited):
    """Too many posts of one user wait for the store."""


class TooManyDials(RateLimited):
    """Too many relays opened by one user."""


class TooManySubscriptions(RateLimited):
    """Too many subscriptions at the broker by one user."""


class TooManyRooms(RateLimited):
    """Too many rooms made by one user."""


class TooManyChanges(RateLimited):
    """One user changes the members of rooms too often."""


class RoomBusy(RateLimited):
    """Too much is posted to one room in a short time."""


class JoinsWait(RateLimited):
    """More people enter one room at once than can be let in."""


class TooManyKnocks(RateLimited):
    """As many people wait at the door of one room as may."""


class TooManyOfUser(RateLimited):
    """One user has too many connections."""


class TooManyUnknown(RateLimited):
    """Too many connections from one address have not authenticated yet."""


class TooManyHttp(RateLimited):
    """Too many connections from one address without a WebSocket."""


class TooManyDashboards(RateLimited):
    """One admin has too many dashboards open at this gateway."""


class SubscriptionsFull(RateLimited):
    """One connection has too many subscriptions."""


class TooManyCopies(RateLimited):
    """Too many subscriptions of one connection or user to the same destination."""


class TooMuchOpen(RateLimited):
    """One connection has too many transactions or receipts open."""


class FramesBusy(RateLimited):
    """More frames have come in part than are kept, and much of it from this client."""


class TooSlow(GatewayError):
    """The client does not read fast enough."""

    advice = "Connect again and resume after the last seq; subscribe to less, or read faster."


class Silent(GatewayError):
    """Nothing is heard of the client any more."""

    advice = "Connect again and resume after the last seq; send heart-beats as agreed."


class Internal(GatewayError):
    """A fault of the gateway; its log has the details."""

    advice = "Tell the operator the X-Request-Id. A post with an id may be sent again."


class Unavailable(GatewayError):
    """Something that is needed is not available now; try again later."""

    advice = "Wait as long as Retry-After says, then try again; a post keeps its id."


class StoreUnavailable(Unavailable):
    """The database is away or refuses. ``reason``: the database's own message, for the log and for
    operators only; it is in the error's text, and not in its ``detail``. ``empty``: there are no
    tables yet, so nothing is stored."""

    def __init__(
        self,
        detail: str,
        *,
        retry_after: float | None = None,
        reason: str | None = None,
        empty: bool = False,
    ) -> None:
        super().__init__(detail, retry_after=retry_after)
        self.reason = reason
        self.empty = empty

    def __str__(self) -> str:
        return self.detail if self.reason is None else f"{self.detail} ({self.reason})"


class HookUnavailable(Unavailable):
    """The surrounding application does not tell who somebody is."""


class BrokerUnavailable(Unavailable):
    """No broker node can be used now."""


class NoCapacity(Unavailable):
    """A limit of the gateway for all users together is reached."""


class LoginsWait(NoCapacity):
    """More logins wait than can be checked soon."""


class PostsBusy(NoCapacity):
    """Too many posts of all users together wait for the store."""


class PublishingBehind(NoCapacity):
    """As many messages wait for RabbitMQ as may."""


class RoomsFull(NoCapacity):
    """As many rooms are open as may be, of all users together."""


class DialsBusy(NoCapacity):
    """Too many relays wait to be opened."""


class ReadsBusy(NoCapacity):
    """Too many reads of the history by all users together."""


class ExportsBusy(NoCapacity):
    """Too many exports of rooms by all users together."""


class Draining(Unavailable):
    """The gateway is shutting down."""

    advice = "Connect again as soon as Retry-After says: other gateways serve."


@dataclass(frozen=True, slots=True)
class Outcome:
    """The way in which an error leaves the gateway: RFC 9457 ``code``, ``title`` and status,
    WebSocket close code."""

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
        "token_invalid", 401, CloseCode.NOT_AUTHENTICATED, "The token is not valid for this gateway"
    ),
    SessionEnded: Outcome(
        "session_ended", 401, CloseCode.NOT_AUTHENTICATED, "The session has ended"
    ),
    UserChanged: Outcome(
        "user_changed", 401, CloseCode.NOT_AUTHENTICATED, "Another user is logged in now"
    ),
    WrongLogin: Outcome(
        "wrong_login", 401, CloseCode.NOT_AUTHENTICATED, "RabbitMQ does not take this login"
    ),
    Refused: Outcome("access_refused", 403, CloseCode.REFUSED, "Not allowed"),
    OriginRefused: Outcome(
        "origin_refused", 403, CloseCode.REFUSED, "This web origin is not allowed"
    ),
    HostRefused: Outcome("host_refused", 403, CloseCode.REFUSED, "This host is not served here"),
    NetworkRefused: Outcome(
        "network_refused", 403, CloseCode.REFUSED, "This network may not ask here"
    ),
    CredentialsDiffer: Outcome(
        "credentials_differ", 403, CloseCode.REFUSED, "The credentials are of different users"
    ),
    Muted: Outcome("muted", 403, CloseCode.REFUSED, "You are muted in this room"),
    ChatOff: Outcome("chat_off", 403, CloseCode.REFUSED, "Only hosts speak to everyone now"),
    ApprovalNeeded: Outcome(
        "approval_needed", 403, CloseCode.REFUSED, "A host approves what is said to everyone"
    ),
    KeyRefused: Outcome("key_refused", 403, CloseCode.REFUSED, "This key is not yours to write"),
    BrokerRefused: Outcome(
        "broker_refused", 403, CloseCode.REFUSED, "The broker refused something that was sent"
    ),
    UnknownVirtualHost: Outcome(
        "unknown_virtual_host", 403, CloseCode.REFUSED, "There is no such virtual host"
    ),
    Removed: Outcome("removed", 403, CloseCode.REFUSED, "Access was ended"),
    Kicked: Outcome("kicked", 403, CloseCode.REFUSED, "The connection was ended"),
    GuestsRefused: Outcome(
        "guests_refused", 403, CloseCode.REFUSED, "This class code is for people with an account"
    ),
    TurnedAway: Outcome("turned_away", 403, CloseCode.REFUSED, "A host does not let you in"),
    KeptOut: Outcome("kept_out", 403, CloseCode.REFUSED, "An admin has ended your access"),
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
    BodyTooSlow: Outcome("body_too_slow", 408, CloseCode.POLICY_VIOLATION, "Request Timeout"),
    UnknownPath: Outcome("unknown_path", 404, CloseCode.REFUSED, "No resource has this path"),
    MethodNotAllowed: Outcome(
        "method_not_allowed", 405, CloseCode.REFUSED, "The resource has no such method"
    ),
    UpgradeNeeded: Outcome(
        "upgrade_needed", 426, CloseCode.PROTOCOL_ERROR, "A WebSocket upgrade is needed"
    ),
    UnknownRoom: Outcome("unknown_room", 404, CloseCode.REFUSED, "There is no such room"),
    UnknownMember: Outcome("unknown_member", 404, CloseCode.REFUSED, "There is no such member"),
    UnknownNode: Outcome("unknown_node", 404, CloseCode.REFUSED, "There is no such broker node"),
    UnknownGateway: Outcome("unknown_gateway", 404, CloseCode.REFUSED, "There is no such gateway"),
    UnknownCode: Outcome("unknown_code", 404, CloseCode.REFUSED, "There is no such class code"),
    UnknownKnock: Outcome("unknown_knock", 404, CloseCode.REFUSED, "There is no such knock"),
    UnknownAccount: Outcome("unknown_account", 404, CloseCode.REFUSED, "There is no such account"),
    UnknownSession: Outcome("unknown_session", 404, CloseCode.REFUSED, "There is no such session"),
    NotKeptOut: Outcome("not_kept_out", 404, CloseCode.REFUSED, "Nobody of this name is kept out"),
    RevocationsFull: Outcome(
        "revocations_full", 409, CloseCode.REFUSED, "The revocation list is full"
    ),
    RoomClosed: Outcome("room_closed", 410, CloseCode.REFUSED, "The room is closed"),
    RoomReplaced: Outcome("room_replaced", 410, CloseCode.REFUSED, "The room is another one now"),
    HistoryFull: Outcome("history_full", 409, CloseCode.REFUSED, "The room's history is full"),
    NotKept: Outcome(
        "not_kept", 410, CloseCode.REFUSED, "The history does not reach that far back"
    ),
    BadBody: Outcome("bad_body", 400, CloseCode.REFUSED, "The body does not fit its key"),
    NotOpen: Outcome("not_open", 409, CloseCode.REFUSED, "Not open any more, or not yet"),
    StateFull: Outcome("state_full", 409, CloseCode.REFUSED, "The room's state is full"),
    TooManyKeys: Outcome("too_many_keys", 409, CloseCode.REFUSED, "Too many keys"),
    NotWaiting: Outcome("not_waiting", 409, CloseCode.REFUSED, "This message does not wait"),
    RoomFull: Outcome("room_full", 409, CloseCode.REFUSED, "The room is full"),
    TooManyOpenRooms: Outcome("too_many_open_rooms", 409, CloseCode.REFUSED, "Too many open rooms"),
    TooManyQueues: Outcome("too_many_queues", 409, CloseCode.REFUSED, "Too many queues"),
    LastHost: Outcome("last_host", 409, CloseCode.REFUSED, "A room needs a host"),
    IdReused: Outcome("id_reused", 422, CloseCode.REFUSED, "This id was used for another message"),
    RateLimited: Outcome("rate_limited", 429, CloseCode.TRY_AGAIN_LATER, "Too many requests"),
    TooManyGuesses: Outcome(
        "too_many_guesses", 429, CloseCode.TRY_AGAIN_LATER, "Too many failed logins"
    ),
    TooManyReads: Outcome(
        "too_many_reads", 429, CloseCode.TRY_AGAIN_LATER, "Too many reads at once"
    ),
    TooManyBytes: Outcome(
        "too_many_bytes", 429, CloseCode.TRY_AGAIN_LATER, "Too many bytes in posts"
    ),
    TooMuchRead: Outcome(
        "too_much_read", 429, CloseCode.TRY_AGAIN_LATER, "Too much read in a short time"
    ),
    SlowMode: Outcome("slow_mode", 429, CloseCode.TRY_AGAIN_LATER, "The room is in slow mode"),
    TooManyWaiting: Outcome(
        "too_many_waiting", 429, CloseCode.TRY_AGAIN_LATER, "Too many messages wait for approval"
    ),
    TooManyExports: Outcome(
        "too_many_exports", 429, CloseCode.TRY_AGAIN_LATER, "Too many exports at once"
    ),
    TooManyLogins: Outcome("too_many_logins", 429, CloseCode.TRY_AGAIN_LATER, "Too many logins"),
    TooManyCodes: Outcome(
        "too_many_codes", 429, CloseCode.TRY_AGAIN_LATER, "Too many wrong class codes"
    ),
    TooManyJoins: Outcome(
        "too_many_joins", 429, CloseCode.TRY_AGAIN_LATER, "Too many are coming in at once"
    ),
    TooManyConnects: Outcome(
        "too_many_connects", 429, CloseCode.TRY_AGAIN_LATER, "Too many new HTTP connections"
    ),
    TooManyUpgrades: Outcome(
        "too_many_upgrades", 429, CloseCode.TRY_AGAIN_LATER, "Too many new connections"
    ),
    TooManyPosts: Outcome(
        "too_many_posts", 429, CloseCode.TRY_AGAIN_LATER, "Too many posts at once"
    ),
    TooManyDials: Outcome(
        "too_many_dials", 429, CloseCode.TRY_AGAIN_LATER, "Too many connections to the broker"
    ),
    TooManySubscriptions: Outcome(
        "too_many_subscriptions", 429, CloseCode.TRY_AGAIN_LATER, "Too many subscriptions"
    ),
    TooManyRooms: Outcome("too_many_rooms", 429, CloseCode.TRY_AGAIN_LATER, "Too many new rooms"),
    TooManyChanges: Outcome(
        "too_many_changes", 429, CloseCode.TRY_AGAIN_LATER, "Too many changes of members"
    ),
    RoomBusy: Outcome(
        "room_busy", 429, CloseCode.TRY_AGAIN_LATER, "Too much is posted to this room"
    ),
    JoinsWait: Outcome(
        "joins_wait", 429, CloseCode.TRY_AGAIN_LATER, "Too many enter the room at once"
    ),
    TooManyKnocks: Outcome(
        "too_many_knocks", 429, CloseCode.TRY_AGAIN_LATER, "Too many wait at the door"
    ),
    TooManyOfUser: Outcome(
        "too_many_of_user", 429, CloseCode.TRY_AGAIN_LATER, "Too many connections of one user"
    ),
    TooManyUnknown: Outcome(
        "too_many_unknown",
        429,
        CloseCode.TRY_AGAIN_LATER,
        "Too many connections have not authenticated yet",
    ),
    TooManyHttp: Outcome(
        "too_many_connections", 429, CloseCode.TRY_AGAIN_LATER, "Too many HTTP connections"
    ),
    TooManyDashboards: Outcome(
        "too_many_dashboards", 429, CloseCode.TRY_AGAIN_LATER, "Too many open dashboards"
    ),
    SubscriptionsFull: Outcome(
        "subscriptions_full", 429, CloseCode.TRY_AGAIN_LATER, "Too many subscriptions"
    ),
    TooManyCopies: Outcome(
        "too_many_copies",
        429,
        CloseCode.TRY_AGAIN_LATER,
        "Too many subscriptions to the same destination",
    ),
    TooMuchOpen: Outcome("too_much_open", 429, CloseCode.TRY_AGAIN_LATER, "Too much is open"),
    FramesBusy: Outcome(
        "frames_busy", 429, CloseCode.TRY_AGAIN_LATER, "Too many frames have come in part"
    ),
    Silent: Outcome("silent", 408, CloseCode.TOO_SLOW, "Nothing is heard of the client"),
    TooSlow: Outcome("too_slow", 408, CloseCode.TOO_SLOW, "The client does not read fast enough"),
    Internal: Outcome("internal_error", 500, CloseCode.INTERNAL_ERROR, "The gateway failed"),
    Unavailable: Outcome("unavailable", 503, CloseCode.TRY_AGAIN_LATER, "Try again later"),
    StoreUnavailable: Outcome(
        "store_unavailable", 503, CloseCode.TRY_AGAIN_LATER, "The history is not available"
    ),
    HookUnavailable: Outcome(
        "identity_unavailable", 503, CloseCode.TRY_AGAIN_LATER, "Nobody can be identified now"
    ),
    BrokerUnavailable: Outcome(
        "broker_unavailable", 503, CloseCode.SERVICE_RESTART, "The broker is not available"
    ),
    NoCapacity: Outcome("no_capacity", 503, CloseCode.TRY_AGAIN_LATER, "No capacity left"),
    LoginsWait: Outcome(
        "logins_wait", 503, CloseCode.TRY_AGAIN_LATER, "Too many logins are waiting"
    ),
    PostsBusy: Outcome("posts_busy", 503, CloseCode.TRY_AGAIN_LATER, "Too many posts at once"),
    PublishingBehind: Outcome(
        "publishing_behind", 503, CloseCode.TRY_AGAIN_LATER, "Too many messages wait for the broker"
    ),
    RoomsFull: Outcome("rooms_full", 503, CloseCode.TRY_AGAIN_LATER, "Too many open rooms"),
    DialsBusy: Outcome(
        "dials_busy", 503, CloseCode.TRY_AGAIN_LATER, "Too many clients wait for the broker"
    ),
    ReadsBusy: Outcome("reads_busy", 503, CloseCode.TRY_AGAIN_LATER, "Too many reads at once"),
    ExportsBusy: Outcome(
        "exports_busy", 503, CloseCode.TRY_AGAIN_LATER, "Too many exports at once"
    ),
    Draining: Outcome("draining", 503, CloseCode.SERVICE_RESTART, "The gateway is draining"),
}


def outcome(error: GatewayError) -> Outcome:
    """The row of the nearest class in :data:`ERRORS`."""
    for kind in type(error).__mro__:
        if kind in ERRORS:
            return ERRORS[kind]
    raise LookupError(f"{type(error).__name__} has no row in ERRORS") from error
