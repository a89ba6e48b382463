"""Orders end a user's access: on two gateways with PostgreSQL, and on one with SQLite."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from typing import Any

import pytest

from devenv.cluster import Cluster
from devenv.postgres import Postgres
from tests.acceptance.broker_view import nodes_of, wait_for
from tests.acceptance.conftest import gateways_in
from tests.acceptance.gateway_process import PREFIX, GatewayProcess
from tests.acceptance.logins import (
    PASSWORD,
    SOON,
    Cookie,
    command,
    follow,
    log_in,
    try_to_log_in,
    user_command,
)
from tests.acceptance.stomp_client import StompClient

pytestmark = pytest.mark.cluster

Follow = Callable[..., StompClient]
_DATABASE = "orders"


@pytest.fixture(
    scope="module",
    params=[
        pytest.param("two on PostgreSQL", marks=pytest.mark.postgres),
        "one on SQLite",
    ],
)
def gateways(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    cluster_of_session: Cluster,
    presence: bool,
) -> Iterator[list[GatewayProcess]]:
    """The first and the last are two gateways, or the same one."""
    folder, options = tmp_path_factory.mktemp("gateways"), {"jwt": "leeway = 0"}
    with ExitStack() as stack:
        if request.param == "one on SQLite":
            start = stack.enter_context(gateways_in(folder, cluster_of_session, presence=presence))
            yield [start(**options)]
            return
        postgres: Postgres = request.getfixturevalue("postgres")
        postgres.create_database(_DATABASE)
        stack.callback(postgres.drop_database, _DATABASE)
        store = postgres.url(_DATABASE).replace("+asyncpg", "")
        start = stack.enter_context(gateways_in(folder, cluster_of_session, presence=presence))
        yield [start(number=number, store=store, **options) for number in (0, 1)]


@pytest.fixture(scope="session")
def _numbers() -> Iterator[int]:
    return count(1)


@pytest.fixture
def hana(gateways: list[GatewayProcess], cluster: Cluster, _numbers: Iterator[int]) -> str:
    """Somebody with an account, of whom no test before has ordered anything."""
    peers = f"gateway_peers {len(gateways) - 1}.0"
    for each in gateways:
        each.await_ready()
        wait_for(lambda each=each: peers in each.metrics())  # type: ignore[misc]
    name = f"hana{next(_numbers)}"
    user_command(gateways[0], "add", name, "--password-stdin", "--role", "host")
    return name


def by_password(gateway: GatewayProcess, user: str) -> Cookie:
    return log_in(gateway, user=user, password=PASSWORD)


@pytest.fixture
def following(hana: str) -> Iterator[Follow]:
    """Opens sockets, of hana unless another user is named, that are closed with the test."""
    with ExitStack() as stack:

        def open_socket(*arguments: Any, **options: Any) -> StompClient:
            return stack.enter_context(follow(*arguments, **{"user": hana, **options}))

        yield open_socket


def order(gateway: GatewayProcess, path: str = "disconnect", **wanted: str) -> dict[str, Any]:
    """The answer to an admin's order."""
    status, answer = gateway.call(
        "POST", f"/api/admin/{path}", wanted, user="root", roles=("admin",)
    )
    assert status in {200, 204}, answer
    return dict(answer or {})


def bearing(proof: str) -> Cookie:
    return {"Authorization": f"Bearer {proof}"}


def answers(gateways: list[GatewayProcess], headers: Cookie) -> list[object]:
    """How each gateway takes the credentials."""
    found = [gateway.call("GET", "/api/session", headers=headers) for gateway in gateways]
    return [answer["user"] if status == 200 else answer["code"] for status, answer in found]


def await_answers(gateways: list[GatewayProcess], headers: Cookie, wanted: str) -> None:
    all_wanted = [wanted] * len(gateways)
    wait_for(partial(answers, gateways, headers), wanted=all_wanted.__eq__, within=SOON)


def ends(socket: StompClient, why: str, code: int) -> str:
    """The detail of the ERROR that ends the socket."""
    while (frame := socket.receive()).command == "MESSAGE":
        pass
    assert (frame.command, frame.headers["message"]) == ("ERROR", why)
    assert socket.closed() == code
    return frame.body.decode()


@pytest.mark.parametrize("by", ["an admin", "the command line"])
def test_who_is_kept_out_loses_every_socket_and_relay_and_comes_in_by_no_way(
    gateways: list[GatewayProcess], hana: str, following: Follow, cluster: Cluster, by: str
) -> None:
    here, there = gateways[0], gateways[-1]
    room = here.room(hana)
    topic, queue = f"/topic/{PREFIX}.public.{room}", f"/queue/{PREFIX}.private.{room}"
    token = here.token(hana, "host", jti=f"t1-{hana}")
    proofs = [by_password(here, hana), log_in(here, token=token), bearing(token)]
    sockets = [following(gateway, proof, topic) for gateway in gateways for proof in proofs]
    sockets.append(following(there, proofs[0], queue))
    wait_for(lambda: nodes_of(cluster, hana))
    spared = following(there, bearing(there.token(f"mina-{hana}")), user=f"mina-{hana}")
    until = datetime.now(UTC) + timedelta(hours=1)
    began = time.monotonic()
    if by == "an admin":
        answer = order(here, user=hana, until=until.isoformat(), reason="too loud")
        assert answer["missing"] == {}
        assert len(answer["done"]) == len(gateways)
        assert sum(answer["done"].values()) == len(sockets)
    else:
        # No gateway hears of it but by the database.
        user_command(here, "end", hana, "--until", until.isoformat(), "--reason", "too loud")
        began = time.monotonic()
    for socket in sockets:
        assert "too loud" in ends(socket, "kept_out", 4003)
    assert time.monotonic() - began < SOON
    wait_for(lambda: nodes_of(cluster, hana), wanted=lambda found: not found)
    fresh = bearing(here.token(hana, "host"))
    for proof in (*proofs, fresh):
        await_answers(gateways, proof, "kept_out")
    for gateway in gateways:
        for trial in ({"user": hana, "password": PASSWORD}, {"token": here.token(hana)}):
            status, problem, _ = try_to_log_in(gateway, **trial)
            assert (status, problem["code"]) == (403, "kept_out")
            assert "too loud" in problem["detail"]
        with StompClient(gateway.ws_url) as client:
            client.send("CONNECT", {"accept-version": "1.2", "passcode": gateway.token(hana)})
            ends(client, "kept_out", 4003)
    spared.request("SEND", {"destination": "/gateway/ping"})
    if by == "an admin":
        order(there, "admit", user=hana)
    else:
        user_command(here, "admit", hana)
    for gateway in gateways:
        wait_for(
            lambda gateway=gateway: try_to_log_in(gateway, user=hana, password=PASSWORD)[0],  # type: ignore[misc]
            wanted=(200).__eq__,
            within=SOON,
        )
    for proof in proofs:
        await_answers(gateways, proof, "session_ended")
    assert answers(gateways, fresh) == [hana] * len(gateways)


def test_a_user_who_is_ended_comes_back_with_nothing_old_and_logs_in_again(
    gateways: list[GatewayProcess], hana: str, following: Follow
) -> None:
    here, there = gateways[0], gateways[-1]
    token = here.token(hana, jti=f"t1-{hana}")
    proofs = [by_password(here, hana), log_in(there, token=token), bearing(token)]
    sockets = [following(gateway, proof) for gateway in gateways for proof in proofs]
    answer = order(here, user=hana, reason="go home")
    assert sum(answer["done"].values()) == len(sockets)
    for proof in proofs:
        # The answer says that it is done: nobody has to wait for it.
        assert answers(gateways, proof) == ["session_ended"] * len(gateways)
    for socket in sockets:
        assert "go home" in ends(socket, "kicked", 4003)
    for again in (by_password(here, hana), bearing(here.token(hana))):
        assert answers(gateways, again) == [hana] * len(gateways)
        following(there, again)


@pytest.mark.parametrize("by", ["an admin", "the command line"])
@pytest.mark.parametrize("claim", ["jti", "sub"])
def test_a_token_on_the_revocation_list_ends_with_its_sessions_and_sockets(
    gateways: list[GatewayProcess], hana: str, following: Follow, by: str, claim: str
) -> None:
    here, there = gateways[0], gateways[-1]
    token, other = here.token(hana, jti=f"t1-{hana}"), here.token(hana, jti=f"t2-{hana}")
    proofs = [bearing(token), log_in(here, token=token)]
    others = [bearing(other), log_in(here, token=other)]
    account = by_password(here, hana)
    ended = [following(gateway, proof) for gateway in gateways for proof in proofs]
    kept = [following(there, account)]
    if claim == "jti":
        kept += [following(there, proof) for proof in others]
    else:
        ended += [following(there, proof) for proof in others]
    value = {"jti": f"t1-{hana}", "sub": hana}[claim]
    if by == "an admin":
        order(here, "revocations", **{claim: value})
    else:
        command(here, "revoke", f"--{claim}", value)
    for socket in ended:
        ends(socket, "session_ended", 4001)
    for proof in proofs + ([] if claim == "jti" else others):
        await_answers(gateways, proof, "session_ended")
    for socket in kept:
        socket.request("SEND", {"destination": "/gateway/ping"})
    assert answers(gateways, account) == [hana] * len(gateways)
    assert answers(gateways, bearing(here.token(hana))) == [hana] * len(gateways)


def test_a_user_sees_and_ends_their_own_sessions(
    gateways: list[GatewayProcess], hana: str, following: Follow
) -> None:
    here, there = gateways[0], gateways[-1]
    lost, phone, laptop = by_password(here, hana), by_password(there, hana), by_password(here, hana)

    def own(session: Cookie) -> dict[str, Any]:
        status, answer = there.call("GET", "/api/sessions", headers=session)
        assert status == 200
        (current,) = [each for each in answer["sessions"] if each["current"]]
        return {"current": current["id"], "all": {each["id"] for each in answer["sessions"]}}

    ids = {name: own(session)["current"] for name, session in (("lost", lost), ("phone", phone))}
    assert len(own(laptop)["all"]) == 3
    sockets = {
        name: [following(gateway, session) for gateway in gateways]
        for name, session in (("lost", lost), ("phone", phone), ("laptop", laptop))
    }
    path = f"/api/sessions/{ids['lost']}"
    assert here.call("DELETE", path, headers=laptop)[0] == 204
    for socket in sockets["lost"]:
        ends(socket, "session_ended", 4001)
    await_answers(gateways, lost, "session_ended")
    assert answers(gateways, phone) == [hana] * len(gateways)
    assert here.call("DELETE", "/api/sessions", headers=laptop) == (200, {"ended": 1})
    for socket in sockets["phone"]:
        ends(socket, "session_ended", 4001)
    for socket in sockets["laptop"]:
        socket.request("SEND", {"destination": "/gateway/ping"})
    assert own(laptop)["all"] == {own(laptop)["current"]}


def test_a_gateway_that_was_down_while_orders_came_knows_them_when_it_serves(
    gateways: list[GatewayProcess], hana: str
) -> None:
    here, there = gateways[0], gateways[-1]
    token = here.token(hana, jti=f"t1-{hana}")
    of_account, traded = by_password(here, hana), log_in(here, token=token)
    mina = bearing(here.token(f"mina-{hana}"))
    there.kill()
    user_command(here, "end", hana)
    user_command(here, "end", f"mina-{hana}", "--minutes", "10")
    there.start()
    for proof in (of_account, traded, bearing(token)):
        assert answers([there], proof) == ["session_ended"]
    assert answers([there], mina) == ["kept_out"]
    there.await_ready()


def test_an_account_that_is_made_again_revives_no_cookie(
    gateways: list[GatewayProcess], hana: str
) -> None:
    here = gateways[0]
    before = by_password(here, hana)
    user_command(here, "remove", hana)
    user_command(here, "add", hana, "--password-stdin", "--role", "admin")
    await_answers(gateways, before, "session_ended")
    assert answers(gateways, by_password(here, hana)) == [hana] * len(gateways)
    for gateway in gateways:
        status, problem = gateway.call("GET", "/api/admin/connections", headers=before)
        assert (status, problem["code"]) == (401, "session_ended")


def test_an_order_needs_no_broker_to_end_what_is_open(
    gateways: list[GatewayProcess], hana: str, following: Follow, cluster: Cluster
) -> None:
    proof = by_password(gateways[0], hana)
    sockets = [following(gateway, proof) for gateway in gateways]
    for node in cluster.nodes:
        cluster.stop_node(node.number)
    try:
        answer = order(gateways[0], user=hana)
        for socket in sockets:
            ends(socket, "kicked", 4003)
        done, missing = answer["done"], answer["missing"]
        assert len(done) + len(missing) == len(gateways)
        assert len(done) >= 1, "this gateway needs nobody"
        assert answers(gateways, proof) == ["session_ended"] * len(gateways)
    finally:
        cluster.mend()


def test_the_password_of_an_ended_user_is_not_told_apart_from_a_wrong_one(
    gateways: list[GatewayProcess], hana: str
) -> None:
    user_command(gateways[0], "end", hana, "--minutes", "10")
    wrong, _, _ = try_to_log_in(gateways[-1], user=hana, password=PASSWORD + "x")
    assert wrong == 401
