"""Installs the distribution's packages that are missing, without ever starting their services.

Only the standard library is imported: `scripts/run` calls this before `.venv` exists.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from pathlib import Path

from devenv import long_command
from devenv.errors import SetupError
from devenv.moving_line import Progress

VENV = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"


def _has(*commands: str) -> Callable[[], bool]:
    return lambda: all(shutil.which(command) for command in commands)


def _has_file(pattern: str) -> Callable[[], bool]:
    return lambda: any(Path("/usr/lib").glob(pattern))


# Presence is judged by the file that is needed: node or npm may come from elsewhere than Debian,
# and a psql client alone is no server.
PRESENT: dict[str, Callable[[], bool]] = {
    "rabbitmq-server": _has_file("rabbitmq/lib/rabbitmq_server-*/sbin/rabbitmq-server"),
    "npm": _has("node", "npm"),
    "postgresql": _has_file("postgresql/*/bin/initdb"),
    # Where it may not be on the PATH of who is not root.
    "pgbouncer": lambda: Path("/usr/sbin/pgbouncer").exists() or _has("pgbouncer")(),
    "chromium": _has("chromium"),
    # Hangul for pictures of Korean pages: Debian's chromium brings no font that has it.
    "fonts-nanum": lambda: any(Path("/usr/share/fonts").rglob("Nanum*")),
    # For promtool, which tries the alerts; its service is never started.
    "prometheus": _has("promtool"),
    # For systemd-analyze, which reads the units; nothing is started.
    "systemd": _has("systemd-analyze"),
    # What the documents tell a reader to type.
    "curl": _has("curl"),
    "openssl": _has("openssl"),
    "nginx": _has("nginx"),
    "libnginx-mod-stream": _has_file("nginx/modules/ngx_stream_module.so"),
    "haproxy": _has("haproxy"),
    # Without the service: the server and its modules alone.
    "apache2-bin": _has("apache2"),
    VENV: lambda: find_spec("ensurepip") is not None,
}

# policy-rc.d (invoke-rc.d(8)) is asked before a package starts its service; 101 forbids it. Units
# are then disabled as well, or the next boot would start a broker that nobody asked for.
_INSTALL = """
set -e
policy=/usr/sbin/policy-rc.d
kept=$policy.kept-by-interact
restore() {
    if [ -e "$kept" ]; then mv -f "$kept" "$policy"; else rm -f "$policy"; fi
}
mkdir -p /run/lock
exec 9>/run/lock/interact-packages.lock
flock 9
if [ -e "$policy" ] && [ ! -e "$kept" ]; then mv "$policy" "$kept"; fi
trap restore EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
printf '#!/bin/sh\\nexit 101\\n' > "$policy"
chmod 755 "$policy"
export DEBIAN_FRONTEND=noninteractive
apt-get update || echo 'apt-get update failed; going on with the lists at hand'
apt-get install -y --no-install-recommends -o DPkg::Lock::Timeout=300 "$@"
if command -v systemctl >/dev/null; then
    for package in "$@"; do
        case "$package" in
        rabbitmq-server) systemctl disable rabbitmq-server.service epmd.socket || true ;;
        postgresql) systemctl disable postgresql.service || true ;;
        pgbouncer) systemctl disable pgbouncer.service || true ;;
        nginx | haproxy) systemctl disable "$package.service" || true ;;
        esac
    done
fi
"""


def missing(names: Iterable[str]) -> list[str]:
    """The packages of `names` (keys of `PRESENT`) that this machine lacks."""
    return [name for name in names if not PRESENT[name]()]


def ensure(names: Iterable[str], progress: Progress) -> None:
    """Install what is missing, as root or by sudo. Raises `SetupError` saying what to install."""
    lacking = missing(names)
    if not lacking:
        return
    by_hand = f"install it yourself: apt-get install {' '.join(lacking)}"
    if shutil.which("apt-get") is None:
        raise SetupError(f"missing: {', '.join(lacking)}; there is no apt-get here, so {by_hand}")
    progress(f"installing {', '.join(lacking)} (apt)")
    ended = long_command.run([*_privilege(by_hand), "sh", "-c", _INSTALL, "sh", *lacking], progress)
    still = missing(lacking)
    if ended.code or still:
        raise SetupError(
            f"apt could not install {', '.join(still or lacking)}; {by_hand}\n{ended.tail()}"
        )


def _privilege(by_hand: str) -> list[str]:
    if os.geteuid() == 0:
        return []
    if shutil.which("sudo") is None:
        raise SetupError(f"not root and no sudo; {by_hand}")
    # -n: a script must not stop at a password prompt that nobody sees.
    allowed = subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False)
    if allowed.returncode == 0:
        return ["sudo", "-n"]
    # Asked for now: later the line that moves would run over the question.
    if sys.stdin.isatty() and subprocess.run(["sudo", "-v"], check=False).returncode == 0:
        return ["sudo"]
    raise SetupError(f"not root and sudo asks for a password; {by_hand}")


def main() -> int:
    """Install the packages named on the command line: `python3 -m devenv.packages NAME...`."""
    try:
        ensure([VENV if name == "venv" else name for name in sys.argv[1:]], print)
    except SetupError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
