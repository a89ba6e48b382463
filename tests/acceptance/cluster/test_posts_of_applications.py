"""Applications post in their own transactions, with psql and SQLAlchemy; gateways are killed."""

import asyncio
import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import cast, func, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import create_async_engine

from devenv.postgres import binaries
from tests.acceptance.broker_view import wait_for
from tests.acceptance.conftest import StartGateway, connected
from tests.acceptance.gateway_process import PREFIX, GatewayProcess

pytestmark = [pytest.mark.cluster, pytest.mark.postgres]

_TRANSACTIONS = 40


@pytest.fixture
def gateways(start_gateway: StartGateway, postgres_url: str) -> list[GatewayProcess]:
    store = postgres_url.replace("+asyncpg", "")
    return [start_gateway(number=n, store=store) for n in (0, 1)]


def _is_kept(number: int) -> bool:
    return number % 4 != 3


def _with_psql(url: str, room: int) -> None:
    """Transactions of psql, each fourth of which is rolled back."""
    for number in range(_TRANSACTIONS):
        subprocess.run(  # noqa: S603 - our own statements
            [binaries() / "psql", url.replace("+asyncpg", ""), "-qtAX", "-v", "ON_ERROR_STOP=1"],
            input=f"""BEGIN;
                SELECT interact.post({room}, 'public', 'chat', '["psql", {number}]', 'paul');
                {"COMMIT" if _is_kept(number) else "ROLLBACK"};""",
            text=True,
            stdout=subprocess.DEVNULL,
            check=True,
            timeout=60,
        )


def _with_sqlalchemy(url: str, room: int) -> None:
    async def main() -> None:
        engine = create_async_engine(url)
        for number in range(_TRANSACTIONS):
            async with engine.connect() as connection:
                body = cast(["SQLAlchemy", number], JSONB)
                await connection.execute(
                    select(func.interact.post(room, "public", "chat", body, "hana"))
                )
                await (connection.commit() if _is_kept(number) else connection.rollback())
        await engine.dispose()

    asyncio.run(main())


def test_what_applications_commit_is_delivered_in_order_while_gateways_are_killed(
    gateways: list[GatewayProcess], postgres_url: str
) -> None:
    dying, staying = gateways
    room = staying.room("hana", "paul")
    kept = [number for number in range(_TRANSACTIONS) if _is_kept(number)]
    with connected(staying, "paul") as paul, ThreadPoolExecutor(2) as applications:
        paul.subscribe(f"/topic/{PREFIX}.public.{room}")
        work = [
            applications.submit(each, postgres_url, room) for each in (_with_psql, _with_sqlalchemy)
        ]
        heard: list[dict[str, Any]] = []
        while len(heard) < 2 * len(kept):
            heard.append(wait_for(paul.message).json)
            if len(heard) in {10, 30}:
                dying.kill()
                dying.start()
        for application in work:
            application.result()
        assert [each["seq"] for each in heard] == list(range(1, 2 * len(kept) + 1))
        for name, sender in (("psql", "paul"), ("SQLAlchemy", "hana")):
            said = [each["body"] for each in heard if each["sender"] == sender]
            assert said == [[name, number] for number in kept]

    # While there is no gateway at all.
    for gateway in gateways:
        gateway.kill()
    _with_psql(postgres_url, room)
    for gateway in gateways:
        gateway.start()
        gateway.await_ready()
    with connected(staying, "hana") as hana:
        hana.subscribe(f"/queue/{PREFIX}.private.{room}")
        # At least once: what was published and not yet marked when its gateway was killed comes
        # again.
        seqs: dict[int, None] = {}
        while len(seqs) < 3 * len(kept):
            seqs[wait_for(hana.message).json["seq"]] = None
        assert list(seqs) == list(range(1, 3 * len(kept) + 1))
