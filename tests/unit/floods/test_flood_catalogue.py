"""The catalogue, the modules of the floods and the command line agree."""

import inspect
from importlib import import_module
from pathlib import Path

import pytest

from devenv import command_lines
from flood_suite import floods
from flood_suite.catalogue import FLOODS

#: Modules that several floods share.
_PARTS = {"busy_topic", "large_history"}


@pytest.mark.parametrize("name", FLOODS)
def test_each_flood_takes_the_arguments_that_the_catalogue_gives(name: str) -> None:
    entry = FLOODS[name]
    module = import_module(f"flood_suite.floods.{entry.module}")
    inspect.signature(module.flood).bind("site", "tally", **entry.arguments)
    assert inspect.iscoroutinefunction(module.flood)
    prepare = getattr(module, "prepare", None)
    assert prepare is None or inspect.iscoroutinefunction(prepare)


def test_each_module_is_a_flood_of_the_catalogue() -> None:
    assert floods.__file__ is not None
    modules = {path.stem for path in Path(floods.__file__).parent.glob("*.py")} - {"__init__"}
    assert modules - _PARTS == {entry.module for entry in FLOODS.values()}


def test_an_unknown_flood_is_refused_with_the_list_of_known_ones(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        command_lines.floods().parse_args(["--only", "noah"])
    told = capsys.readouterr().err
    assert "noah" in told
    assert not [name for name in FLOODS if name not in told]
