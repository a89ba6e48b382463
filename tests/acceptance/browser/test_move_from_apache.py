"""An application moves from Apache to the gateway, as docs/how-to/migrate.md says; its page
stays."""

import re
import secrets
import shutil
import socket
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from string import Template
from typing import Any

import pika
import pika.exceptions
import pytest
from playwright.sync_api import Browser, Page, Route, expect

from bench_suite.child import running
from devenv.cluster import Cluster
from tests.acceptance.broker_accounts import Accounts
from tests.acceptance.broker_view import amqp, wait_for, witness
from tests.acceptance.conftest import StartGateway
from tests.acceptance.gateway_process import GatewayProcess

_PROJECT = Path(__file__).parents[3]
_GUIDE = _PROJECT / "docs" / "how-to" / "migrate.md"
_PAGE = Path(__file__).parent / "stock_page.html"
_STOMPJS = _PROJECT / "node_modules" / "@stomp" / "stompjs" / "bundles" / "stomp.umd.js"
_PATIENCE = 30_000

#: What every Apache has around the lines that the guide begins with.
_APACHE = Template("""
ServerName localhost
ServerRoot $folder
DefaultRuntimeDir $folder
PidFile $folder/apache.pid
Listen 127.0.0.1:$port
ErrorLog /dev/stderr
LoadModule mpm_event_module $modules/mod_mpm_event.so
LoadModule authz_core_module $modules/mod_authz_core.so
LoadModule slotmem_shm_module $modules/mod_slotmem_shm.so
LoadModule proxy_module $modules/mod_proxy.so
LoadModule proxy_http_module $modules/mod_proxy_http.so
LoadModule proxy_wstunnel_module $modules/mod_proxy_wstunnel.so
LoadModule proxy_balancer_module $modules/mod_proxy_balancer.so
LoadModule lbmethod_bybusyness_module $modules/mod_lbmethod_bybusyness.so
$guide
""")


def _blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", _GUIDE.read_text(), re.DOTALL)


@pytest.fixture
def passcode(cluster: Cluster) -> Iterator[str]:
    """The password of the application's user at RabbitMQ."""
    accounts, chosen = Accounts(cluster), secrets.token_urlsafe(18)
    accounts.user("webapp", chosen)
    accounts.permit("webapp")
    yield chosen
    accounts.clean_up()


@contextmanager
def apache(folder: Path, cluster: Cluster, port: int) -> Iterator[None]:
    """Apache with the guide's lines in front of this cluster."""
    before = _blocks("apache")[0]
    for node in cluster.nodes:
        before = before.replace(
            f"rabbit{node.number}.example:15674", f"127.0.0.1:{node.web_stomp_port}"
        )
    assert ".example" not in before
    file = folder / "apache.conf"
    file.write_text(
        _APACHE.substitute(
            folder=folder, port=port, modules="/usr/lib/apache2/modules", guide=before
        )
    )
    program = shutil.which("apache2", path="/usr/sbin:/usr/bin")
    assert program is not None
    command = [program, "-D", "FOREGROUND", "-f", str(file)]
    with running(command, log=folder / "apache.log") as child:

        def listens() -> bool:
            assert child.alive, child.log_tail()
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0

        wait_for(listens)
        yield


@pytest.fixture
def page(chromium: Browser, cluster: Cluster, passcode: str) -> Iterator[Page]:
    """The application's page; its host is where Apache is, and the gateway will be."""
    origin = f"http://127.0.0.1:{cluster.gateway_port(1)}"
    context = chromium.new_context()

    def application(route: Route) -> None:
        if route.request.url.endswith("stomp.umd.js"):
            route.fulfill(path=_STOMPJS, content_type="text/javascript")
        else:
            content = _PAGE.read_text().replace("PASSCODE", passcode)
            route.fulfill(body=content, content_type="text/html")

    context.route(f"{origin}/**", application)
    opened = context.new_page()
    yield opened
    context.close()


def is_subscribed(page: Page, *, sessions: int) -> None:
    expect(page.locator("#sessions")).to_have_text(str(sessions), timeout=_PATIENCE)
    expect(page.get_by_role("status")).to_have_text("subscribed", timeout=_PATIENCE)


def reads(page: Page, *lines: str) -> None:
    expect(page.get_by_role("listitem")).to_have_text(list(lines), timeout=_PATIENCE)


def publish(cluster: Cluster, exchange: str, key: str, body: str, *, at: int = 3) -> bool:
    """Whether anybody is there to take it."""
    with amqp(cluster, cluster.node(at)) as channel:
        channel.confirm_delivery()
        try:
            channel.basic_publish(exchange, key, body.encode(), mandatory=True)
        except (pika.exceptions.UnroutableError, pika.exceptions.NackError):
            # A message that a queue of a lost node should have had is refused, though the others
            # have it.
            return False
    return True


def node_of_relay(gateway: GatewayProcess) -> int:
    """The number of the node that the page's relay is on."""
    status, found = gateway.call(
        "GET", "/api/admin/connections?search=webapp", user="root", roles=("admin",)
    )
    assert status == 200, found
    [connection] = found["connections"]
    return int(connection["node"].removeprefix("r"))


def home_of_orders(cluster: Cluster) -> int:
    """The number of the node that has the page's queue."""
    found: dict[str, Any] = {}

    def says_where() -> bool:
        # A node that is busy may answer without what it has to ask the queue for.
        found.update(cluster.node(1).management("GET", "/api/queues/%2F/orders", cluster.admin))
        return "node" in found

    wait_for(says_where)
    return int(found["node"].removeprefix("r").partition("@")[0])


def test_the_same_page_goes_on_behind_the_gateway(
    cluster: Cluster, page: Page, start_gateway: StartGateway, tmp_path: Path
) -> None:
    port = cluster.gateway_port(1)
    with apache(tmp_path, cluster, port):
        page.goto(f"http://127.0.0.1:{port}/")
        is_subscribed(page, sessions=1)
        assert publish(cluster, "amq.topic", "news.sport", "one")
        reads(page, "news: one")
        assert publish(cluster, "", "orders", "first")
        reads(page, "news: one", "order: first")
    expect(page.get_by_role("status")).to_have_text("not connected", timeout=_PATIENCE)
    # Nobody reads it meanwhile.
    assert publish(cluster, "", "orders", "second")

    after: dict[str, Any] = tomllib.loads(_blocks("toml")[0])
    gateway = start_gateway(
        server=f"drain_time = 0.0\nstomp_paths = {after['server']['stomp_paths']}",
        auth="[auth.rabbitmq]",
    )
    assert "rabbitmq" in after["auth"]
    assert gateway.port == port
    # It has not been loaded again.
    is_subscribed(page, sessions=2)
    reads(page, "news: one", "order: first", "order: second")
    assert publish(cluster, "amq.topic", "news.sport", "two")
    reads(page, "news: one", "order: first", "order: second", "news: two")
    with witness(cluster, "news.page") as other:
        page.get_by_label("News").fill("from the page")
        page.get_by_role("button", name="Send").click()
        reads(
            page,
            *("news: one", "order: first", "order: second", "news: two", "news: from the page"),
        )
        ((_, _, body),) = other.hear(1)
        assert body == b"from the page"

    # What it moved for: a node goes, and the page does not notice. It is not that of its relay,
    # which says 1012 for the SEND above: nothing tells whether RabbitMQ has taken it. Nor is it the
    # only one that has the queue, without which nobody could consume.
    needed = {node_of_relay(gateway), home_of_orders(cluster)}
    # Both feeds have it by now: after that the loss of one is not noticed.
    wait_for(lambda: "\ngateway_patterns_alone 0.0\n" in gateway.metrics(), within=60)
    lost = next(number for number in (1, 2, 3) if number not in needed)
    left = node_of_relay(gateway)
    cluster.kill_node(lost)
    wait_for(lambda: publish(cluster, "amq.topic", "news.sport", "three", at=left))
    expect(page.get_by_role("listitem").last).to_have_text("news: three", timeout=_PATIENCE)
    wait_for(lambda: publish(cluster, "", "orders", "third", at=left))
    expect(page.get_by_role("listitem").last).to_have_text("order: third", timeout=_PATIENCE)
    expect(page.locator("#sessions")).to_have_text("2")
    assert node_of_relay(gateway) != lost
