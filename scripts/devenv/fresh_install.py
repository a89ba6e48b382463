"""`scripts/fresh-install`: what docs/how-to/debian.md tells an operator to type, word by word, in a
fresh Debian.

Each is made by debootstrap in a folder of its own, and booted with its own systemd in namespaces of
its own: its processes, its mounts, and a network in which there is nothing but loopback. So the
packages are fetched before it boots, and what listens here does not matter to it.
"""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from devenv import command_lines, gateway_package, long_command, vendor
from devenv.errors import SetupError

PROJECT: Final = Path(__file__).parents[2]
_PAGE: Final = PROJECT / "docs" / "how-to" / "debian.md"
_BLOCK: Final = re.compile(
    r"^## ([^\n]*)\n|^```sh tested scripts/fresh-install\n(.*?)^```$", re.M | re.S
)
#: Suite -> its Python, for which wheels are fetched.
SUITES: Final = {"bookworm": "3.11", "trixie": "3.13"}
#: A server as it is installed has these; the rest is the page's matter.
_BASE: Final = "systemd,systemd-sysv,util-linux,procps"
#: Seconds for a system from its start to its end.
_PATIENCE: Final = 600

_UNIT: Final = """
[Unit]
Description=An operator
Wants=multi-user.target
After=multi-user.target

[Service]
Type=oneshot
WorkingDirectory=/root
Environment=HOME=/root LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive
Environment=PIP_NO_INDEX=1 PIP_FIND_LINKS=/root/wheels PIP_DISABLE_PIP_VERSION_CHECK=1
StandardOutput=append:/root/log
StandardError=inherit
ExecStart=/bin/bash /root/operator
ExecStopPost=/bin/sh -c 'echo "$EXIT_STATUS" > /root/ended; systemctl poweroff --no-block'
"""
#: In namespaces of its own, as their first process: $1 is the system's folder.
_BOOT: Final = """
set -e
mount --make-rprivate /
mount --bind "$1" "$1"
mount -t proc proc "$1/proc"
mount -t sysfs -o ro sysfs "$1/sys"
mount -t cgroup2 cgroup2 "$1/sys/fs/cgroup"
mount -t tmpfs -o mode=755 tmpfs "$1/run"
ip link set lo up
hostname fresh
cd "$1"
# Not chroot alone: within one nobody may make a user namespace, which services do (PrivateUsers=).
pivot_root . mnt
exec chroot . /bin/sh -c 'umount --lazy /mnt && exec "$@"' sh \\
    /usr/bin/env -i container=fresh PATH=/usr/sbin:/usr/bin:/sbin:/bin \\
    /lib/systemd/systemd --system --unit=operator.service
"""


@dataclass(frozen=True)
class Step:
    """A part of the page: its heading, and what it says to type."""

    heading: str
    commands: str


def steps(page: str) -> list[Step]:
    """The blocks of the page that are marked, in their order."""
    found, heading = [], ""
    for title, commands in _BLOCK.findall(page):
        if title:
            heading = title
        else:
            found.append(Step(heading, commands))
    return found


def script(parts: list[Step]) -> str:
    """What the operator types, as one script of bash: it ends with the first command that fails,
    and prints each, and the seconds of each step."""
    lines = ["set -eux", "shopt -s inherit_errexit"]
    for part in parts:
        lines += [f"echo {shlex.quote(f'## {part.heading}')}", "SECONDS=0"]
        lines += [part.commands.rstrip("\n"), 'echo "== $SECONDS s"']
    return "\n".join(lines) + "\n"


def main() -> int:
    """`scripts/fresh-install`."""
    options = command_lines.fresh_install().parse_args()
    try:
        if os.geteuid():
            raise SetupError("only root can install and boot a system")
        for program in ("debootstrap", "unshare", "ip"):
            if shutil.which(program) is None:
                raise SetupError(f"install {program}")
        mirror = options.mirror or _mirror()
        vendor.ensure(print)
        with tempfile.TemporaryDirectory(prefix="fresh-install-") as folder:
            wheel = gateway_package.build(Path(folder), print)
            return max([_try(suite, mirror, wheel, Path(folder)) for suite in options.suites])
    except SetupError as error:
        print(error, file=sys.stderr)
        return 1


def _mirror() -> str:
    """Where this machine has its Debian from."""
    sources = [
        "apt-get",
        "indextargets",
        "--format",
        "$(REPO_URI)",
        "Origin: Debian",
        "Label: Debian",
    ]
    found = subprocess.run(sources, capture_output=True, text=True, check=False).stdout.split()
    if not found:
        raise SetupError("this machine has no Debian archive: name one by --mirror")
    return found[0]


def _try(suite: str, mirror: str, wheel: Path, folder: Path) -> int:
    """The page in one fresh system; 0: all of it worked."""
    parts, root = steps(_PAGE.read_text(encoding="utf-8")), folder / suite
    began = time.monotonic()
    print(f"· {suite}: a fresh system (debootstrap)")
    _run(["debootstrap", "--variant=minbase", f"--include={_BASE}", suite, str(root), mirror])
    _fetch(root, suite, wheel, parts)
    print(f"· {suite}: fetched after {time.monotonic() - began:.0f} s; it boots")
    return _use(suite, root, wheel, parts)


def _use(suite: str, root: Path, wheel: Path, parts: list[Step]) -> int:
    """Boot the system, type the steps, and tell how it went; 0: well."""
    home = root / "root"
    shutil.copy2(wheel, home)
    (home / "operator").write_text(script(parts))
    (root / "etc" / "systemd" / "system" / "operator.service").write_text(_UNIT)
    (root / "etc" / "hosts").write_text("127.0.0.1 localhost fresh\n::1 localhost\n")
    (root / "etc" / "hostname").write_text("fresh\n")
    began = time.monotonic()
    _boot(root)
    log = home / "log"
    kept = PROJECT / ".run" / "fresh-install" / f"{suite}.log"
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text(log.read_text(errors="replace") if log.exists() else "")
    for heading, seconds in _times(kept.read_text()):
        print(f"  {seconds:>4} s  {heading}")
    ended = home / "ended"
    code = ended.read_text().strip() if ended.exists() else "it did not come to its end"
    print(f"· {suite}: {time.monotonic() - began:.0f} s, exit status {code}; all of it: {kept}")
    if code != "0":
        print("\n".join(kept.read_text().splitlines()[-25:]))
    return int(code != "0")


def _times(log: str) -> list[tuple[str, str]]:
    headings = re.findall(r"^## (.*)$", log, re.M)
    return list(zip(headings, re.findall(r"^== (\d+) s$", log, re.M), strict=False))


def _fetch(root: Path, suite: str, wheel: Path, parts: list[Step]) -> None:
    """Put the packages that the page names where apt and pip look before they ask anybody."""
    # How this machine reaches the archive: proxies and the like.
    settings = subprocess.run(
        ["apt-config", "dump", "Acquire"], capture_output=True, text=True, check=True
    ).stdout
    (root / "etc" / "apt" / "apt.conf.d" / "00as-here").write_text(settings)
    shutil.copy("/etc/resolv.conf", root / "etc" / "resolv.conf")
    (line,) = re.findall(r"^apt-get install (.*)$", "".join(p.commands for p in parts), re.M)
    print(f"· {suite}: its packages (apt, pip)")
    chroot = ["chroot", str(root)]
    _run([*chroot, "apt-get", "update"])
    _run([*chroot, "apt-get", "install", "--download-only", *line.split()])
    version = SUITES[suite]
    _run(
        [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"),
            *("--dest", str(root / "root" / "wheels"), "--only-binary=:all:"),
            *("--python-version", version, "--implementation", "cp"),
            *("--abi", f"cp{version.replace('.', '')}", "--abi", "abi3", "--abi", "none"),
            *(part for each in _PLATFORMS for part in ("--platform", each)),
            str(wheel),
        ]
    )


_PLATFORMS: Final = tuple(
    f"{kind}_{os.uname().machine}"
    for kind in ("manylinux_2_34", "manylinux_2_28", "manylinux_2_17", "manylinux2014", "linux")
)


def _boot(root: Path) -> None:
    """Run the system until it powers itself off."""
    with _own_cgroup() as group:
        command = [
            *("unshare", "--mount", "--uts", "--ipc", "--pid", "--net", "--cgroup"),
            *("--fork", "--kill-child", "sh", "-c", _BOOT, "sh", str(root)),
        ]

        def join() -> None:
            (group / "cgroup.procs").write_text(str(os.getpid()))

        process = subprocess.Popen(command, preexec_fn=join, stdin=subprocess.DEVNULL)  # noqa: PLW1509 - no thread runs here
        try:
            process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            print(f"  it was still up after {_PATIENCE} s")
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()


@contextmanager
def _own_cgroup() -> Iterator[Path]:
    """A control group that is the root of the system's own."""
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    found = [Path(where) for _, where, kind, *_ in mounts if kind == "cgroup2"]
    if not found:
        raise SetupError("control groups of version 2 are not mounted here")
    group = found[0] / f"fresh-install-{os.getpid()}"
    group.mkdir()
    try:
        yield group
    finally:
        for inner in sorted(group.rglob("*/"), reverse=True):
            if inner.is_dir():
                inner.rmdir()
        group.rmdir()


def _run(command: list[str]) -> None:
    ended = long_command.run(command, print)
    if ended.code:
        raise SetupError(f"{' '.join(command[:2])} failed:\n{ended.tail()}")


if __name__ == "__main__":
    sys.exit(main())
