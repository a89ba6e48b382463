"""A wire of the chaos judges its gateway only by what it reads."""

import asyncio
from typing import cast
from unittest.mock import Mock, create_autospec

import pytest

from tests.chaos.wire import Listener, Wire
from tests.virtual_time import run


def test_who_does_not_read_takes_nobody_for_silent() -> None:
    async def scenario() -> None:
        wire = Wire("gateway", cast("Listener", Mock()))
        wire.connection_made(create_autospec(asyncio.Transport, instance=True))
        await asyncio.sleep(20)
        assert wire.silence == pytest.approx(20)
        wire.stall()
        await asyncio.sleep(40)
        assert wire.silence == 0
        wire.read_on()
        await asyncio.sleep(5)
        assert wire.silence == pytest.approx(5)

    run(scenario())
