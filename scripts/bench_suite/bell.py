"""A lecture that comes at the bell: what it costs the gateway to let guests in.

``PYTHONPATH=scripts .venv/bin/python -m bench_suite.bell [--guests 500] [--rounds 3]``. They are at
one address, and come to a gateway without a broker, all in the same moment. Each does what the page
does: asks about the code, enters with a nickname, and reads the session, the room, its kept state,
what was said, and who is there, while following the room by an event stream.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import time
from dataclasses import dataclass
from typing import Any

from bench_suite import proc
from bench_suite.gateways import token
from bench_suite.lone_gateway import SECRET, lone_gateway

#: Statuses that say: wait, and ask again.
_LATER = (429, 503)


@dataclass(frozen=True)
class Coming:
    """All guests' coming: seconds until half of them, and the last one, were in and had
    everything; CPU seconds of the gateway; answers that told somebody to wait."""

    half: float
    last: float
    cpu: float
    waits: int


class Guest:
    """One browser: a connection for calls, one for the stream, a cookie."""

    def __init__(self, port: int, bearer: str = "") -> None:
        self._port = port
        self._proof = f"Authorization: Bearer {bearer}" if bearer else ""
        self._open: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._writers: list[asyncio.StreamWriter] = []
        self.waits = 0

    async def call(self, method: str, path: str, body: object = None) -> Any:
        """The answer's JSON, when there is one that is no "wait"."""
        while True:
            status, headers, answer = await self._ask(method, path, body)
            if "set-cookie" in headers:
                self._proof = f"Cookie: {headers['set-cookie'].partition(';')[0]}"
            if status not in _LATER:
                break
            self.waits += 1
            await asyncio.sleep(float(headers.get("retry-after", 1)))
        if status >= 300:
            raise SystemExit(f"{method} {path}: {status} {answer.decode()}")
        return json.loads(answer)

    async def follow(self, room: int) -> None:
        """Open an event stream, and leave it so."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._writers.append(writer)
        writer.write(self._head("GET", f"/api/rooms/{room}/events", 0))
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        if head.split()[1] != "200":
            raise SystemExit(head)

    def close(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _ask(self, method: str, path: str, body: object) -> tuple[int, dict[str, str], bytes]:
        if self._open is None:
            self._open = await asyncio.open_connection("127.0.0.1", self._port)
            self._writers.append(self._open[1])
        reader, writer = self._open
        content = b"" if body is None else json.dumps(body).encode()
        writer.write(self._head(method, path, len(content)) + content)
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        pairs = (line.partition(": ") for line in lines[1:] if line)
        headers = {name.lower(): value for name, _, value in pairs}
        answer = await reader.readexactly(int(headers.get("content-length", 0)))
        return int(lines[0].split()[1]), headers, answer

    def _head(self, method: str, path: str, length: int) -> bytes:
        lines = [f"{method} {path} HTTP/1.1", "Host: x", "Content-Type: application/json"]
        lines += [self._proof] if self._proof else []
        return "\r\n".join([*lines, f"Content-Length: {length}", "", ""]).encode()


async def _come(guest: Guest, room: int, code: str, number: int) -> float:
    """Do what the page does. Returns when it was done."""
    await guest.call("POST", "/api/join", {"code": code})
    await guest.call("POST", "/api/join", {"code": code, "nickname": f"Pupil {number}"})
    await guest.call("GET", "/api/session")
    await guest.call("GET", f"/api/rooms/{room}")
    await guest.follow(room)
    for audience in ("public", "private"):
        await guest.call("GET", f"/api/rooms/{room}/state?audience={audience}")
    await guest.call("GET", f"/api/rooms/{room}/messages?after=0")
    await guest.call("GET", f"/api/rooms/{room}/presence")
    return time.monotonic()


async def _measure(port: int, pid: int, guests: int) -> Coming:
    host = Guest(port, token(SECRET, "teacher", "host"))
    room = (await host.call("POST", "/api/rooms", {"title": "A lecture"}))["id"]
    code = (await host.call("POST", f"/api/rooms/{room}/code", {"guests": "yes"}))["code"]
    lecture = [Guest(port) for _ in range(guests)]
    began, used = time.monotonic(), proc.cpu_seconds([pid])
    done = await asyncio.gather(
        *(_come(guest, room, code, number) for number, guest in enumerate(lecture))
    )
    cpu = proc.cpu_seconds([pid]) - used
    for each in (host, *lecture):
        each.close()
    seconds = sorted(each - began for each in done)
    waits = sum(each.waits for each in lecture)
    return Coming(seconds[len(seconds) // 2], seconds[-1], cpu, waits)


def main() -> int:
    """Print the round that is the median by CPU."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--guests", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    found = []
    for _ in range(options.rounds):
        with lone_gateway() as (port, pid):
            found.append(asyncio.run(_measure(port, pid, options.guests)))
    middle = statistics.median_low(each.cpu for each in found)
    shown = next(each for each in found if each.cpu == middle)
    print(
        f"{options.guests} guests at once, {os.cpu_count()} cores (load {os.getloadavg()[0]:.1f}): "
        f"half of them in after {shown.half:.1f} s, all after {shown.last:.1f} s; "
        f"{1000 * shown.cpu / options.guests:.1f} ms of CPU a guest; "
        f"{shown.waits} were told to wait"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
