"""The command line of `scripts/mutants`, its table, and the list of modules."""

from pathlib import Path

import pytest

from mutant_suite import __main__ as command
from mutant_suite.modules import MODULES

_ROOT = Path(__file__).parents[3]


def test_without_an_argument_all_modules_are_meant_and_a_part_of_a_path_names_some() -> None:
    assert command.options([]).modules == list(MODULES)
    assert command.options(["sequencer"]).modules == ["gateway/live/hub/sequencer.py"]
    some = command.options(["broker/nodes", "sequencer"]).modules
    assert some == [name for name in MODULES if "broker/nodes" in name or "sequencer" in name]


def test_a_part_that_no_path_has_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        command.options(["sequencer", "nowhere"])
    assert refused.value.code == 2
    assert "'nowhere'" in capsys.readouterr().err


def test_the_list_names_every_module_and_changes_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert command.main(["--list"]) == 0
    assert capsys.readouterr().out.split() == list(MODULES)


def test_the_modules_and_their_tests_are_there() -> None:
    for module, tests in MODULES.items():
        for path in (module, *tests):
            assert (_ROOT / path).is_file(), path


def test_the_table_has_a_row_for_each_module_and_their_sum() -> None:
    rows = [
        command.Row("a.py", killed=7, timeouts=1, accepted=2, unknown=3, seconds=4.4),
        command.Row("b/c.py", killed=10, timeouts=0, accepted=0, unknown=0, seconds=5.4),
    ]
    assert [line.split() for line in command.table(rows).splitlines()] == [
        ["module", "mutants", "killed", "timeouts", "accepted", "survived", "seconds"],
        ["a.py", "13", "7", "1", "2", "3", "4"],
        ["b/c.py", "10", "10", "0", "0", "0", "5"],
        ["all", "23", "17", "1", "2", "3", "10"],
    ]
