"""One target under Atheris: `python -m fuzz_suite.guided TARGET FOLDER SECONDS`."""

import sys
from importlib import import_module
from pathlib import Path

import atheris

from fuzz_suite.catalogue import TARGETS

#: Seconds that one input may take; bytes that it may have; megabytes of memory.
_SLOW, _LONGEST, _MEMORY = 5, 4096, 1024
#: The modules that coverage is measured in: what reads the bytes. All of the gateway would take
#: a minute to instrument.
_READERS = [
    "broker.protocol",
    "broker.topology",
    "gateway.auth",
    "gateway.config",
    "gateway.config_faults",
    "gateway.database_url",
    "gateway.http.body",
    "gateway.http.names",
    "gateway.live.destinations",
]


def main() -> None:
    """Does not return: libFuzzer ends the process."""
    name, folder, seconds = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
    with atheris.instrument_imports(include=_READERS):
        target = import_module(f"fuzz_suite.targets.{TARGETS[name]}")
    for number, seed in enumerate(target.SEEDS):
        (folder / "corpus" / f"seed-{number}").write_bytes(seed)
    options = [
        f"-max_total_time={seconds}",
        f"-timeout={_SLOW}",
        f"-max_len={_LONGEST}",
        f"-rss_limit_mb={_MEMORY}",
        f"-artifact_prefix={folder}/",
        "-print_final_stats=1",
    ]
    atheris.Setup([sys.argv[0], *options, str(folder / "corpus")], target.check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
