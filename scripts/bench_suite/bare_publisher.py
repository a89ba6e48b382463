"""The cost of publishing alone: aiormq, persistent, confirmed, a fixed number under way at once."""

import asyncio
import time

import aiormq

from bench_suite import confirmed, messages
from bench_suite.gateways import HOST, TOPOLOGY
from bench_suite.poster import Posted
from broker.topology import Audience, Stream
from gateway.messages.publication import publication


async def publish(url: str, at_once: int, seconds: float) -> Posted:
    """Keep messages under way: each one is replaced by the next as soon as it is confirmed."""
    posted = Posted()
    connection = await aiormq.connect(url)
    try:
        channel = await connection.channel()
        until = time.monotonic() + seconds

        async def again() -> None:
            while time.monotonic() < until:
                draft = messages.draft(Stream(Audience.PUBLIC, 1), HOST)
                made = publication(draft.numbered(1), TOPOLOGY)
                asked = time.monotonic_ns()
                await confirmed.publish(channel, made)
                posted.delays.append(time.monotonic_ns() - asked)

        started = time.monotonic()
        await asyncio.gather(*(again() for _ in range(at_once)))
        posted.seconds = time.monotonic() - started
        return posted
    finally:
        await connection.close()
