"""The command lines given to pip."""

import sys

import pytest

from devenv import python_packages
from devenv.errors import SetupError


def test_pip_is_asked_to_install_the_project_with_its_extras() -> None:
    shows = (sys.executable, "-c", "import sys; print(*sys.argv[1:], sep='\\n'); sys.exit(1)")
    with pytest.raises(SetupError) as failed:
        python_packages.ensure(lambda _: None, shows, extras="test,postgres")
    first, *options, editable, project = str(failed.value).splitlines()[1:]
    assert first == "install"
    assert (editable, project) == ("--editable", ".[test,postgres]")
    assert options
    assert all(option.startswith("--") and len(option) > len("--") for option in options)
