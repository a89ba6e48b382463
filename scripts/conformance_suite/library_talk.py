"""One application's conversation by a client library, and what the application heard."""

import json
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any, Final

from conformance_suite.applications import OWN, Act, Application
from conformance_suite.frames import Received
from conformance_suite.libraries import Connection, Library, ending, running
from conformance_suite.talk import kind_of, shown
from devenv.broker_users import User

#: Seconds to wait for an event, for the end of a connection that is left, and of one that may stay
#: open. A dozen conversations at once are slow on two cores that do other things, too.
_PATIENCE: Final = 30.0
_LEFT: Final = 10.0
_END: Final = 3.0
#: Conversations at the same time: most of each is waiting.
_AT_ONCE: Final = 12


#: What an application heard from RabbitMQ itself, and through the gateway.
Heard = tuple[Sequence[str], Sequence[str]]


def hold_all(
    chosen: Sequence[tuple[str, Application]], direct: str, through: str, who: User
) -> Mapping[tuple[str, str], Heard]:
    """Each application by each library, at both addresses; by the names of both."""
    with ExitStack() as stack, ThreadPoolExecutor(_AT_ONCE) as pool:
        libraries = {
            name: stack.enter_context(running(name)) for name in {name for name, _ in chosen}
        }

        def both(library: Library, application: Application) -> Heard:
            return (
                hold(application, library, direct, who),
                hold(application, library, through, who),
            )

        tasks = {
            (name, application.name): pool.submit(both, libraries[name], application)
            for name, application in chosen
        }
        return {names: task.result() for names, task in tasks.items()}


def hold(application: Application, library: Library, url: str, who: User) -> list[str]:
    """Everything that its clients heard: a line an event."""
    own = f"conformance-{secrets.token_hex(4)}"
    clients = {act.client: _Client(library.connection(), url) for act in application.acts}
    lines: list[str] = []
    for act in application.acts:
        client = clients[act.client]
        client.do(act, {OWN: own, "LOGIN": who.name, "PASSCODE": who.password})
        # RabbitMQ says in no order what comes for different subscriptions, and receipts.
        for line in sorted(client.hear(act), key=kind_of):
            lines.append(f"{act.client}: {line.replace(own, OWN).replace(who.name, 'LOGIN')}")
    return lines


class _Client:
    """A connection, and whether it is over."""

    def __init__(self, connection: Connection, url: str) -> None:
        self._connection = connection
        self._url = url
        self._messages: list[Received] = []
        self._leaves = False
        self._is_over = False

    def do(self, act: Act, words: dict[str, str]) -> None:
        verb, given = act.verb, _filled(act.given, words)
        if not verb or self._is_over:
            return
        self._leaves |= verb in {"leave", "drop"}
        if verb == "open":
            given["url"] = self._url
        if verb == "answer":
            asked = self._messages[given.pop("index")]
            verb, given = "send", {"destination": asked.header("reply-to"), "headers": {}, **given}
        self._connection.do(verb, given)

    def hear(self, act: Act) -> Iterator[str]:
        """The next so many events, or all until the end."""
        end = _LEFT if self._leaves else _END
        patience = end if act.gets is None else _PATIENCE
        heard, beats, until = 0, 0, time.monotonic() + patience
        while not self._is_over and (act.gets is None or heard < act.gets or (beats < act.beats)):
            found = self._connection.event(until - time.monotonic())
            if found is None:
                yield "nothing more"
                return
            if found.command == "HEARTBEAT":
                beats += 1
                continue
            heard, until = heard + 1, time.monotonic() + patience
            yield self._told(found)

    def _told(self, found: Received) -> str:
        if found.command == "CLOSED":
            self._is_over = True
            # Who closes first after a DISCONNECT, and with which code, is nobody's promise.
            return "left" if self._leaves else ending(found)
        if found.command == "MESSAGE":
            self._messages.append(found)
        return shown(found)


def _filled(given: Any, words: dict[str, str]) -> dict[str, Any]:
    text = json.dumps(given)
    for word, value in words.items():
        text = text.replace(word, value)
    return dict(json.loads(text))
