"""Every test of the contract runs on both back ends."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from tornado.ioloop import IOLoop

from gateway.store import Store


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/interact.db"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture
def store(store_url: str, io_loop: IOLoop) -> Iterator[Store]:
    opened: Store = io_loop.run_sync(partial(Store.open, store_url))
    yield opened
    io_loop.run_sync(opened.close)


@pytest.fixture
def other_gateway(store: Store, store_url: str, io_loop: IOLoop) -> Iterator[Store]:
    """A second gateway's store on the same database."""
    opened: Store = io_loop.run_sync(partial(Store.open, store_url))
    yield opened
    io_loop.run_sync(opened.close)
