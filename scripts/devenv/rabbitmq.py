"""The RabbitMQ of the private clusters: the distribution's own, or another of Debian's archive.

Another one is fetched by apt into a folder of ours, with all that it needs, and never installed:
its programs run in a root of their own (``unshare``, ``chroot``), where this machine's files are to
be found under their usual names.
"""

import fcntl
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from devenv import long_command, packages
from devenv.errors import SetupError
from devenv.moving_line import Progress

#: Names the version; without it, or empty, the distribution's package is used.
VARIABLE: Final = "INTERACT_RABBITMQ"
#: Version -> the Debian releases that may have it, in the order in which they are asked.
SUITES: Final[dict[str, tuple[str, ...]]] = {
    "3.10": ("bookworm",),
    "4.0": ("trixie",),
    "4.3": ("forky", "sid"),
    "4.4": ("forky", "sid"),
}
#: The newest version that the archive has had.
NEWEST: Final = "4.3"

_FOLDER: Final = Path(__file__).resolve().parents[2] / ".run" / "rabbitmq"
_KEYRING: Final = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
#: RabbitMQ, and what its scripts call. From 4.3 on Erlang wants certificates even for http://.
_PACKAGES: Final = (
    *("rabbitmq-server", "base-files", "bash", "dash", "coreutils", "sed", "grep", "gawk"),
    *("libc-bin", "util-linux", "procps", "ca-certificates"),
)
_PREFIX: Final = "rabbitmq_server-"
_PROGRAMS: Final = ("rabbitmq-server", "rabbitmqctl", "rabbitmq-diagnostics", "rabbitmq-plugins")
#: Everything but the system itself is this machine's. What `sh` is given are the new root and the
#: program with its arguments.
_WRAPPER: Final = """#!/bin/sh
exec unshare {options} sh -ec '
    root=$1
    shift
    for folder in /*/; do
        folder=${{folder%/}}
        case $folder in
        /bin | /boot | /etc | /lib* | /sbin | /usr | /var) ;;
        *) mkdir -p "$root$folder" && mount --rbind "$folder" "$root$folder" ;;
        esac
    done
    mkdir -p "$root{run}" "$root/etc/ssl/certs"
    mount --rbind "{run}" "$root{run}"
    mount --bind /etc/ssl/certs "$root/etc/ssl/certs"
    for file in passwd group hosts resolv.conf; do
        touch "$root/etc/$file"
        mount --bind "/etc/$file" "$root/etc/$file"
    done
    exec chroot "$root" "$@"
' sh '{root}' '{program}' "$@"
"""


class NotInArchive(SetupError):
    """The archive was asked, and has no such version (any more, or yet)."""


def choose(version: str | None) -> None:
    """Choose a version for this process and its children. Raises `SetupError` if it is unknown."""
    if version:
        _check(version)
    os.environ[VARIABLE] = version or ""


def _check(version: str) -> None:
    if version not in SUITES:
        raise SetupError(f"RabbitMQ {version} is not known here: choose {', '.join(SUITES)}")


def chosen() -> str | None:
    """The chosen version; None stands for the distribution's own."""
    return os.environ.get(VARIABLE) or None


def ensure(progress: Progress, version: str | None = None) -> None:
    """Install or fetch this version if it is missing; without one, the chosen version.

    Raises `SetupError` if that fails, `NotInArchive` if there is no such version.
    """
    version = version or chosen()
    if version is None:
        packages.ensure(["rabbitmq-server"], progress)
        return
    _check(version)
    folder = _FOLDER / version
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "complete").exists():
            _fetch(folder, version, progress)
            (folder / "complete").touch()
        # Each time: the checkout may have been moved.
        _write_wrappers(folder)


def version() -> str:
    """The full version of the RabbitMQ that is chosen, such as 3.10.8. Raises `SetupError`."""
    name = chosen()
    return _newest_server(_FOLDER / name / "root" if name else Path("/")).parent.name[
        len(_PREFIX) :
    ]


def sbin(version: str | None = None) -> Path:
    """The folder with the scripts of this version; without one, of the chosen version.

    Of several that are installed the newest counts. Those in /usr/sbin refuse every user but
    `rabbitmq` and work on the system's own broker.
    """
    version = version or chosen()
    if version is not None:
        return _FOLDER / version / "sbin"
    return _newest_server(Path("/"))


def _newest_server(root: Path) -> Path:
    """The folder with the scripts of the newest RabbitMQ under `root`."""
    found = sorted(
        (root / "usr/lib/rabbitmq/lib").glob(f"{_PREFIX}*/sbin"),
        key=lambda path: [
            int(part) for part in path.parent.name[len(_PREFIX) :].split(".") if part.isdigit()
        ],
    )
    if not found:
        raise SetupError("RabbitMQ is missing: apt-get install rabbitmq-server")
    return found[-1]


def _fetch(folder: Path, version: str, progress: Progress) -> None:
    """Unpack the version into the folder, from the first release that has it."""
    has, unread = [], []
    for suite in SUITES[version]:
        apt = _apt(folder / "apt", f"{_archive(progress)} {suite} main")
        progress(f"looking for RabbitMQ {version} in Debian's {suite} (apt)")
        try:
            _run([*apt.get, "update"], progress)
        except SetupError as error:
            unread.append(f"{suite} cannot be read: {error}")
            continue
        offered = apt.offers("rabbitmq-server", progress)
        if f"{offered}.".startswith(f"{version}."):
            progress(f"fetching RabbitMQ {offered} from Debian's {suite} (apt)")
            _unpack(folder, apt, progress)
            return
        has.append(f"{suite} has {offered or 'none'}")
    told = f"RabbitMQ {version} cannot be had from Debian's archive: {'; '.join(has + unread)}"
    raise SetupError(told) if unread else NotInArchive(told)


@dataclass(frozen=True)
class _Apt:
    """apt with lists, cache and sources of its own; nothing of the machine's is touched."""

    own: Path
    options: list[str]

    @property
    def get(self) -> list[str]:
        return ["apt-get", *self.options]

    def offers(self, package: str, progress: Progress) -> str:
        """The upstream version of a package; empty if there is none."""
        listed = _run(["apt-cache", *self.options, "show", package], progress, may_fail=True)
        versions = [line.partition(": ")[2] for line in listed if line.startswith("Version: ")]
        # [epoch:]upstream[-revision], deb-version(7).
        return versions[0].rpartition(":")[2].rpartition("-")[0] if versions else ""


def _apt(own: Path, source: str) -> _Apt:
    shutil.rmtree(own, ignore_errors=True)
    for path in (own / "state/lists/partial", own / "cache/archives/partial", own / "none"):
        path.mkdir(parents=True)
    (own / "status").touch()
    sources = own / "sources.list"
    sources.write_text(f"deb [signed-by={_KEYRING}] {source}\n")
    settings = {
        "Dir::State": own / "state",
        "Dir::State::status": own / "status",
        "Dir::Cache": own / "cache",
        "Dir::Etc::sourcelist": sources,
        "Dir::Etc::sourceparts": own / "none",
        "Dir::Etc::preferencesparts": own / "none",
        "APT::Sandbox::User": "root",
        "Acquire::Retries": 3,
    }
    return _Apt(own, [part for key, value in settings.items() for part in ("-o", f"{key}={value}")])


def _unpack(folder: Path, apt: _Apt, progress: Progress) -> None:
    root = folder / "root"
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir()
    # Nothing is installed: apt only works out what belongs together, and fetches it.
    _run(
        [*apt.get, "-y", "--download-only", "--no-install-recommends", "install", *_PACKAGES],
        progress,
    )
    for package in sorted((apt.own / "cache/archives").glob("*.deb")):
        _run(["dpkg-deb", "-x", str(package), str(root)], progress)
    shutil.rmtree(apt.own)


def _write_wrappers(folder: Path) -> None:
    root = folder / "root"
    (folder / "sbin").mkdir(exist_ok=True)
    inside = Path("/") / _newest_server(root).relative_to(root)
    options = "--mount" if os.geteuid() == 0 else "--mount --map-root-user"
    for program in _PROGRAMS:
        wrapper = folder / "sbin" / program
        wrapper.write_text(
            _WRAPPER.format(
                options=options, root=root, program=inside / program, run=_FOLDER.parent
            )
        )
        wrapper.chmod(0o755)


def _archive(progress: Progress) -> str:
    """The address of Debian's archive that this machine uses already."""
    for asked_before in (False, True):
        if asked_before:
            # On a new machine apt does not know yet whose its sources are.
            _run(["apt-get", "update"], progress)
        listed = _run(
            ["apt-get", "indextargets", "--format", "$(LABEL)|$(COMPONENT)|$(REPO_URI)"], progress
        )
        for line in listed:
            label, component, address = line.split("|", 2)
            if (label, component) == ("Debian", "main"):
                return address
    raise SetupError(
        "other versions of RabbitMQ come from Debian's archive, which apt has not here"
    )


def _run(command: list[str], progress: Progress, *, may_fail: bool = False) -> list[str]:
    ended = long_command.run(command, progress)
    if ended.code and not may_fail:
        raise SetupError(f"{command[0]} failed; without it there is no RabbitMQ:\n{ended.tail(10)}")
    return ended.lines
