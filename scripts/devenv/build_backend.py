"""The build back end of `pyproject.toml`: setuptools', which makes no wheel that lacks a file.

The pages' libraries and the built pages are not committed. Without this, `pip install .` in a fresh
checkout would silently install a gateway without pages. An editable installation needs neither.
https://peps.python.org/pep-0517/
"""

from pathlib import Path

from setuptools import build_meta

from devenv import page_build, vendor

_PROJECT = Path(__file__).parents[2]

get_requires_for_build_wheel = build_meta.get_requires_for_build_wheel
get_requires_for_build_editable = build_meta.get_requires_for_build_editable
prepare_metadata_for_build_wheel = build_meta.prepare_metadata_for_build_wheel
prepare_metadata_for_build_editable = build_meta.prepare_metadata_for_build_editable
build_editable = build_meta.build_editable


class Incomplete(Exception):
    """A file that belongs into the wheel is missing; the text names it, and says what makes it."""


def build_wheel(
    wheel_directory: str,
    config_settings: dict[str, str | list[str] | None] | None = None,
    metadata_directory: str | None = None,
) -> str:
    """See PEP 517. Raises :class:`Incomplete`."""
    check(_PROJECT)
    name: str = build_meta.build_wheel(wheel_directory, config_settings, metadata_directory)
    return name


def check(project: Path) -> None:
    """Check that the pages' libraries and the built pages are there, and that these were made of
    the sources as they are. Raises :class:`Incomplete`."""
    mend = "run scripts/package, or: PYTHONPATH=scripts python3 -m devenv.vendor (needs npm)"
    for path in [*vendor.laid_out(project), *page_build.built(project)]:
        if not path.is_file():
            raise Incomplete(f"{path.relative_to(project)} is missing: {mend}")
    if not page_build.is_current(project):
        raise Incomplete(f"static/built is not made of the pages' sources as they are: {mend}")
