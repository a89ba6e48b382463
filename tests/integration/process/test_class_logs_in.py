"""A full class that logs in at the same moment, behind one address; without a broker."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from urllib.parse import urlsplit

import pytest
from argon2 import PasswordHasher

from gateway.auth.accounts import MEMORY_KIB, TIME_COST
from gateway.store import Account, Store
from tests.integration.process.test_serving import get, serving

PUPILS = 500
#: Those who mistype their password once before they get it right.
MISTYPING = 25
PASSWORD = "what the teacher has given out"
#: Seconds.
WITHIN = 60.0
#: On a machine that does other things meanwhile: so many times what the hashes alone take there.
TIMES = 4


async def _enrol(url: str) -> float:
    """Add the accounts. Returns the seconds that one password takes here and now."""
    hasher = PasswordHasher(time_cost=TIME_COST, memory_cost=MEMORY_KIB, parallelism=1)
    began = time.monotonic()
    for _ in range(10):
        hashed = hasher.hash(PASSWORD)
    seconds = (time.monotonic() - began) / 10
    store = await Store.open(url, migrate=True)
    try:
        for number in range(PUPILS):
            await store.put_account(Account(f"pupil {number}", hashed, frozenset()))
    finally:
        await store.close()
    return seconds


async def _log_in(public: str, user: str, password: str) -> tuple[int, float]:
    """The status of one attempt, and the seconds to wait before the next one."""
    parts = urlsplit(public)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        body = json.dumps({"user": user, "password": password}).encode()
        writer.write(
            b"POST /api/session HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Connection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
        )
        head, _, _ = (await reader.read()).partition(b"\r\n\r\n")
    finally:
        writer.close()
    status, *lines = head.decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    return int(status.split()[1]), float(headers.get("retry-after", 0))


@pytest.mark.gen_test(timeout=500)
async def test_a_class_of_500_behind_one_address_is_in_within_a_minute(
    environment: dict[str, str],
) -> None:
    seconds = await _enrol(environment["GATEWAY_STORE__URL"])
    answers: Counter[int] = Counter()

    with serving(environment) as (_, public, internal):

        async def pupil(number: int) -> float:
            """Do what the page does. Returns when the pupil was in."""
            mistypes = number < MISTYPING
            while True:
                password = f"{PASSWORD}!" if mistypes else PASSWORD
                status, wait = await _log_in(public, f"pupil {number}", password)
                answers[status] += 1
                if status == 200:
                    return time.monotonic() - began
                mistypes = mistypes and status != 401
                await asyncio.sleep(wait)

        began = time.monotonic()
        async with asyncio.timeout(max(WITHIN, TIMES * PUPILS * seconds)):
            await asyncio.gather(*map(pupil, range(PUPILS)))
        assert answers[401] == MISTYPING
        # Nobody pays for the mistakes of others.
        assert answers[429] == 0
        metrics = await asyncio.to_thread(get, internal, "/metrics")
        assert f'gateway_logins_total{{outcome="password"}} {PUPILS}.0' in metrics[1]
        assert f'gateway_logins_total{{outcome="wrong"}} {MISTYPING}.0' in metrics[1]
        assert "gateway_logins_waiting 0.0" in metrics[1]
