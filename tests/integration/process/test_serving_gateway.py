"""The doctor's question to a gateway that serves, or should."""

from __future__ import annotations

import socket

import pytest

from gateway.cli import serving_gateway
from gateway.config import Server


@pytest.mark.gen_test
async def test_a_gateway_that_hangs_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving_gateway, "_WITHIN", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as hangs:
        server = Server(internal_port=hangs.getsockname()[1])
        (finding,) = await serving_gateway.its_states(server)
    assert finding.what == "the gateway that serves here"
    assert finding.problem is not None
    assert "takes connections and gives no answer (Timeout" in finding.problem
