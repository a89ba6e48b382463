"""The RabbitMQ of the private clusters: the distribution's own, or another of Debian's archive.

Another one is fetched by apt into a folder of ours, with all that it needs, and never installed:
its programs run in a root of their own (``unshare``, ``chroot``), where this machine's files are to
be found under their usual names.
"""

import fcntl
import os
import shutil
from pathlib import Path
from typing import Final

from devenv import long_command, packages
from devenv.errors import SetupError
from devenv.moving_line import Progress

#: Names the version; without it, or empty, the distribution's package is used.
VARIABLE: Final = "INTERACT_RABBITMQ"
#: The Debian release that has a version.
SUITES: Final = {"3.10": "bookworm", "4.0": "trixie", "4.3": "sid"}

_FOLDER: Final = Path(__file__).resolve().parents[2] / ".run" / "rabbitmq"
_KEYRING: Final = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
#: RabbitMQ, and what its scripts call. From 4.3 on Erlang wants certificates even for http://.
_PACKAGES: Final = (
    *("rabbitmq-server", "base-files", "bash", "dash", "coreutils", "sed", "grep", "gawk"),
    *("libc-bin", "util-linux", "procps", "ca-certificates"),
)
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


def choose(version: str | None) -> None:
    """Choose a version for this process and its children. Raises `SetupError` if it is unknown."""
    if version and version not in SUITES:
        raise SetupError(f"RabbitMQ {version}: there are {', '.join(SUITES)}")
    os.environ[VARIABLE] = version or ""


def chosen() -> str | None:
    """The chosen version; None stands for the distribution's own."""
    return os.environ.get(VARIABLE) or None


def ensure(progress: Progress) -> None:
    """Install or fetch the chosen version if it is missing. Raises `SetupError` if that fails."""
    version = chosen()
    if version is None:
        packages.ensure(["rabbitmq-server"], progress)
        return
    choose(version)
    folder = _FOLDER / version
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "complete").exists():
            progress(f"fetching RabbitMQ {version} from Debian's {SUITES[version]} (apt)")
            _fetch(folder, version, progress)
            (folder / "complete").touch()
        # Each time: the checkout may have been moved.
        _write_wrappers(folder)


def sbin() -> Path:
    """The folder with the scripts of the chosen version.

    Of several that are installed the newest counts. Those in /usr/sbin refuse every user but
    `rabbitmq` and work on the system's own broker.
    """
    version = chosen()
    if version is not None:
        return _FOLDER / version / "sbin"
    found = _servers(Path("/"))
    if not found:
        raise SetupError("RabbitMQ is missing: apt-get install rabbitmq-server")
    return found[-1]


def _servers(root: Path) -> list[Path]:
    return sorted(
        (root / "usr/lib/rabbitmq/lib").glob("rabbitmq_server-*/sbin"),
        key=lambda path: [
            int(part) for part in path.parent.name.partition("-")[2].split(".") if part.isdigit()
        ],
    )


def _fetch(folder: Path, version: str, progress: Progress) -> None:
    root, own = folder / "root", folder / "apt"
    for stale in (root, own):
        shutil.rmtree(stale, ignore_errors=True)
    for path in (root, own / "state/lists/partial", own / "cache/archives/partial", own / "none"):
        path.mkdir(parents=True)
    (own / "status").touch()
    sources = own / "sources.list"
    sources.write_text(f"deb [signed-by={_KEYRING}] {_archive(progress)} {SUITES[version]} main\n")
    apt = [
        "apt-get",
        *("-o", f"Dir::State={own}/state", "-o", f"Dir::State::status={own}/status"),
        *("-o", f"Dir::Cache={own}/cache", "-o", f"Dir::Etc::sourcelist={sources}"),
        *(
            "-o",
            f"Dir::Etc::sourceparts={own}/none",
            "-o",
            f"Dir::Etc::preferencesparts={own}/none",
        ),
        *("-o", "APT::Sandbox::User=root", "-o", "Acquire::Retries=3"),
    ]
    _run([*apt, "update"], progress)
    # Nothing is installed: apt only works out what belongs together, and fetches it.
    _run(
        [*apt, "-y", "--download-only", "--no-install-recommends", "install", *_PACKAGES], progress
    )
    for package in sorted((own / "cache/archives").glob("*.deb")):
        _run(["dpkg-deb", "-x", str(package), str(root)], progress)
    shutil.rmtree(own)
    servers = _servers(root)
    got = servers[-1].parent.name.partition("-")[2] if servers else "none"
    if not f"{got}.".startswith(f"{version}."):
        raise SetupError(
            f"RabbitMQ {version} cannot be had: Debian's {SUITES[version]} has {got} now"
        )


def _write_wrappers(folder: Path) -> None:
    root = folder / "root"
    (folder / "sbin").mkdir(exist_ok=True)
    inside = Path("/") / _servers(root)[-1].relative_to(root)
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


def _run(command: list[str], progress: Progress) -> list[str]:
    ended = long_command.run(command, progress)
    if ended.code:
        raise SetupError(f"{command[0]} failed; without it there is no RabbitMQ:\n{ended.tail(10)}")
    return ended.lines
