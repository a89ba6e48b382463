"""WebSockets at other paths than /ws: an application that was behind a proxy keeps its own."""

from typing import Any

import pytest
from tornado.httpclient import HTTPClientError
from tornado.websocket import websocket_connect

from broker.protocol.stomp import serialise
from gateway.config import Config
from gateway.http.listeners import Listener
from tests.integration.http.conftest import token

pytestmark = pytest.mark.gen_test


@pytest.fixture
def tables(tables: dict[str, Any]) -> dict[str, Any]:
    tables["server"]["stomp_paths"] = ["/stomp/websocket", "/v1.2"]
    return tables


@pytest.mark.parametrize("path", ["/ws", "/stomp/websocket", "/v1.2", "/v1.2?of=the-application"])
async def test_a_session_begins_at_each_path(public: Listener, settings: Config, path: str) -> None:
    client = await websocket_connect(
        f"{public.url.replace('http', 'ws')}{path}", subprotocols=["v12.stomp"]
    )
    login = [("accept-version", "1.2"), ("passcode", token(settings, "bob", lifetime=60))]
    await client.write_message(serialise("CONNECT", login))
    answer = await client.read_message()
    assert isinstance(answer, str)
    assert answer.startswith("CONNECTED\n")
    client.close()


@pytest.mark.parametrize("path", ["/stomp", "/stomp/websocket/", "/v1x2", "/x/stomp/websocket"])
async def test_no_other_path_is_opened_by_that(public: Listener, path: str) -> None:
    with pytest.raises(HTTPClientError, match="404"):
        await websocket_connect(f"{public.url.replace('http', 'ws')}{path}")
