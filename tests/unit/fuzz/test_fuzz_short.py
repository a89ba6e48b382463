"""The short form of `scripts/fuzz`: each target, its seeds and a few hundred changes of them."""

from importlib import import_module
from pathlib import Path
from random import Random

import pytest

from devenv import command_lines
from fuzz_suite import targets
from fuzz_suite.catalogue import TARGETS
from fuzz_suite.drawn import changed

_EXAMPLES = Path(__file__).parent / "examples"
_CHANGES = 300


@pytest.mark.parametrize("name", TARGETS)
def test_the_property_of_a_target_holds(name: str) -> None:
    target = import_module(f"fuzz_suite.targets.{TARGETS[name]}")
    rng = Random(name)  # noqa: S311 - it is to be repeatable
    drawn = [changed(target.SEEDS, rng) for _ in range(_CHANGES)]
    for data in (b"", *target.SEEDS, *drawn):
        try:
            target.check(data)
        except Exception as error:
            error.add_note(f"by {data[:300]!r}")
            raise


def test_what_broke_a_target_once_breaks_it_no_more() -> None:
    for example in _EXAMPLES.glob("*/*"):
        target = import_module(f"fuzz_suite.targets.{TARGETS[example.parent.name]}")
        try:
            target.check(example.read_bytes())
        except Exception as error:
            error.add_note(f"by {example}")
            raise


def test_each_module_is_a_target_of_the_catalogue() -> None:
    assert targets.__file__ is not None
    modules = {path.stem for path in Path(targets.__file__).parent.glob("*.py")} - {"__init__"}
    assert modules == set(TARGETS.values())


def test_an_unknown_target_is_refused_with_the_list_of_known_ones(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        command_lines.fuzz().parse_args(["gossip"])
    told = capsys.readouterr().err
    assert "gossip" in told
    assert not [name for name in TARGETS if name not in told]
