"""The code of the version before this one, taken from git."""

from __future__ import annotations

import subprocess
import tarfile
from pathlib import Path

_PROJECT = Path(__file__).parents[1]


def unpack(folder: Path, project: Path = _PROJECT) -> Path:
    """Lay out what of it a gateway needs to serve. Returns the folder."""
    packed = folder.with_suffix(".tar")
    revision = find(project)
    _git(project, "archive", f"--output={packed}", revision, "gateway", "broker", "static", "conf")
    with tarfile.open(packed) as archive:
        archive.extractall(folder, filter="data")
    return folder


def find(project: Path = _PROJECT) -> str:
    """Its revision: the newest tag behind the last commit. A clone may have no tags: then it is
    the last commit of another version. In one without that history it is the last commit itself."""
    tags = ("--list", "v*", "--merged=HEAD", "--no-contains=HEAD", "--sort=-version:refname")
    if found := _git(project, "tag", *tags).split():
        return found[0]
    named = _git(project, "log", "-1", "--format=%H", "-G^version = ", "--", "setup.cfg").strip()
    # The first commit of all, or of a shallow clone, has no parent here.
    history = _git(project, "rev-list", "--parents", "-1", named or "HEAD").split()
    return history[1] if named and len(history) > 1 else "HEAD"


def _git(project: Path, *arguments: str) -> str:
    return subprocess.run(  # noqa: S603 - our own arguments
        ["git", *arguments],  # noqa: S607 - git's place differs
        cwd=project,
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    ).stdout
