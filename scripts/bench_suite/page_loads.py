"""A class that comes at the bell: what a page load costs the loop, built and as sources.

``PYTHONPATH=scripts .venv/bin/python -m bench_suite.page_loads [--visitors 500] [--rounds 3]``. A
gateway without a broker serves the page of rooms to that many visitors at once, each on one
connection with an empty cache, then to the same visitors again, whose caches are full. Both ways of
serving take turns.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import statistics
import sys
import time
from dataclasses import dataclass
from urllib.parse import urljoin

from bench_suite import proc
from bench_suite.lone_gateway import lone_gateway
from devenv import vendor

_LINKS = re.compile(rb'(?:src|href)="(/[^"]+)"|url\("?(/[^")]+)"?\)')
_IMPORTS = re.compile(rb'^\s*(?:import|export)\b[^"]*"([^"]+\.js)";', re.MULTILINE)


@dataclass(frozen=True)
class Load:
    """All visitors' page loads: seconds until the last one has everything, CPU seconds of the
    gateway, and for one visitor requests and bytes."""

    seconds: float
    cpu: float
    requests: int
    size: int

    def line(self, visitors: int) -> str:
        return (
            f"{self.requests:4} requests, {self.size / 1000:6.1f} kB each; "
            f"{1000 * self.cpu / visitors:7.2f} ms of CPU a page load, all in {self.seconds:5.2f} s"
        )


class Visitor:
    """One browser: a connection, and the tags of what it has."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.kept: dict[str, tuple[str, bool]] = {}
        self.requests = self.size = 0

    async def load(self, paths: list[str]) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        for path in paths:
            tag, immutable = self.kept.get(path, ("", False))
            if immutable:
                continue
            await self._get(reader, writer, path, tag, accepts="gzip, br")
        writer.close()

    async def _get(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        path: str,
        tag: str = "",
        *,
        accepts: str = "identity",
    ) -> bytes:
        lines = [f"GET {path} HTTP/1.1", "Host: x", f"Accept-Encoding: {accepts}"]
        if tag:
            lines.append(f"If-None-Match: {tag}")
        writer.write("\r\n".join([*lines, "", ""]).encode())
        head = await reader.readuntil(b"\r\n\r\n")
        lines = head.decode().lower().split("\r\n")
        given = dict(line.split(": ", 1) for line in lines[1:] if line)
        body = await reader.readexactly(int(given.get("content-length", "0")))
        if lines[0].split()[1] not in ("200", "304"):
            raise SystemExit(f"{path}: {lines[0]}")
        self.requests += 1
        self.size += len(head) + len(body)
        self.kept[path] = (given.get("etag", tag), "immutable" in given.get("cache-control", ""))
        return body

    async def crawl(self) -> list[str]:
        """All that the page consists of, as a browser finds it."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        found = ["/"]
        for path in found:
            body = await self._get(reader, writer, path)
            names = [(a or b).decode() for a, b in _LINKS.findall(body)]
            if path.endswith(".js") and "/built/" not in path:
                names = [urljoin(path, name.decode()) for name in _IMPORTS.findall(body)]
            elif path.endswith(".js"):
                names = []
            found += [name for name in dict.fromkeys(names) if name not in found]
        writer.close()
        return found


async def _measure(port: int, pid: int, visitors: int) -> tuple[Load, Load]:
    """A cold load, and one with full caches."""
    paths = await Visitor(port).crawl()
    class_ = [Visitor(port) for _ in range(visitors)]
    loads = []
    for _ in ("cold", "warm"):
        for each in class_:
            each.requests = each.size = 0
        began, used = time.monotonic(), proc.cpu_seconds([pid])
        await asyncio.gather(*(each.load(paths) for each in class_))
        seconds, cpu = time.monotonic() - began, proc.cpu_seconds([pid]) - used
        loads.append(Load(seconds, cpu, class_[0].requests, class_[0].size))
    return loads[0], loads[1]


def main() -> int:
    """Print both ways of serving, each the median of its rounds by CPU."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--visitors", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    vendor.ensure(print)
    found: dict[str, list[tuple[Load, Load]]] = {"sources": [], "built": []}
    for _ in range(options.rounds):
        for pages, loads in found.items():
            with lone_gateway(pages=pages) as (port, pid):
                loads.append(asyncio.run(_measure(port, pid, options.visitors)))
    print(f"{options.visitors} visitors at once, {os.cpu_count()} cores")
    for pages, loads in found.items():
        for kind, number in (("cold", 0), ("warm", 1)):
            middle = statistics.median_low(each[number].cpu for each in loads)
            load = next(each[number] for each in loads if each[number].cpu == middle)
            print(f"{pages:8} {kind}: {load.line(options.visitors)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
