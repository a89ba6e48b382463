"""``gateway check-config``, ``user``, ``token``, ``doctor``, and what they say when it fails."""

from __future__ import annotations

import asyncio
import resource
import sqlite3
from pathlib import Path
from typing import Any

import jwt
import pytest

from broker.publishing.link import Link, LinkFailed
from gateway.store import Account, Store
from tests.integration.process.conftest import JWT_SECRET, SECRET, Run


def test_the_effective_configuration_is_shown_without_its_secrets(
    run: Run, environment: dict[str, str]
) -> None:
    environment["GATEWAY_STORE__URL"] = "postgresql://interact:hunter3@db/interact"
    environment["GATEWAY_LIMITS__CONNECTIONS"] = "100"
    result = run("check-config")
    assert (result.returncode, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert "server.address = '127.0.0.1'" in lines
    assert "broker.nodes.0.name = 'r1'" in lines
    assert "broker.password = ***" in lines
    assert "auth.secret = [***]" in lines
    assert "store.url = 'postgresql://interact:***@db/interact'" in lines
    for secret in (SECRET, JWT_SECRET, "hunter2", "hunter3"):
        assert secret not in result.stdout


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("GATEWAY_SERVER__PROT", "1", "server.prot (environment variable GATEWAY_SERVER__PROT)"),
        ("GATEWAY_AUTH__SECRET", "hunter2", "auth.secret"),
        ("GATEWAY_CONFIG", "/nowhere/gateway.toml", "/nowhere/gateway.toml: cannot be read"),
        ("GATEWAY_ACCESS", '[{"roles":["r"],"send":["nonsense"]}]', "access.0.send: 'nonsense'"),
        (
            "GATEWAY_AUTH__JWT",
            '{"algorithms":["RS256"],"key_file":"/nowhere/k.pem","issuer":"i","audience":"a"}',
            "auth.jwt.key_file: /nowhere/k.pem",
        ),
        ("GATEWAY_BROKER__TLS__CA_FILE", "/nowhere/ca.pem", "broker.tls.ca_file: /nowhere/ca.pem"),
    ],
)
def test_a_wrong_configuration_is_told_in_a_line_and_ends_with_2(
    run: Run, environment: dict[str, str], variable: str, value: str, told: str
) -> None:
    environment[variable] = value
    for command in ("check-config", "serve"):
        result = run(command)
        assert result.returncode == 2
        assert told in result.stderr
        assert "Traceback" not in result.stderr
        assert "hunter2" not in result.stderr


def test_accounts_are_added_listed_replaced_and_removed(run: Run) -> None:
    made_up = run("user", "add", "anna", "--role", "host", "--role", "admin")
    assert made_up.returncode == 0
    assert len(made_up.stdout.strip()) >= 20
    given = run("user", "add", "안나", "--password-stdin", stdin="a good password\n")
    assert (given.returncode, given.stdout) == (0, "added 안나\n")
    assert run("user", "list").stdout == "anna\tadmin\thost\n안나\n"
    again = run("user", "add", "anna")
    assert again.returncode == 1
    assert again.stderr.endswith(
        "\ngateway: anna has an account already; use --replace to change it\n"
    )
    assert run("user", "add", "anna", "--replace").returncode == 0
    assert run("user", "list").stdout == "anna\n안나\n"
    assert run("user", "remove", "anna").returncode == 0
    gone = run("user", "remove", "anna")
    assert gone.returncode == 1
    assert gone.stderr.endswith("\ngateway: there is no account anna\n")


def test_a_user_is_one_whichever_way_the_name_is_written(run: Run) -> None:
    assert run("user", "add", "ａｎｎａ").returncode == 0
    # What was written is shown.
    assert run("user", "list").stdout == 'anna\t"ａｎｎａ"\n'
    assert run("user", "add", "anna").returncode == 1
    assert run("user", "show-as", "ａｎｎａ", "Anna Kim").returncode == 0
    assert run("user", "list").stdout == 'anna\t"Anna Kim"\n'
    # A new password leaves it as it is.
    assert run("user", "add", "anna", "--replace").returncode == 0
    assert run("user", "list").stdout == 'anna\t"Anna Kim"\n'
    assert run("user", "show-as", "anna").returncode == 0
    assert run("user", "list").stdout == "anna\n"
    assert run("user", "show-as", "nobody", "x").returncode == 1
    assert run("user", "add", "a☺").returncode == 1
    assert run("user", "remove", "ａｎｎａ").returncode == 0
    assert run("names", "list").returncode == 0


def test_a_class_is_imported_from_a_file_or_not_at_all(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "class.csv"
    file.write_text(
        "\ufeffuser,password,roles,name\n"
        "anna,a good password,host admin,Anna Kim\n"
        "ｂｏｂ,another one,,\n"
    )
    assert run("user", "import", str(file)).stdout == "added 2\n"
    assert run("user", "list").stdout == ('anna\tadmin\thost\t"Anna Kim"\nbob\t"ｂｏｂ"\n')
    again = run("user", "import", str(file))
    assert (again.returncode, "anna has an account already" in again.stderr) == (1, True)
    assert run("user", "import", str(file), "--replace").returncode == 0
    for lines, told in (
        ("name,roles\na,host\n", "first line must be"),
        ("user,password\ncarl,short\n", "line 2: a password"),
        ("user,password\ncarl,long enough\nca☺rl,long enough\n", "line 3: a user name"),
        ("user,password\ncarl,long enough\nｃａｒｌ,long enough\n", "line 3: carl is there twice"),
    ):
        file.write_text(lines)
        refused = run("user", "import", str(file))
        assert (refused.returncode, told in refused.stderr) == (1, True), refused.stderr
    assert "carl" not in run("user", "list").stdout
    # As Korean Excel writes it; nobody has a password yet.
    file.write_bytes("아이디;이름\ndora;도라\nemil;에밀\n".encode("cp949"))
    planned = run("user", "import", str(file), "--dry-run").stdout
    assert planned.startswith("dora\tnew\tnew password\nemil\tnew\tnew password\nnothing was added")
    assert "dora" not in run("user", "list").stdout
    slips = tmp_path / "slips.html"
    assert run("user", "import", str(file), "--slips", str(slips)).returncode == 2
    at = ("--slips", str(slips), "--address", "https://school.example/")
    assert run("user", "import", str(file), *at).stdout == "added 2\n"
    page = slips.read_text()
    # Without a box of its own, a picture stays as small as its modules are many.
    assert page.count("<article>") == page.count("<svg viewBox=") == 2
    assert "도라" in page
    assert slips.stat().st_mode & 0o077 == 0
    assert 'dora\t"도라"' in run("user", "list").stdout
    file.write_text("user\nfinn\n")
    user, password = run("user", "import", str(file)).stdout.splitlines()[0].split("\t")
    assert (user, len(password)) == ("finn", len("bagu-tedo-mipa-47"))
    assert run("user", "import", str(tmp_path / "none.csv")).returncode == 1


def test_a_name_that_stands_in_another_form_is_named_and_can_be_given_to_somebody(
    run: Run, environment: dict[str, str]
) -> None:
    async def stand() -> None:
        store = await Store.open(environment["GATEWAY_STORE__URL"], migrate=True)
        try:
            await store.put_account(Account("ｋｉｍ", "x", frozenset()))
            await store.put_account(Account("kim", "x", frozenset()))
        finally:
            await store.close()

    asyncio.run(stand())
    told = run("names", "list")
    assert told.returncode == 1
    assert "'ｋｉｍ' (1 accounts) would be 'kim', as 'kim' would" in told.stdout
    assert run("names", "give", "ｋｉｍ", "kim").returncode == 1
    assert run("names", "give", "ｋｉｍ", "kim 2").returncode == 0
    assert run("names", "give", "ｋｉｍ", "kim 2").returncode == 1
    assert run("names", "list").returncode == 0
    assert run("user", "list").stdout == 'kim\nkim 2\t"ｋｉｍ"\n'


@pytest.mark.parametrize(
    ("arguments", "stdin", "told"),
    [
        (["add", "a\nb"], "", "printable characters only"),
        (["add", ""], "", "non-empty"),
        (["add", "anna", "--password-stdin"], "short\n", "at least 8 characters"),
        (["add", "anna", "--password-stdin"], "", "at least 8 characters"),
    ],
)
def test_an_account_that_nobody_could_use_is_refused(
    run: Run, arguments: list[str], stdin: str, told: str
) -> None:
    result = run("user", *arguments, stdin=stdin)
    assert result.returncode == 1
    assert told in result.stderr
    assert run("user", "list").stdout == ""


def test_a_token_is_one_that_the_gateway_accepts(run: Run) -> None:
    result = run("token", "bob", "--role", "host", "--lifetime", "60")
    claims = jwt.decode(
        result.stdout.strip(), JWT_SECRET, algorithms=["HS256"], audience="interact"
    )
    assert (claims["sub"], claims["roles"], claims["iss"]) == ("bob", ["host"], "school")
    assert claims["exp"] - claims["iat"] == 60


def test_a_store_that_cannot_be_opened_is_told_in_a_line(
    run: Run, environment: dict[str, str], tmp_path: Path
) -> None:
    for url in (
        f"sqlite:///{tmp_path}/no/such/folder/x.db",
        "postgresql://a:hunter2@127.0.0.1:9/x",
    ):
        environment["GATEWAY_STORE__URL"] = url
        for arguments in (["serve"], ["user", "list"]):
            result = run(*arguments)
            assert result.returncode == 1, result.stderr
            assert "Traceback" not in result.stderr
            assert "hunter2" not in result.stderr
            assert result.stderr.startswith("gateway: ")


def test_every_command_means_the_database_beside_the_configuration(
    run: Run, environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever it is run; a path from the working folder would be a second, empty database."""
    configuration = tmp_path / "etc" / "gateway.toml"
    configuration.parent.mkdir()
    configuration.write_text(Path(environment["GATEWAY_CONFIG"]).read_text())
    environment["GATEWAY_CONFIG"] = str(configuration)
    environment["GATEWAY_STORE__URL"] = "sqlite:///interact.db"
    # None but this one makes it.
    missing = run("user", "list")
    assert missing.returncode == 1
    assert f"{tmp_path}/etc/interact.db does not exist: run `gateway migrate`" in missing.stderr
    told = run("migrate").stdout
    assert told.startswith(f"database {tmp_path}/etc/interact.db was without tables, is at rev")
    assert run("migrate").stdout.endswith("; nothing to do\n")
    for number, folder in enumerate(("one", "two")):
        (tmp_path / folder).mkdir()
        monkeypatch.chdir(tmp_path / folder)
        result = run("user", "add", f"user{number}")
        assert result.returncode == 0
        assert result.stderr == f"database {tmp_path}/etc/interact.db\n"
    assert run("user", "list").stdout == "user0\nuser1\n"
    assert f"store.url = 'sqlite:///{tmp_path}/etc/interact.db'" in run("check-config").stdout
    (tmp_path / "etc" / "interact.db").rename(tmp_path / "two" / "interact.db")
    left = run("user", "list")
    assert left.returncode == 2
    assert f"store.url: {tmp_path}/two/interact.db exists, but a relative path" in left.stderr


def test_the_doctor_names_what_is_wrong_and_how_to_mend_it(run: Run) -> None:
    result = run("doctor")
    assert result.returncode == 1
    assert "ok     database" in result.stdout
    assert "WRONG  origins of pages: server.origins is empty" in result.stdout
    assert "WRONG  r1: Web-STOMP as gateway: " in result.stdout
    assert "WRONG  r1: AMQP as gateway: " in result.stdout
    # Each node is named once in its line, and what could not be seen is no fault of its own.
    assert "r1: AMQP as gateway: r1: " not in result.stdout
    assert "private queues of 0 open rooms: no node could be asked, the last one" in result.stdout
    assert "Traceback" not in result.stderr
    assert "hunter2" not in result.stdout + result.stderr


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, "ok     pages in frames of others: none may be (server.frame_ancestors)"),
        (
            {"FRAME_ANCESTORS": '["https://LMS.example"]'},
            "ok     pages in frames of others: https://lms.example, with same-site cookies",
        ),
        (
            {"COOKIES": "cross-site"},
            'WRONG  pages in frames of others: server.cookies is "cross-site", but no page',
        ),
        (
            {"COOKIES": "cross-site", "FRAME_ANCESTORS": '["https://lms.example"]'},
            "browsers take such a cookie over TLS only",
        ),
        (
            {"FRAME_ANCESTORS": '["http://lms.example"]', "TRUSTED_PROXIES": '["192.0.2.1"]'},
            "WRONG  pages in frames of others: http://lms.example: a page that is not https",
        ),
    ],
)
def test_the_doctor_names_frames_that_cannot_work(
    given: dict[str, str], told: str, run: Run, environment: dict[str, str]
) -> None:
    environment |= {f"GATEWAY_SERVER__{key}": value for key, value in given.items()}
    assert told in run("doctor").stdout


def test_a_frame_around_the_pages_is_named_as_browsers_do(
    run: Run, environment: dict[str, str]
) -> None:
    environment["GATEWAY_SERVER__FRAME_ANCESTORS"] = '["https://lms.example/course"]'
    result = run("check-config")
    assert result.returncode == 2
    assert "server.frame_ancestors" in result.stderr
    assert "must be scheme://host[:port] and nothing more" in result.stderr


def test_fewer_open_files_than_the_configuration_needs_are_told(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    problem = "the system allows this process 900 open files, but limits.connections = 10000 needs"
    monkeypatch.setattr(resource, "getrlimit", lambda _: (900, 900))
    checked = run("check-config")
    assert checked.returncode == 0
    assert f"warning: {problem} 10072: raise the limit (systemd: LimitNOFILE=" in checked.stderr
    assert f"WRONG  open files: 900: {problem} 10072\n       raise the" in run("doctor").stdout
    monkeypatch.setattr(resource, "getrlimit", lambda _: (900, 10_072))
    assert run("check-config").stderr == ""


def test_the_doctor_dials_as_the_gateway_does(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The doctor must notice that the gateway fails where another library succeeds."""

    async def refuse(*_: Any, **__: Any) -> None:
        raise LinkFailed("r1", "not for aiormq")

    monkeypatch.setattr(Link, "open", refuse)
    assert "WRONG  r1: AMQP as gateway: not for aiormq" in run("doctor").stdout


def test_the_doctor_says_why_a_database_takes_nothing(
    run: Run, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It can be opened and read."""
    assert "ok     database" in run("doctor").stdout
    path = environment["GATEWAY_STORE__URL"].removeprefix("sqlite:///")
    prove = Store.prove

    async def locked(store: Store) -> None:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        try:
            await prove(store)
        finally:
            other.close()

    monkeypatch.setattr(Store, "prove", locked)
    told = run("doctor").stdout
    assert f"WRONG  database {path}: it cannot be written: database is locked" in told


def test_a_topology_without_a_node_is_told_in_a_line(run: Run) -> None:
    result = run("topology", "show")
    assert result.returncode == 1
    assert "\ngateway: no node of the cluster can be used:\n  r1: " in result.stderr


@pytest.mark.parametrize("arguments", [[], ["fly"], ["user"], ["user", "add"], ["token"]])
def test_a_command_that_does_not_exist_ends_with_2(run: Run, arguments: list[str]) -> None:
    result = run(*arguments)
    assert result.returncode == 2
    assert "usage: gateway" in result.stderr


@pytest.mark.parametrize("command", [["topology", "apply"], ["topology", "show"], ["doctor"]])
@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--password-stdin"], "--password-stdin is of no use without --admin NAME"),
        (["--management", "http://r1:15672"], "--management is of no use without --admin NAME"),
        (
            ["--admin", "root", "--management", "r1:15672"],
            "--management r1:15672: give http://host:port or https://host:port, without a login",
        ),
        (["--admin", "root", "--pasword-stdin"], "unrecognized arguments: --pasword-stdin"),
    ],
)
def test_options_that_mean_nothing_are_told_before_anything_is_done(
    run: Run, command: list[str], options: list[str], told: str
) -> None:
    result = run(*command, *options, stdin="secret\n")
    assert (result.returncode, result.stdout) == (2, "")
    assert told in result.stderr
    assert "database" not in result.stderr


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ([], "there is no terminal to ask for the password; use --password-stdin"),
        (["--password-stdin"], "the password of RabbitMQ's user root is empty"),
    ],
)
def test_an_administrator_without_a_password_is_told(
    run: Run, options: list[str], told: str
) -> None:
    result = run("topology", "apply", "--admin", "root", *options)
    assert (result.returncode, result.stderr) == (1, f"gateway: {told}\n")


def test_the_doctor_says_that_no_management_api_answers_and_keeps_the_password(run: Run) -> None:
    arguments = ("--admin", "root", "--password-stdin", "--management", "http://127.0.0.1:9")
    result = run("doctor", *arguments, stdin="swordfish\n")
    assert (
        "WRONG  policies of the private queues: no management API answers:\n"
        "  http://127.0.0.1:9: connection refused\n" in result.stdout
    )
    assert "swordfish" not in result.stdout + result.stderr


def test_without_an_administrator_the_doctor_names_the_command_that_sees_more(
    run: Run, environment: dict[str, str]
) -> None:
    command = f"gateway --config {environment['GATEWAY_CONFIG']} doctor --admin ADMINISTRATOR"
    told = f"-      policies of the private queues: only an administrator sees them: {command}\n"
    assert told in run("doctor").stdout
