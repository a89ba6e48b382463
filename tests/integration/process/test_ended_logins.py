"""Changes of accounts by the command line count in a serving gateway, and after a restart."""

from __future__ import annotations

import json
import time
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest

from tests.integration.process.conftest import Run
from tests.integration.process.test_serving import serving

PASSWORD = "correct horse battery"
#: Seconds: one is promised, and much else may keep this machine busy.
SOON = 5.0


def call(
    url: str, method: str, *, body: object = None, cookie: str = ""
) -> tuple[int, dict[str, object], str]:
    """Status, JSON and cookie of the answer of ``/api/session``."""
    connection = HTTPConnection("127.0.0.1", urlsplit(url).port, timeout=30)
    try:
        headers = {"Content-Type": "application/json", "Cookie": cookie}
        connection.request(method, "/api/session", json.dumps(body), headers)
        answer = connection.getresponse()
        given = answer.headers.get("Set-Cookie", "").partition(";")[0]
        return answer.status, json.loads(answer.read()), given
    finally:
        connection.close()


@pytest.mark.parametrize("command", ["remove", "replace"])
def test_a_session_ends_soon_after_the_command_and_stays_so(
    run: Run, environment: dict[str, str], command: str
) -> None:
    add = ("user", "add", "anna", "--password-stdin", "--role", "admin")
    assert run(*add, stdin=PASSWORD + "\n").returncode == 0
    with serving(environment) as (_, url, _):
        status, _, cookie = call(url, "POST", body={"user": "anna", "password": PASSWORD})
        assert status == 200
        assert call(url, "GET", cookie=cookie)[0] == 200
        change = ("user", "remove", "anna") if command == "remove" else (*add, "--replace")
        assert run(*change, stdin=PASSWORD + "\n").returncode == 0
        ends = time.monotonic() + SOON
        while (answer := call(url, "GET", cookie=cookie))[0] == 200:
            assert time.monotonic() < ends, "the session goes on"
        assert (answer[0], answer[1]["code"]) == (401, "session_ended")
    with serving(environment) as (_, url, _):
        # The first thing that anybody asks.
        status, problem, _ = call(url, "GET", cookie=cookie)
        assert (status, problem["code"]) == (401, "session_ended")
