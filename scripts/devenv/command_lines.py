"""The command line of every script of `scripts/`.

Only the standard library is imported, so that `--help` answers before anything is installed:
`python3 -m devenv.command_lines run` prints the help of `scripts/run`.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from bench_suite import names as bench_names
from devenv import rabbitmq
from flood_suite.catalogue import FLOODS
from fuzz_suite.catalogue import TARGETS
from screenshot_suite.view import LOCALES, SCHEMES, SIZES

_RUN: Final = Path(__file__).parents[2] / ".run"

NODE_ACTIONS: Final = ("start", "stop", "kill", "pause", "resume")

#: Its further arguments are pytest's, so that it has no parser.
TEST_USAGE: Final = f"""\
usage: scripts/test [--rabbitmq VERSION] [--coverage] [argument of pytest …]
       scripts/test [--rabbitmq VERSION] unit|integration|acceptance … [argument of pytest …]

Without a tier: all checks and all tests; --coverage: and which lines of the gateway the unit and
the integration tier run. With tiers: only these tests, without the checks; of a tier of which
pytest's arguments name some, only those.
VERSION of RabbitMQ: {", ".join(rabbitmq.SUITES)}, as far as Debian's archive has it. Without it the
tests run on the distribution's own, and without any argument what depends on the version most runs
on {rabbitmq.NEWEST} as well."""


def run() -> argparse.ArgumentParser:
    """`scripts/run`."""
    parser = argparse.ArgumentParser(
        prog="scripts/run", description="Run RabbitMQ and the gateway here; Ctrl-C stops them."
    )
    parser.add_argument("--nodes", type=_nodes, default=1, help="RabbitMQ nodes (default: 1)")
    parser.add_argument("--port", type=int, default=8080, help="of the gateway (default: 8080)")
    parser.add_argument("--tls", action="store_true", help="https:// with a self-signed pair")
    parser.add_argument(
        "--lan",
        action="store_true",
        help="serve this machine's own address, so that phones in the same Wi-Fi get in (default:"
        " this machine alone)",
    )
    _add_rabbitmq(parser)
    return parser


def broker() -> argparse.ArgumentParser:
    """`scripts/broker`."""
    parser = argparse.ArgumentParser(
        prog="scripts/broker",
        description="Handle single RabbitMQ nodes of the cluster that scripts/run started.",
        epilog="stop is orderly, kill is SIGKILL, pause makes the node hang (SIGSTOP).",
    )
    parser.add_argument("action", choices=[*NODE_ACTIONS, "status"])
    parser.add_argument("node", type=int, nargs="?", help="1, 2, …")
    _add_rabbitmq(parser)
    return parser


def chaos() -> argparse.ArgumentParser:
    """`scripts/chaos`."""
    parser = argparse.ArgumentParser(
        prog="scripts/chaos",
        description="Break everything for a while, and judge what everybody saw.",
    )
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--gateways", type=int, choices=(1, 2), default=2)
    parser.add_argument("--rooms", type=int, default=10)
    parser.add_argument("--subscribers", type=int, default=300, help="of all rooms together")
    parser.add_argument("--rate", type=float, default=20.0, help="messages a second")
    parser.add_argument("--output", type=Path, help="a new folder for what everybody saw")
    _add_rabbitmq(parser)
    parser.add_argument("--dry-run", action="store_true", help="print the schedule only")
    return parser


def soak() -> argparse.ArgumentParser:
    """`scripts/soak`."""
    parser = argparse.ArgumentParser(
        prog="scripts/soak",
        description="Run the set-up of scripts/run (one node, SQLite) under moderate traffic for a "
        "long time, kill its node now and then, let sockets come and go, and judge what everybody "
        "saw, what is left unpublished, and what grows.",
    )
    parser.add_argument("--minutes", type=float, default=120.0, help="(default: 120)")
    parser.add_argument(
        "--kill-every", type=float, default=10.0, metavar="MINUTES", help="(default: 10)"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rooms", type=int, default=3)
    parser.add_argument("--subscribers", type=int, default=15, help="of all rooms together")
    parser.add_argument("--rate", type=float, default=6.0, help="messages a second")
    parser.add_argument(
        "--sockets", type=int, default=2000, help="that come and go beside them (default: 2000)"
    )
    parser.add_argument("--output", type=Path, help="a new folder for what everybody saw")
    _add_rabbitmq(parser)
    parser.add_argument("--dry-run", action="store_true", help="print the schedule only")
    return parser


def bench() -> argparse.ArgumentParser:
    """`scripts/bench`."""
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description="Measure the gateway beside RabbitMQ itself and the proxies in front of it.",
        epilog="Everything runs on this machine's loopback: the ratios count, not the numbers. "
        "All of it takes about a quarter of an hour on two idle cores and 2 GB, with --tls half "
        "an hour, --quick a few minutes.",
    )
    parser.add_argument(
        "--scenario",
        action="append",
        choices=bench_names.SCENARIOS,
        help="may be repeated (default: all that break no node)",
    )
    parser.add_argument(
        "--systems",
        action="append",
        choices=bench_names.SYSTEMS,
        help="may be repeated (default: all)",
    )
    parser.add_argument("--clients", type=int, help="subscribers (default: 500)")
    parser.add_argument("--many", type=int, help="of idle and storm-many (default: 5000)")
    parser.add_argument("--seconds", type=float, help="each measurement lasts (default: 8)")
    parser.add_argument(
        "--rounds",
        type=_at_least_one,
        default=1,
        help="of each measurement, systems in turns: medians and their spread (default: 1)",
    )
    parser.add_argument("--nodes", type=int, default=3, help="of RabbitMQ (default: 3)")
    parser.add_argument(
        "--store",
        choices=("sqlite", "postgresql"),
        default="sqlite",
        help="where messages are kept, each commit on the disk (post, rooms, storm)",
    )
    parser.add_argument(
        "--disk",
        type=float,
        default=0.0,
        metavar="MS",
        help="milliseconds that each flush to the disk takes longer, of all but RabbitMQ",
    )
    parser.add_argument("--tls", action="store_true", help="everything with TLS as well")
    parser.add_argument("--quick", action="store_true", help="small and short: does it work?")
    _add_rabbitmq(parser)
    parser.add_argument("--load", type=int, default=1, help="processes of the load generator")
    parser.add_argument("--install-peers", action="store_true", help="apt-get the missing proxies")
    parser.add_argument("--json", type=Path, default=_RUN / "bench.json", metavar="FILE")
    parser.add_argument(
        "--compare",
        type=Path,
        metavar="FILE.json",
        help="of an earlier run: tell what is worse now by more than it varied",
    )
    parser.add_argument(
        "--sizes",
        nargs="*",
        choices=bench_names.SIZES,
        metavar="SERIES",
        help="measure how cost grows instead, of each thing or of: "
        + ", ".join(bench_names.SIZES)
        + " (simulated); half an hour, 5 GB of disk and --many 20000 for all of it",
    )
    parser.add_argument("--plot", type=Path, metavar="FILE", help="a picture: PNG; of --sizes SVG")
    parser.add_argument(
        "--markdown",
        type=Path,
        metavar="FILE.json",
        help="measure nothing: print the comparison of an earlier run as the README has it",
    )
    parser.add_argument(
        "--cluster",
        type=Path,
        metavar="FOLDER",
        help="keep the brokers running there for next time",
    )
    return parser


def floods() -> argparse.ArgumentParser:
    """`scripts/floods`."""
    parser = argparse.ArgumentParser(
        prog="scripts/floods",
        description="Let one bad client do its worst, one flood after the other, beside a room "
        "that behaves well, and judge what the room notices.",
        epilog="Floods: " + ", ".join(FLOODS) + ". All of them take about twenty minutes; "
        "their p99s mean something on a machine that does little else.",
    )
    parser.add_argument(
        "--only",
        action="append",
        choices=FLOODS,
        metavar="FLOOD",
        help="may be repeated (default: all)",
    )
    parser.add_argument(
        "--rounds", type=_at_least_one, default=3, help="of calm and flood (default: 3)"
    )
    parser.add_argument("--seconds", type=float, default=6.0, help="of each window (default: 6)")
    parser.add_argument("--nodes", type=_nodes, default=1, help="of RabbitMQ (default: 1)")
    parser.add_argument("--store", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--tls", action="store_true", help="everybody comes by https:// and wss://")
    _add_rabbitmq(parser)
    parser.add_argument("--json", type=Path, default=_RUN / "floods.json", metavar="FILE")
    return parser


def fuzz() -> argparse.ArgumentParser:
    """`scripts/fuzz`."""
    parser = argparse.ArgumentParser(
        prog="scripts/fuzz",
        description="Give everything that reads bytes from others any bytes, guided by coverage, "
        "and see whether what is promised of it holds.",
        epilog="An input that breaks a target is kept in .run/fuzz/, with exit status 1; put it "
        "into tests/unit/fuzz/examples/ as well. What was learned is where the next run begins.",
    )
    parser.add_argument(
        "targets",
        nargs="*",
        metavar="TARGET",
        type=_target,
        help=f"{', '.join(TARGETS)} (default: all)",
    )
    parser.add_argument(
        "--minutes", type=float, default=8.0, help="of all targets together (default: 8)"
    )
    return parser


def conformance() -> argparse.ArgumentParser:
    """`scripts/conformance`."""
    parser = argparse.ArgumentParser(
        prog="scripts/conformance",
        description="Hold conversations of STOMP applications with RabbitMQ itself, and through the"
        " gateway with RabbitMQ's own users, also by six client libraries and while a node fails;"
        " print every difference.",
        epilog="Exit status 1 if there is one that scripts/conformance_suite/differences.py does "
        "not explain, or explains in vain.",
    )
    parser.add_argument(
        "conversations",
        nargs="?",
        default="",
        metavar="TEXT",
        help="only those with this in their name (default: all)",
    )
    _add_rabbitmq(parser)
    return parser


def screenshots() -> argparse.ArgumentParser:
    """`scripts/screenshots`."""
    parser = argparse.ArgumentParser(
        prog="scripts/screenshots", description="Pictures of every page, from a lively room."
    )
    parser.add_argument("--states", action="store_true", help="only what a lesson rarely shows")
    parser.add_argument(
        "--state", action="append", metavar="NAME", help="only this rare state, e.g. right-to-left"
    )
    parser.add_argument(
        "--out", type=Path, default=_RUN / "screenshots" / "pictures", help="where they go"
    )
    for name, values in (("language", LOCALES), ("scheme", SCHEMES), ("size", SIZES)):
        parser.add_argument(f"--{name}", nargs="+", choices=[*values], default=[*values])
    return parser


def package() -> argparse.ArgumentParser:
    """`scripts/package`."""
    parser = argparse.ArgumentParser(
        prog="scripts/package",
        description="Build the gateway's wheel: code, built pages, migrations, conf/, and the"
        " commit that it is made of.",
    )
    parser.add_argument(
        "--out", type=Path, default=_RUN / "package", metavar="FOLDER", help="where it goes"
    )
    return parser


def package_library() -> argparse.ArgumentParser:
    """`scripts/package-library`."""
    parser = argparse.ArgumentParser(
        prog="scripts/package-library",
        description="Pack the browser library as an npm package: one file with its types.",
    )
    parser.add_argument(
        "--out", type=Path, default=_RUN / "library", metavar="FOLDER", help="where it goes"
    )
    return parser


def fresh_install() -> argparse.ArgumentParser:
    """`scripts/fresh-install`."""
    parser = argparse.ArgumentParser(
        prog="scripts/fresh-install",
        description="Type what docs/how-to/debian.md says, word by word, in fresh systems: made by"
        " debootstrap and booted with their own systemd, in namespaces of their own.",
        epilog="As root. A system takes some minutes and 2 GB, which it gives back.",
    )
    parser.add_argument(
        "suites",
        nargs="*",
        metavar="SUITE",
        default=["bookworm", "trixie"],
        help="names of Debian's releases (default: bookworm trixie)",
    )
    parser.add_argument(
        "--mirror", metavar="URL", help="where the systems come from (default: as this one)"
    )
    return parser


def mutants() -> argparse.ArgumentParser:
    """`scripts/mutants`."""
    parser = argparse.ArgumentParser(
        prog="scripts/mutants",
        description="Change the pure modules in every small way, one change at a time, and run "
        "their tests: a change that no test notices is printed, with exit status 1.",
        epilog="Such a survivor wants a test, or less code. One that behaves as the original does "
        "goes to scripts/mutant_suite/accepted.toml with the reason. All modules together take "
        "most of an hour on an idle core.",
    )
    parser.add_argument(
        "modules",
        nargs="*",
        metavar="MODULE",
        help="paths, or parts of them: sequencer, broker/protocol (default: all)",
    )
    parser.add_argument("--list", action="store_true", help="only name the modules")
    parser.add_argument(
        "--entries", action="store_true", help="print survivors as entries for accepted.toml"
    )
    return parser


def reference() -> argparse.ArgumentParser:
    """`scripts/reference`."""
    return argparse.ArgumentParser(
        prog="scripts/reference",
        description="Write the pages of docs/reference that are made from the gateway itself.",
    )


def _nodes(text: str) -> int:
    number = int(text)
    if not 1 <= number <= 9:
        raise argparse.ArgumentTypeError("between 1 and 9")
    return number


def _target(name: str) -> str:
    if name not in TARGETS:
        raise argparse.ArgumentTypeError(f"{name} is none of {', '.join(TARGETS)}")
    return name


def _at_least_one(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


def _add_rabbitmq(parser: argparse.ArgumentParser) -> None:
    """``--rabbitmq``; hand its value to `rabbitmq.choose`."""
    parser.add_argument(
        "--rabbitmq",
        metavar="VERSION",
        default=rabbitmq.chosen(),
        help=f"{', '.join(rabbitmq.SUITES)}, as far as Debian's archive has it; without it the "
        f"distribution's own, or what ${rabbitmq.VARIABLE} names",
    )


PARSERS: Final[dict[str, Callable[[], argparse.ArgumentParser]]] = {
    "run": run,
    "broker": broker,
    "chaos": chaos,
    "soak": soak,
    "bench": bench,
    "conformance": conformance,
    "floods": floods,
    "fresh-install": fresh_install,
    "fuzz": fuzz,
    "mutants": mutants,
    "package": package,
    "package-library": package_library,
    "reference": reference,
    "screenshots": screenshots,
}


def main() -> int:
    """Print the help of the script that the only argument names."""
    (name,) = sys.argv[1:]
    print(TEST_USAGE if name == "test" else PARSERS[name]().format_help().rstrip())
    return 0


if __name__ == "__main__":
    sys.exit(main())
