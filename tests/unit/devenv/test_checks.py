"""The whole run: which session has which tests, and what all of them together come to."""

from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from devenv import checks, rabbitmq, second_try
from devenv.errors import SetupError
from devenv.side_by_side import Job, Outcome

_PROJECT = Path(__file__).parents[3]
_HUB = "tests/acceptance/live/test_hub.py::a"
_BUS = "tests/acceptance/cluster/test_bus.py::b"
_UNIT = "tests/unit/test_x.py::c"


def test_every_test_belongs_to_one_session(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(_PROJECT)
    taken = Counter(
        file
        for session in checks._sessions([])
        for path in session.command
        if path.startswith("tests/")
        for file in Path(path).rglob("test_*.py")
    )

    tiers = [_PROJECT / "tests" / tier for tier in ("unit", "integration", "acceptance")]
    files = {file.relative_to(_PROJECT) for tier in tiers for file in tier.rglob("test_*.py")}
    assert taken == Counter(files)


@pytest.fixture
def archive(monkeypatch: pytest.MonkeyPatch) -> list[SetupError]:
    """An archive that has every version, or raises the error in the list; nothing is fetched."""
    error: list[SetupError] = []
    monkeypatch.setenv(rabbitmq.VARIABLE, "")

    def ensure(progress: Callable[[str], None]) -> None:
        assert rabbitmq.chosen() == rabbitmq.NEWEST
        if error:
            raise error[0]

    monkeypatch.setattr(rabbitmq, "ensure", ensure)
    monkeypatch.setattr(rabbitmq, "version", lambda: "3.10.8")
    monkeypatch.chdir(_PROJECT)
    return error


def test_what_depends_on_the_version_runs_on_the_newest_too(archive: list[SetupError]) -> None:
    jobs, lacking = checks._newest()

    assert lacking is None
    assert {job.environment[rabbitmq.VARIABLE] for job in jobs} == {rabbitmq.NEWEST}
    assert rabbitmq.chosen() is None, "all other sessions run on the distribution's own"
    files = Counter(
        str(file.relative_to("tests/acceptance"))
        for job in jobs
        for path in map(Path, job.command)
        if path.parts[:2] == ("tests", "acceptance")
        for file in ([path] if path.suffix else path.rglob("test_*.py"))
    )
    assert set(files.values()) == {1}
    for area in ("broker/test_publishing", "live/test_rescue", "live/test_hub"):
        assert f"{area}.py" in files
    for area in ("live/test_private_queue", "live/test_access_rules", "cluster/test_two_gateways"):
        assert f"{area}.py" in files
    assert all((_PROJECT / "tests/acceptance" / file).exists() for file in files)
    assert not {checks._cache(job.name) for job in jobs} & {
        checks._cache(job.name) for job in checks._sessions([])
    }
    names = [job.name for job in checks._sessions(jobs)]
    assert set(names) > {job.name for job in jobs}


def test_only_an_archive_without_it_excuses_from_the_newest(archive: list[SetupError]) -> None:
    archive.append(rabbitmq.NotInArchive("sid has 4.4.1"))
    assert checks._newest() == ([], "sid has 4.4.1")
    archive[0] = SetupError("no network")
    with pytest.raises(SetupError, match="no network"):
        checks._newest()
    assert rabbitmq.chosen() is None


def test_where_the_newest_was_chosen_or_is_installed_nothing_runs_twice(
    archive: list[SetupError], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rabbitmq, "version", lambda: f"{rabbitmq.NEWEST}.6")
    assert checks._newest() == ([], None)
    monkeypatch.setattr(rabbitmq, "version", lambda: "3.10.8")
    rabbitmq.choose("4.0")
    assert checks._newest() == ([], None)


@pytest.mark.parametrize(
    ("given", "version", "left"),
    [
        (["unit", "-x"], None, ["unit", "-x"]),
        (["--rabbitmq", "4.3", "unit"], "4.3", ["unit"]),
        (["acceptance", "--rabbitmq=4.0", "-k", "a"], "4.0", ["acceptance", "-k", "a"]),
    ],
)
def test_the_version_may_stand_anywhere(
    given: list[str], version: str | None, left: list[str]
) -> None:
    assert checks._taken_out(given, "--rabbitmq") == version
    assert given == left


@pytest.mark.parametrize(
    ("tiers", "given", "folders"),
    [
        (["unit"], ["-q"], ["tests/unit"]),
        (["unit"], ["-q", "tests/unit/broker"], []),
        (["unit", "integration"], ["tests/unit/test_x.py::a"], ["tests/integration"]),
    ],
)
def test_of_a_tier_of_which_tests_are_named_no_others_run(
    tiers: list[str], given: list[str], folders: list[str]
) -> None:
    assert checks._folders(tiers, given) == folders


@pytest.mark.parametrize("given", [["--rabbitmq"], ["--rabbitmq="], ["--rabbitmq", "-x"]])
def test_a_version_that_is_not_named_is_told(given: list[str]) -> None:
    with pytest.raises(SetupError, match=r"name a version, one of 3\.10, "):
        checks._taken_out(given, "--rabbitmq")


def _session(
    name: str, code: int, closing: str, *failed: str, version: str | None = None
) -> Outcome:
    second_try.remember(checks._cache(name), failed)
    environment = {rabbitmq.VARIABLE: version} if version else {}
    job = Job(name, ["pytest"], environment=environment)
    return Outcome(job, code, f"...\n=== {closing} in 1.00s ===\n")


#: What is told when a second try is asked for: the tests that pass then.
Heal = Callable[..., list[str]]


@pytest.fixture
def heal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Heal:
    """Lets a second try heal these tests and no other; the list is of those that were tried."""
    monkeypatch.chdir(tmp_path)
    tried: list[str] = []

    def prepare(*healed: str) -> list[str]:
        def run(command: list[str], environment: Mapping[str, str]) -> int:
            names = [argument for argument in command if "::" in argument]
            version = environment.get(rabbitmq.VARIABLE)
            tried.extend(f"{name} on {version}" if version else name for name in names)
            left = [name for name in second_try.failed(checks._CACHE) if name not in healed]
            second_try.remember(checks._CACHE, left)
            return int(any(name in left for name in names))

        monkeypatch.setattr(checks, "_run", run)
        return tried

    return prepare


def test_green_sessions_are_green_together(heal: Heal) -> None:
    tried = heal()

    code, counts = checks._verdict(
        [_session("unit", 0, "7 passed"), _session("live", 0, "3 passed, 1 skipped")]
    )

    assert (code, counts) == (0, Counter(passed=10, skipped=1))
    assert tried == []


def test_tests_that_pass_at_the_second_try_are_green_and_named(
    heal: Heal, capsys: pytest.CaptureFixture[str]
) -> None:
    tried = heal(_HUB, _BUS)

    code, counts = checks._verdict(
        [
            _session("live", 1, "1 failed, 3 passed", _HUB),
            _session("cluster", 1, "1 failed, 1 passed", _BUS),
        ]
    )

    assert (code, counts) == (0, Counter(passed=6))
    assert tried == [_HUB, _BUS]
    assert f"PASSED ONLY AT THE SECOND TRY: {_HUB}, {_BUS}" in capsys.readouterr().out


def test_a_test_is_tried_again_on_its_version(
    heal: Heal, capsys: pytest.CaptureFixture[str]
) -> None:
    tried = heal(_BUS)

    code, counts = checks._verdict(
        [
            _session("live", 0, "4 passed"),
            _session("live on 4.3", 1, "1 failed, 3 passed", _HUB, version="4.3"),
            _session("cluster", 1, "1 failed, 1 passed", _BUS),
        ]
    )

    assert tried == [f"{_HUB} on 4.3", _BUS]
    assert (code, counts) == (1, Counter(failed=1, passed=9))
    said = capsys.readouterr().out
    assert f"PASSED ONLY AT THE SECOND TRY: {_BUS}\n" in said
    assert f"FAILED: {_HUB} on RabbitMQ 4.3\n" in said
    assert second_try.failed(checks._CACHE) == [_HUB]


def test_tests_that_fail_again_are_red_and_named(
    heal: Heal, capsys: pytest.CaptureFixture[str]
) -> None:
    heal(_HUB)

    code, counts = checks._verdict([_session("live", 1, "2 failed, 3 passed", _HUB, _BUS)])

    assert (code, counts) == (1, Counter(failed=1, passed=4))
    assert f"FAILED: {_BUS}\n" in capsys.readouterr().out
    assert second_try.failed(checks._CACHE) == [_BUS], "for pytest --last-failed"


def test_a_unit_test_that_fails_stays_red_and_keeps_none_from_its_second_try(heal: Heal) -> None:
    tried = heal(_HUB)

    code, counts = checks._verdict(
        [_session("unit", 1, "1 failed", _UNIT), _session("live", 1, "1 failed", _HUB)]
    )

    assert (code, counts) == (1, Counter(failed=1, passed=1))
    assert tried == [_HUB]


def test_a_session_that_broke_off_is_red_whatever_the_others_say(heal: Heal) -> None:
    tried = heal(_HUB)

    for code in (2, 3, -9):
        broken = Outcome(Job("unit", ["pytest"]), code, "Killed")
        sessions = [broken, _session("live", 1, "1 failed, 3 passed", _HUB)]
        assert checks._verdict(sessions)[0] == abs(code)
    assert tried == []


def test_no_test_at_all_is_no_success(heal: Heal) -> None:
    heal()

    assert checks._verdict([_session("unit", 5, "no tests ran")])[0] == 5
    assert checks._verdict(
        [_session("unit", 5, "no tests ran"), _session("live", 0, "1 passed")]
    ) == (0, Counter(passed=1))


def test_of_two_runs_in_one_checkout_the_second_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    checks._WORK.parent.mkdir()

    with checks._only_one(), pytest.raises(SetupError, match="already"), checks._only_one():
        pass

    with checks._only_one():
        pass
