"""The npm package of the browser library: one bundled file with its types.

Publishing is not done here: `npm publish` in the folder, or `npm install` from the packed file.
"""

import json
import shutil
import sys
import tempfile
from configparser import ConfigParser
from pathlib import Path
from typing import Final

from devenv import command_lines, long_command, vendor
from devenv.errors import SetupError
from devenv.moving_line import Progress

PROJECT: Final = Path(__file__).parents[2]

NAME: Final = "interact-gateway"

#: The oldest browsers; the same as in `page_build.mjs`.
TARGET: Final = "chrome111,firefox113,safari16.4"

_SOURCE: Final = PROJECT / "static" / "interact"
_PROGRAMS: Final = PROJECT / "node_modules" / ".bin"


def build(target: Path, progress: Progress) -> None:
    """Make the package's folder anew. Raises :class:`SetupError`."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    _bundle(target / "index.js", progress)
    _declare(target / "types", progress)
    shutil.copyfile(_SOURCE / "README.md", target / "README.md")
    shutil.copyfile(PROJECT / "LICENSE", target / "LICENSE")
    # It is in the bundle.
    shutil.copyfile(PROJECT / "static/vendor/stompjs/LICENSE", target / "LICENSE-stompjs")
    description = json.dumps(_description(), indent=2) + "\n"
    (target / "package.json").write_text(description)


def pack(folder: Path, target: Path, progress: Progress) -> Path:
    """Pack the package's folder into a file below `target`, as npm would publish it."""
    progress(f"packing {NAME}")
    _run(["npm", "pack", "--pack-destination", target, "--silent"], progress, cwd=folder)
    (packed,) = target.glob(f"{NAME}-*.tgz")
    return packed


def _description() -> dict[str, object]:
    settings = ConfigParser(interpolation=None)
    settings.read(PROJECT / "setup.cfg")
    return {
        "name": NAME,
        "version": settings["metadata"]["version"],
        "description": "The browser library of the interact gateway: rooms over STOMP, without a "
        "lost message.",
        "license": "Apache-2.0",
        "type": "module",
        "sideEffects": False,
        "exports": {".": {"types": "./types/interact/index.d.ts", "default": "./index.js"}},
        "types": "./types/interact/index.d.ts",
        "files": ["index.js", "types", "LICENSE-stompjs"],
    }


def _bundle(target: Path, progress: Progress) -> None:
    """One module, readable; by the bundler of the pages, for the same browsers."""
    progress("bundling the library (esbuild)")
    program = PROJECT / "node_modules" / "esbuild-wasm" / "bin" / "esbuild"
    options = ("--bundle", "--format=esm", f"--target={TARGET}", "--log-level=warning")
    _run(["node", program, _SOURCE / "index.js", *options, f"--outfile={target}"], progress)


def _declare(target: Path, progress: Progress) -> None:
    """The types that the JSDoc comments say; stompjs brings its own."""
    progress("writing the library's types (tsc)")
    options = {
        "noEmit": False,
        "declaration": True,
        "emitDeclarationOnly": True,
        "rootDir": str(PROJECT / "static"),
        "outDir": str(target),
    }
    with tempfile.TemporaryDirectory() as folder:
        configuration = Path(folder) / "tsconfig.json"
        configuration.write_text(
            json.dumps(
                {
                    "extends": str(PROJECT / "tsconfig.json"),
                    "compilerOptions": options,
                    "files": [str(_SOURCE / "index.js")],
                    "include": [],
                }
            )
        )
        _run([_PROGRAMS / "tsc", "--project", configuration], progress)
    vendored = PROJECT / "static" / "vendor" / "stompjs"
    for path in vendored.rglob("*.d.ts"):
        destination = target / "vendor" / "stompjs" / path.relative_to(vendored)
        destination.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, destination)


def _run(command: list[str | Path], progress: Progress, *, cwd: Path = PROJECT) -> None:
    ended = long_command.run(command, progress, cwd=cwd)
    if ended.code:
        raise SetupError(f"{Path(command[0]).name} failed:\n{ended.tail()}")


def main() -> int:
    """`scripts/package-library`."""
    options = command_lines.package_library().parse_args()
    target: Path = options.out
    try:
        vendor.ensure(print)
        build(target / "package", print)
        packed = pack(target / "package", target, print)
    except SetupError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"npm install {packed}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
