"""All series, one after the other: tables, a picture, and the storms."""

import json
import os
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from bench_suite.run import Scale
from bench_suite.sizes import history, live, members, picture
from bench_suite.sizes.reconnects import Storm, simulate
from bench_suite.sizes.series import Series
from bench_suite.system import Lab, Progress

_Live = Callable[..., Series]

_LIVE: Final[Mapping[str, _Live]] = {
    "clients": live.of_clients,
    "rooms": live.of_rooms,
    "gateways": live.of_gateways,
}
#: Main-thread seconds for each who comes: as `clients` measures them, and with a TLS handshake.
_PLAIN, _TLS = 0.000_5, 0.001_5
STORMS: Final = (
    Storm(100_000, 40, _TLS),
    Storm(100_000, 20, _TLS),
    Storm(100_000, 12, _TLS),
    Storm(100_000, 12, _PLAIN),
    Storm(100_000, 10, _PLAIN),
    Storm(1_000_000, 120, _TLS),
)


def run(
    names: Sequence[str],
    *,
    scale: Scale,
    workers: int,
    folder: Path,
    say: Progress,
    lab: Callable[[], AbstractContextManager[Lab]],
) -> Iterator[Series]:
    """Measure the named series; each is given when it is done. ``lab`` starts the brokers, if one
    needs them."""
    quick = scale.quick
    if "history" in names:
        most = history.SIZES[1] if quick else history.SIZES[-1]
        yield history.measure(folder, say, most=most)
    if "members" in names:
        yield members.measure(folder, say)
    if wanted := [name for name in _LIVE if name in names]:
        with lab() as its_lab:
            for name in wanted:
                yield _LIVE[name](its_lab, scale, workers=workers)


def storms() -> str:
    """The simulated storms as a table of Markdown."""
    lines = [
        "| people | gateways | ms for each | half are back after | 99 % | all | dials for each"
        " | refused |",
        "|---:|---:|---:|---:|---:|---:|---:|---|",
    ]
    for storm in STORMS:
        seen = simulate(storm)
        times = [
            "never" if (at := seen.at(part)) is None else f"{at:.1f} s" for part in (0.5, 0.99, 1.0)
        ]
        refused = ", ".join(f"{code} {count:,}" for code, count in sorted(seen.refusals.items()))
        lines.append(
            f"| {storm.people:,} | {storm.gateways} | {1000 * storm.seconds:g}"
            f" | {' | '.join(times)} | {seen.dials / seen.share:.2f} | {refused or 'nobody'} |"
        )
    return "\n".join(lines)


def write(found: Sequence[Series], file: Path, plot: Path | None) -> None:
    """The figures as JSON, and the picture."""
    document = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {"system": platform.platform(), "cores": os.cpu_count()},
        "series": [series.as_json() for series in found],
    }
    file.write_text(json.dumps(document, indent=1))
    if plot is not None:
        plot.write_text(picture.draw(found))
