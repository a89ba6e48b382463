"""The commands of docs/how-to/debian.md, as `scripts/fresh-install` types them."""

import subprocess
from pathlib import Path

from devenv import fresh_install
from devenv.fresh_install import Step

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "debian.md"


def test_each_marked_block_is_a_step_below_its_heading() -> None:
    page = """
# A page
## First
words
```sh tested scripts/fresh-install
one "$a"
two
```
```sh untested it is dangerous
three
```
## Second
```sh tested scripts/fresh-install
four
```
"""
    assert fresh_install.steps(page) == [
        Step("First", 'one "$a"\ntwo\n'),
        Step("Second", "four\n"),
    ]


def test_every_command_of_the_page_is_typed() -> None:
    text = PAGE.read_text()
    found = fresh_install.steps(text)
    typed = sum(part.commands.count("\n") for part in found)
    fences = [line for line in text.splitlines() if line.startswith("```")]
    assert len(fences) == 2 * len(found)
    assert typed > 40
    whole = fresh_install.script(found)
    assert all(part.commands in whole for part in found)
    subprocess.run(["bash", "-n"], input=whole, text=True, check=True)  # noqa: S607 - the shell


def test_it_ends_with_the_first_command_that_fails(tmp_path: Path) -> None:
    parts = [Step("good", f"touch {tmp_path}/1\n"), Step("bad", "false\n"), Step("never", "true\n")]
    result = subprocess.run(
        ["bash"],  # noqa: S607 - the shell
        input=fresh_install.script(parts),
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert result.stdout == "## good\n== 0 s\n## bad\n"
