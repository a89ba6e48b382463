"""The command line of `scripts/screenshots`."""

import argparse
import shutil
import signal
import sys
from contextlib import ExitStack
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from devenv import command_lines, packages, rabbitmq, vendor
from devenv.errors import SetupError
from screenshot_suite import audience, shots, states
from screenshot_suite.axe import grave_faults
from screenshot_suite.conditions import CONDITIONS
from screenshot_suite.lesson import SCRIPTS, Lesson
from screenshot_suite.shots import Camera, Shot
from screenshot_suite.stage import Stage, running
from screenshot_suite.stand_in import site
from screenshot_suite.view import View

_RUN = Path(__file__).parents[2] / ".run" / "screenshots"
_FLAGS = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")


def main() -> int:
    """Take all pictures, or those of the languages, schemes and sizes named."""
    options = command_lines.screenshots().parse_args()
    # As Ctrl-C, so that broker and gateway end with it.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    folder: Path = options.out
    unknown = {*(options.state or ())} - {*states.STATES}
    if unknown:
        print(f"unknown: {', '.join(unknown)}; known: {', '.join(states.STATES)}", file=sys.stderr)
        return 2
    folder.mkdir(parents=True, exist_ok=True)
    try:
        packages.ensure(["chromium", "fonts-nanum", "npm"], _say)
        rabbitmq.ensure(_say)
        vendor.ensure(_say)
        with sync_playwright() as playwright, ExitStack() as stack:
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=_FLAGS
            )
            stack.callback(browser.close)
            url = stack.enter_context(site())
            faults = []
            for language in options.language:
                faults += _take_states(browser, url, language, options)
            if not options.states and not options.state:
                stage = stack.enter_context(running(_RUN, _say))
                for language in options.language:
                    _take_all(browser, stage, language, options)
    except SetupError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    _say(f"{len(list(folder.glob('*.png')))} pictures in {folder}")
    for fault in faults:
        print(fault, file=sys.stderr)
    return 1 if faults else 0


def _take_all(browser: Browser, stage: Stage, language: str, options: argparse.Namespace) -> None:
    lesson = Lesson(stage, SCRIPTS[language])
    lesson.begin()
    with browser.new_context() as room:
        audience.seat(room.new_page(), lesson)
        views = [View(language, scheme, size) for scheme in options.scheme for size in options.size]
        for wanted in (shots.WHILE_THE_POLL_IS_OPEN, shots.AFTER_THE_POLL):
            if wanted is shots.AFTER_THE_POLL:
                lesson.end_poll()
            for view in views:
                _say(view.suffix)
                _take(Camera(browser, lesson, view, options.out), lesson, wanted)


def _take_states(
    browser: Browser, url: str, language: str, options: argparse.Namespace
) -> list[str]:
    """Take pictures of rare states under all conditions; what axe finds in them."""
    faults = []
    for view in (View(language, s, z) for s in options.scheme for z in options.size):
        _say(f"{view.suffix}, unhappy")
        for name in options.state or states.STATES:
            for ending, condition in CONDITIONS.items():
                if not condition.fits(view):
                    continue
                with shots.context_of(browser, view) as context:
                    page = states.open_page(context, url, states.STATES[name])
                    condition.apply(page)
                    shots.picture(page, options.out / f"state-{name}{ending}-{view.suffix}.png")
                    found = grave_faults(page)
                    faults += [f"{name}{ending}, {view.suffix}: {fault}" for fault in found]
    return faults


def _take(camera: Camera, lesson: Lesson, wanted: tuple[Shot, ...]) -> None:
    try:
        for shot in wanted:
            shot(camera, lesson)
    finally:
        camera.close()


def _say(text: str) -> None:
    print(f"· {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
