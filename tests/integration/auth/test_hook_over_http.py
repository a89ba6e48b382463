"""The surrounding application tells over a real HTTP server whose a request is."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from pydantic import SecretStr
from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPHeaders
from tornado.web import Application, RequestHandler

from broker.timing.tasks import Tasks
from gateway.auth.hook import MAX_BYTES, Hook, HttpQuestion
from gateway.config import Hook as Settings
from gateway.errors import HookUnavailable, NotAuthenticated
from tests.fake_clock import FakeClock

NOW = 1_800_000_000.0
HOME = "10.0.0.5"
SECRET = "the-gateways-word-to-the-application"


@dataclass
class School:
    """The application: its answer, and what it was asked."""

    answer: Any = None
    body: bytes | None = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    asked: list[HTTPHeaders] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0
    answering: asyncio.Event = field(default_factory=asyncio.Event)


class WhoAmI(RequestHandler):
    def initialize(self, school: School) -> None:
        self.school = school

    async def get(self) -> None:
        school = self.school
        school.asked.append(self.request.headers)
        school.at_once += 1
        school.most_at_once = max(school.most_at_once, school.at_once)
        try:
            await school.answering.wait()
        finally:
            school.at_once -= 1
        self.set_status(school.status)
        for name, value in school.headers.items():
            self.set_header(name, value)
        body = json.dumps(school.answer).encode() if school.body is None else school.body
        if school.status == 204:
            await self.finish()
        else:
            await self.finish(body)


class Elsewhere(RequestHandler):
    """The page that a redirect leads to; it would let everybody in."""

    async def get(self) -> None:
        await self.finish({"user": "anybody", "expires_in": 600})


@pytest.fixture
def school() -> School:
    made = School({"user": "mina", "roles": ["host", "unheard-of"], "expires_in": 600})
    made.answering.set()
    return made


@pytest.fixture
def app(school: School) -> Application:
    return Application(
        [("/whoami", WhoAmI, {"school": school}), ("/elsewhere", Elsewhere)],
    )


@pytest.fixture
def url(http_server: HTTPServer, base_url: str) -> str:
    return f"{base_url}/whoami"


class Asker:
    """A hook with its clock; ``given`` are the headers of a request."""

    def __init__(self, url: str, **settings: Any) -> None:
        self.clock = FakeClock(NOW)
        self.tasks = Tasks()
        chosen = Settings(url=url, **settings)
        self.hook = Hook(
            chosen,
            HttpQuestion(chosen),
            own_cookies=frozenset({"interact_session", "__Host-interact_session"}),
            known_roles=lambda: frozenset({"host", "admin", "clerk"}),
            clock=self.clock,
            tasks=self.tasks,
        )

    async def ask(self, *, address: str = HOME, **given: str) -> Any:
        headers = HTTPHeaders({name.replace("_", "-"): value for name, value in given.items()})
        proof = self.hook.proof(headers)
        assert proof is not None
        return await self.hook.identify(proof, address=address)


@pytest.fixture
def warned(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    caplog.set_level(logging.DEBUG)
    yield caplog
    assert SECRET not in caplog.text
    assert "s3cr3t-cookie" not in caplog.text


@pytest.mark.gen_test
async def test_the_answer_is_the_user_with_roles_and_an_end(url: str, school: School) -> None:
    who = await Asker(url).ask(Cookie="sid=1")
    assert (who.user, who.roles, who.expires_at) == ("mina", {"host"}, NOW + 600)
    school.answer = {"user": "mina", "expires_at": NOW + 5}
    who = await Asker(url).ask(Cookie="sid=1")
    assert (who.roles, who.expires_at) == (frozenset(), NOW + 5)
    assert who.display_name is None
    for name, shown in (("Mina  Kim", "Mina Kim"), ("\n", None), (7, None)):
        school.answer = {"user": "mina", "name": name, "expires_at": NOW + 5}
        assert (await Asker(url).ask(Cookie="sid=1")).display_name == shown
    school.answer = {"user": "ｍｉｎａ", "expires_at": NOW + 5}
    who = await Asker(url).ask(Cookie="sid=1")
    assert (who.user, who.display_name) == ("mina", "ｍｉｎａ")


@pytest.mark.gen_test
async def test_the_application_gets_what_was_chosen_and_nothing_else(
    url: str, school: School
) -> None:
    asker = Asker(url, headers=["X-Api-Key", "x-tenant"], secret=SecretStr(SECRET))
    await asker.ask(
        Cookie="sid=1; interact_session=ours; __Host-interact_session=ours; theme=dark",
        X_Api_Key="k",
        X_Tenant="t",
        X_Forwarded_For="10.1.1.1",
        Interact_User="somebody",
        Origin="https://school.example",
        User_Agent="a browser",
        Authorization="Bearer of-the-browser",
    )
    (sent,) = school.asked
    assert dict(sent.get_all()) == {
        "Cookie": "sid=1; theme=dark",
        "X-Api-Key": "k",
        "X-Tenant": "t",
        "Accept": "application/json",
        "User-Agent": "interact-gateway",
        "Authorization": f"Bearer {SECRET}",
        "Connection": "close",
        "Host": sent["Host"],
    }


@pytest.mark.gen_test
async def test_only_the_named_cookies_are_sent(url: str, school: School) -> None:
    asker = Asker(url, cookies=["sid"])
    await asker.ask(Cookie="a=1; sid=2;sidx=3; _ga=4")
    assert school.asked[0]["Cookie"] == "sid=2"
    assert asker.hook.proof(HTTPHeaders({"Cookie": "_ga=4"})) is None


@pytest.mark.parametrize(
    "given", [{}, {"Cookie": "interact_session=ours"}, {"Cookie": ""}, {"X-Other": "1"}]
)
@pytest.mark.gen_test
async def test_a_request_with_nothing_to_show_is_not_asked_about(
    given: dict[str, str], url: str
) -> None:
    assert Asker(url, headers=["X-Api-Key"]).hook.proof(HTTPHeaders(given)) is None


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.gen_test
async def test_whoever_the_application_does_not_know_is_not_known(
    status: int, url: str, school: School
) -> None:
    school.status = status
    asker = Asker(url)
    for _ in range(2):
        with pytest.raises(NotAuthenticated):
            await asker.ask(Cookie="sid=1")
    # A refusal is not kept: the next request may come after a login.
    assert len(school.asked) == 2
    school.status = 200
    assert (await asker.ask(Cookie="sid=1")).user == "mina"


@pytest.mark.parametrize("status", [201, 204, 404, 418, 429, 500, 502, 503])
@pytest.mark.gen_test
async def test_any_other_status_lets_nobody_in(
    status: int, url: str, school: School, warned: pytest.LogCaptureFixture
) -> None:
    school.status = status
    with pytest.raises(HookUnavailable):
        await Asker(url).ask(Cookie="sid=s3cr3t-cookie")
    assert f"it answers {status}" in warned.text


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.gen_test
async def test_a_redirect_is_not_followed(
    status: int, url: str, school: School, warned: pytest.LogCaptureFixture
) -> None:
    school.status, school.headers = status, {"Location": "/elsewhere"}
    with pytest.raises(HookUnavailable):
        await Asker(url, secret=SecretStr(SECRET)).ask(Cookie="sid=s3cr3t-cookie")
    assert "a redirect, which is not followed" in warned.text


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "not JSON"),
        (b"<html>log in</html>", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 50_000, "not JSON"),
        (b'{"user": "mina", "user": "kim", "expires_in": 60}', "not JSON"),
        (b"[]", "JSON object"),
        (b'"mina"', "JSON object"),
        (b"{}", "user"),
        (b'{"user": "", "expires_in": 60}', "user"),
        (b'{"user": 7, "expires_in": 60}', "user"),
        (b'{"user": "a\\nb", "expires_in": 60}', "user"),
        (b'{"user": "mina"}', "exactly one of"),
        (b'{"user": "mina", "expires_in": 60, "expires_at": 1900000000}', "exactly one of"),
        (b'{"user": "mina", "expires_in": "60"}', "number of seconds"),
        (b'{"user": "mina", "expires_in": true}', "number of seconds"),
        (b'{"user": "mina", "expires_in": NaN}', "number of seconds"),
        (b'{"user": "mina", "expires_in": Infinity}', "number of seconds"),
        (b'{"user": "mina", "expires_in": 0}', "over already"),
        (b'{"user": "mina", "expires_in": -1}', "over already"),
        (b'{"user": "mina", "expires_at": 1700000000}', "over already"),
        (b'{"user": "mina", "expires_at": 1900000000000}', "not milliseconds"),
        (b'{"user": "mina", "expires_in": 60, "roles": "host"}', "list of strings"),
        (b'{"user": "mina", "expires_in": 60, "roles": [1]}', "list of strings"),
        (b'{"user": "mina", "expires_in": 60, "admin": true}', "unknown member 'admin'"),
        (b'{"user": "mina", "expires_in": 1e999}', "number of seconds"),
        (b'{"user": "mina", "expires_in": 1' + 400 * b"0" + b"}", "number of seconds"),
    ],
)
@pytest.mark.gen_test
async def test_an_answer_that_is_not_as_agreed_lets_nobody_in(
    body: bytes, says: str, url: str, school: School, warned: pytest.LogCaptureFixture
) -> None:
    school.body = body
    with pytest.raises(HookUnavailable) as error:
        await Asker(url).ask(Cookie="sid=s3cr3t-cookie")
    assert error.value.retry_after is not None
    assert says in warned.text


@pytest.mark.gen_test
async def test_an_answer_of_ten_megabytes_is_not_read(
    url: str, school: School, warned: pytest.LogCaptureFixture
) -> None:
    school.body = json.dumps(school.answer).encode() + b" " * 10 * 1024 * 1024
    with pytest.raises(HookUnavailable):
        await Asker(url).ask(Cookie="sid=1")


@pytest.mark.gen_test
async def test_an_answer_that_would_unfold_is_not_unfolded(
    url: str, school: School, warned: pytest.LogCaptureFixture
) -> None:
    school.body = gzip.compress(json.dumps(school.answer).encode() + b" " * (MAX_BYTES + 1))
    school.headers = {"Content-Encoding": "gzip"}
    with pytest.raises(HookUnavailable):
        await Asker(url).ask(Cookie="sid=1")
    assert "Accept-Encoding" not in school.asked[0]


@pytest.mark.gen_test
async def test_an_application_that_is_slow_lets_nobody_in_and_not_for_longer_than_its_time(
    url: str, school: School, warned: pytest.LogCaptureFixture
) -> None:
    school.answering.clear()
    asker = Asker(url, timeout=0.2)
    async with asyncio.timeout(5):
        with pytest.raises(HookUnavailable):
            await asker.ask(Cookie="sid=s3cr3t-cookie")
    school.answering.set()
    assert (await asker.ask(Cookie="sid=s3cr3t-cookie")).user == "mina"


@pytest.mark.gen_test
async def test_an_application_that_is_away_lets_nobody_in(warned: pytest.LogCaptureFixture) -> None:
    asker = Asker("http://127.0.0.1:9/whoami", secret=SecretStr(SECRET))
    for _ in range(3):
        with pytest.raises(HookUnavailable):
            await asker.ask(Cookie="sid=s3cr3t-cookie")
    # Once a minute, with the address and without what was sent.
    assert warned.text.count("since the last such line") == 1
    assert "127.0.0.1:9/whoami" in warned.text


@pytest.mark.gen_test
async def test_an_answer_is_kept_for_a_while_and_never_beyond_its_end(
    url: str, school: School
) -> None:
    asker = Asker(url, cache=10)
    for _ in range(3):
        await asker.ask(Cookie="sid=1")
    assert len(school.asked) == 1
    await asker.ask(Cookie="sid=2")
    assert len(school.asked) == 2
    asker.clock.now += 10
    school.answer = {"user": "mina", "expires_in": 2}
    await asker.ask(Cookie="sid=1")
    asker.clock.now += 2
    await asker.ask(Cookie="sid=1")
    assert len(school.asked) == 4


@pytest.mark.gen_test
async def test_without_a_cache_each_request_is_asked_about(url: str, school: School) -> None:
    asker = Asker(url, cache=0)
    for _ in range(3):
        await asker.ask(Cookie="sid=1")
    assert len(school.asked) == 3


@pytest.mark.gen_test
async def test_the_same_request_many_times_is_one_question(url: str, school: School) -> None:
    school.answering.clear()
    asker = Asker(url)
    asking = [asyncio.ensure_future(asker.ask(Cookie="sid=1")) for _ in range(20)]
    while not school.asked:  # noqa: ASYNC110 - it has no event
        await asyncio.sleep(0.005)
    asking[0].cancel()
    school.answering.set()
    users = [each.user for each in await asyncio.gather(*asking[1:])]
    assert users == ["mina"] * 19
    assert len(school.asked) == 1


@pytest.mark.gen_test
async def test_so_many_questions_are_asked_at_once_and_no_more(url: str, school: School) -> None:
    school.answering.clear()
    asker = Asker(url, at_once=4, timeout=20)
    asking = [
        asyncio.ensure_future(asker.ask(Cookie=f"sid={number}", address=f"10.0.0.{number}"))
        for number in range(20)
    ]
    while school.at_once < 4:  # noqa: ASYNC110 - it has no event
        await asyncio.sleep(0.005)
    school.answering.set()
    await asyncio.gather(*asking)
    assert school.most_at_once == 4


@pytest.mark.gen_test
async def test_one_address_leaves_room_for_others(url: str, school: School) -> None:
    school.answering.clear()
    asker = Asker(url, at_once=4, timeout=20)
    flood = [asyncio.ensure_future(asker.ask(Cookie=f"sid={number}")) for number in range(20)]
    while school.at_once < 2:  # noqa: ASYNC110 - it has no event
        await asyncio.sleep(0.005)
    other = asyncio.ensure_future(asker.ask(Cookie="sid=other", address="10.0.0.6"))
    while not any(sent["Cookie"] == "sid=other" for sent in school.asked):  # noqa: ASYNC110
        await asyncio.sleep(0.005)
    assert school.most_at_once == 3
    school.answering.set()
    await asyncio.gather(*flood, other)


def test_a_secret_is_in_no_text_of_the_question() -> None:
    settings = Settings(url="http://127.0.0.1:9/", secret=SecretStr(SECRET))
    assert SECRET not in repr(settings)
