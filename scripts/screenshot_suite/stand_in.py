"""A stand-in for the gateway in one browser, for states that are rare with a real one."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID, uuid4

from playwright.sync_api import BrowserContext, Route, WebSocketRoute

from devenv.vendor import PROJECT

ROOM = 7
_STATIC = PROJECT / "static"
_SENT_AT = "2026-03-02T09:00:00.000000Z"
_PAGES = {
    "/": "room/index.html",
    "/admin": "admin/index.html",
    "/admin/accounts": "accounts/index.html",
}

Json = dict[str, Any]


class _Files(SimpleHTTPRequestHandler):
    """Serves the pages and their modules from files."""

    protocol_version = "HTTP/1.1"

    def translate_path(self, path: str) -> str:
        path = urlsplit(path).path
        return str(_STATIC / _PAGES.get(path, path.removeprefix("/static/")))

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def site() -> Iterator[str]:
    """Run a server of only the files on loopback; its address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Files) as server:
        server.daemon_threads = True
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


@dataclass
class StandIn:
    """What the gateway at `url` has and answers; change it while pages are open.

    `post`: what happens to what is posted: `stored`, `waits` (later), `refused`, `unreachable`.
    `login`: the status of a login's answer, after `crowd` answers that others log in just now.
    `ends`: the reason of the ERROR frame that ends the next subscription.
    `code`: the room's class code. `guest_of`: the only room of the user, who is a guest then.
    `dashboard`: what `/api/admin` says.
    """

    url: str
    user: str | None = "paul"
    roles: Sequence[str] = ()
    role: str | None = "participant"
    title: str = "Leaves"
    hosts: Sequence[str] = ("hana",)
    is_closed: bool = False
    post: str = "stored"
    login: int = 401
    crowd: int = 0
    ends: str = ""
    code: str | None = None
    guest_of: int | None = None
    rooms: list[Json] = field(default_factory=list)
    present: list[Json] = field(default_factory=list)
    public: list[Json] = field(default_factory=list)
    private: list[Json] = field(default_factory=list)
    waiting: list[Json] = field(default_factory=list)
    dashboard: Json = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    _lines: list[WebSocketRoute] = field(default_factory=list)
    _subscriptions: dict[str, str] = field(default_factory=dict)

    def serve(self, context: BrowserContext) -> None:
        """Answer the requests of a context's pages."""
        context.route(f"{self.url}/api/**", self._answer)
        context.route_web_socket(f"{self.url.replace('http', 'ws')}/ws", self._connect)

    def say(self, sender: str, body: object, **fields: Any) -> Json:
        """Put a message into the history and deliver it to subscribers."""
        stream = self.private if fields.get("audience") == "private" else self.public
        number = len(self.public) + len(self.private) + 1
        message = {
            "id": str(UUID(int=number)),
            "room": ROOM,
            "audience": "public",
            "seq": len(stream) + 1,
            "sender": sender,
            "role": "host" if sender in self.hosts else "participant",
            "sent_at": _SENT_AT,
            "type": "message",
            "body": body,
            **fields,
        }
        stream.append(message)
        self.tell(message)
        return message

    def wait(self, sender: str, body: object) -> Json:
        """Let something wait for approval: the stream has its place alone."""
        place = self.say("", None, type="pending", role=None)
        self.waiting.append(
            {**place, "sender": sender, "role": "participant", "type": "message", "body": body}
        )
        return place

    def decide(self, place: int, *, is_shown: bool) -> None:
        """Approve, or refuse, what waits at a place."""
        (said,) = (each for each in self.waiting if each["seq"] == place)
        self.waiting.remove(said)
        if is_shown:
            self.say(said["sender"], said["body"], place=place)
        else:
            self.say(self.hosts[0], None, type="refused", place=place)

    def poll(self, id: str, body: Json, *, is_open: bool = True, hidden: bool = False) -> None:
        """Let the first host ask this; answers are taken while it is open."""
        host = self.hosts[0]
        self.say(host, body, type="poll", keep=f"poll:{id}")
        voting = {"until": None, "hidden": hidden} if is_open else None
        self.say(host, voting, type="voting", keep=f"voting:{id}")

    def vote(self, user: str, id: str, choice: Json) -> None:
        """Let a participant answer a poll."""
        body = {"poll": id, **choice}
        self.say(user, body, type="vote", audience="private", keep=f"vote:{id}")

    def end(self, reason: str, code: int = 4003) -> None:
        """End the connection for good."""
        for line in self._lines:
            line.send(f"ERROR\nmessage:{reason}\n\nyou were sent away\0")
            line.close(code=code)
        self._lines.clear()

    def vanish(self) -> None:
        """The network is gone, until `post` is something else than `unreachable`."""
        self.post = "unreachable"
        for line in self._lines:
            line.close(code=1012)
        self._lines.clear()

    def tell(self, message: Json) -> None:
        """Deliver a MESSAGE to subscribers."""
        message = {"id": str(uuid4()), "audience": "public", "sent_at": _SENT_AT, **message}
        text = json.dumps(message)
        # The gateway's word; a body alone is anybody's.
        seq = "" if message.get("seq") is None else f"seq:{message['seq']}\n"
        for name, destination in self._subscriptions.items():
            if destination.endswith(f"{message['audience']}.{ROOM}") and "/topic/" in destination:
                for line in self._lines:
                    line.send(
                        f"MESSAGE\nsubscription:{name}\nmessage-id:{message['id']}\n"
                        f"destination:{destination}\n{seq}\n{text}\0"
                    )

    # STOMP

    def _connect(self, line: WebSocketRoute) -> None:
        if self.post == "unreachable":
            line.close(code=1012)
            return
        self._lines.append(line)
        line.on_message(lambda text: self._hear(line, str(text)))

    def _hear(self, line: WebSocketRoute, text: str) -> None:
        command, headers = _frame(text)
        if command in ("CONNECT", "STOMP"):
            line.send("CONNECTED\nversion:1.2\nheart-beat:0,0\n\n\0")
        elif command == "SUBSCRIBE":
            if self.ends:
                self.end(self.ends)
                return
            self._subscriptions[headers["id"]] = headers["destination"]
        if "receipt" in headers:
            line.send(f"RECEIPT\nreceipt-id:{headers['receipt']}\n\n\0")

    # HTTP

    def _answer(self, route: Route) -> None:
        address = urlsplit(route.request.url)
        path = address.path
        self.asked.append(f"{route.request.method} {path}")
        if self.post == "unreachable":
            route.abort()
        elif path == "/api/session":
            self._session(route)
        elif path.startswith("/api/admin/"):
            self._admin(route, path.removeprefix("/api/admin/"))
        else:
            self._call(route, path, parse_qs(address.query))

    def _session(self, route: Route) -> None:
        if route.request.method == "POST":
            self._log_in(route)
        elif route.request.method == "DELETE":
            self.user = None
            route.fulfill(status=204)
        elif self.user is None and self.guest_of is not None:
            why = " (the room was closed)" if self.is_closed else ""
            detail = f"this session has ended{why}: log in again"
            _problem(route, 401, "session_ended", detail=detail)
        elif self.user is None:
            _problem(route, 401, "unauthenticated")
        else:
            _json(route, 200, self._who())

    def _log_in(self, route: Route) -> None:
        if self.crowd > 0:
            self.crowd -= 1
            _problem(route, 503, "logins_wait", {"Retry-After": "1"})
        elif self.login == 200:
            self.user = _body(route)["user"]
            _json(route, 200, self._who())
        elif self.login == 429:
            _problem(route, 429, "rate_limited", {"Retry-After": "30"})
        else:
            _problem(route, self.login, "unauthenticated")

    def _who(self) -> Json:
        who = {"user": self.user, "roles": [*self.roles], "expires_at": "2099-01-01T00:00:00Z"}
        return who if self.guest_of is None else {**who, "guest_of": self.guest_of}

    def _call(  # noqa: C901 - one case for each path
        self, route: Route, path: str, query: dict[str, list[str]]
    ) -> None:
        room = f"/api/rooms/{ROOM}"
        if path == "/api/rooms":
            _json(route, 200, {"rooms": self.rooms})
        elif self.role is None:
            _problem(route, 403, "access_refused")
        elif path == room and route.request.method == "DELETE":
            self.is_closed = True
            route.fulfill(status=204)
            self.end("room_closed")
        elif path == room:
            if route.request.method == "PATCH":
                self.title = _body(route)["title"]
            _json(route, 200, self._info())
        elif path == f"{room}/presence":
            _json(route, 200, {"present": self.present})
        elif path == f"{room}/members":
            members = [{"user": one["user"], "role": one["role"]} for one in self.present]
            _json(route, 200, {"members": members})
        elif path == f"{room}/state":
            _json(route, 200, self._state(query))
        elif path == f"{room}/messages" and route.request.method == "GET":
            self._history(route, query)
        elif path == f"{room}/messages":
            self._post(route)
        else:
            self._call_more(route, path.removeprefix(room))

    def _call_more(self, route: Route, path: str) -> None:
        if path == "/approvals":
            self._approvals(route)
        elif path == "/code" and self.code is None:
            route.fulfill(status=204)
        elif path == "/code":
            code = {"code": self.code, "url": f"/j/{self.code}", "guests": "yes"}
            _json(route, 200, code)
        elif path == "/open":
            self.is_closed = False
            _json(route, 200, self._info())
        elif path == "/copy":
            _json(route, 201, {**self._info(), "id": ROOM + 1})
        else:
            _problem(route, 404, "unknown_room")

    def _approvals(self, route: Route) -> None:
        if route.request.method == "GET":
            own = [
                each for each in self.waiting if self.role == "host" or each["sender"] == self.user
            ]
            _json(route, 200, {"waiting": own})
            return
        fates = _body(route)
        decided = [
            (place, name == "approve")
            for name in ("approve", "refuse")
            for place in fates.get(name, ())
        ]
        for place, is_shown in decided:
            self.decide(place, is_shown=is_shown)
        told = [
            {"place": place, "fate": "approved" if is_shown else "refused"}
            for place, is_shown in decided
        ]
        _json(route, 200, {"decided": told})

    def _info(self) -> Json:
        names = ("public", "private") if self.role == "host" else ("public",)
        destinations = {name: f"/topic/acdm.mo.interact.{name}.{ROOM}" for name in names}
        if self.role == "host":
            destinations["queue"] = f"/queue/acdm.mo.interact.private.{ROOM}"
        return {
            "id": ROOM,
            "title": self.title,
            "created_at": _SENT_AT,
            "closed_at": _SENT_AT if self.is_closed else None,
            "role": self.role,
            "destinations": destinations,
            "hosts": [*self.hosts],
        }

    def _history(self, route: Route, query: dict[str, list[str]]) -> None:
        audience = query.get("audience", ["public"])[0]
        stream = self.private if audience == "private" else self.public
        after, limit = int(query["after"][0]), int(query["limit"][0])
        types = query["types"][0].split(",") if "types" in query else None
        found = [
            message
            for message in stream
            if message["seq"] > after
            and (types is None or message["type"] in types)
            and (audience == "public" or self.role == "host" or message["sender"] == self.user)
        ]
        answer: Json = {"messages": found[:limit], "head": len(stream), "complete": True}
        if len(found) > limit:
            answer["next"] = found[limit - 1]["seq"]
        _json(route, 200, answer)

    def _state(self, query: dict[str, list[str]]) -> Json:
        audience = query.get("audience", ["public"])[0]
        stream = self.private if audience == "private" else self.public
        state = [
            message
            for message in _newest(stream).values()
            if message["body"] is not None
            and (audience == "public" or self.role == "host" or _author(message) == self.user)
        ]
        return {"state": state, "seq": len(stream), "whole": True, "complete": True}

    def _post(self, route: Route) -> None:
        if self.post == "waits":
            _problem(route, 503, "store_unavailable", {"Retry-After": "3600"})
        elif self.post == "refused":
            _problem(route, 413, "too_large")
        elif (wanted := _body(route)).get("importance") == "instant":
            role = "host" if self.user in self.hosts else "participant"
            self.tell({**wanted, "seq": None, "sender": self.user, "role": role})
            receipt = {"id": str(uuid4()), "seq": None, "sent_at": _SENT_AT, "published": True}
            _json(route, 201, receipt)
        else:
            named = ("id", "audience", "type", "keep", "of")
            fields = {key: wanted[key] for key in named if key in wanted}
            message = self.say(str(self.user), wanted["body"], **fields)
            receipt = {key: message[key] for key in ("id", "seq", "sent_at")}
            _json(route, 201, {**receipt, "published": True})

    def _admin(self, route: Route, path: str) -> None:
        if self.user is None:
            _problem(route, 401, "unauthenticated")
        elif path == "live":
            text = f"data: {json.dumps(self.dashboard['live'])}\n\n"
            route.fulfill(status=200, content_type="text/event-stream", body=text)
        else:
            _json(route, 200, self.dashboard[path])


def _author(message: Json) -> str | None:
    """Whose entry of the kept state it is: None for the room's own."""
    own = None if message["role"] == "host" else message["sender"]
    return str(author) if (author := message.get("of", own)) is not None else None


def _newest(stream: list[Json]) -> dict[tuple[str, str | None], Json]:
    """The newest message of each entry of the kept state, in the order of seq."""
    newest: dict[tuple[str, str | None], Json] = {}
    for message in stream:
        if "keep" in message:
            entry = (message["keep"], _author(message))
            newest.pop(entry, None)
            newest[entry] = message
    return newest


def _frame(text: str) -> tuple[str, dict[str, str]]:
    head, _, _ = text.lstrip("\n").partition("\n\n")
    command, *lines = head.split("\n")
    return command, dict(_header(lines))


def _header(lines: list[str]) -> Iterator[tuple[str, str]]:
    for line in lines:
        name, _, value = line.partition(":")
        yield name, value.replace("\\c", ":")


def _body(route: Route) -> Json:
    return dict(json.loads(route.request.post_data or "{}"))


def _json(route: Route, status: int, answer: Json) -> None:
    route.fulfill(status=status, content_type="application/json", body=json.dumps(answer))


def _problem(
    route: Route,
    status: int,
    code: str,
    headers: dict[str, str] | None = None,
    *,
    detail: str | None = None,
) -> None:
    route.fulfill(
        status=status,
        headers={**(headers or {}), "Content-Type": "application/problem+json"},
        body=json.dumps({"code": code, "detail": detail or code.replace("_", " ")}),
    )
