"""The list of pictures, and how each is taken."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from playwright.sync_api import Browser, BrowserContext, Page, expect

from devenv.errors import SetupError
from screenshot_suite.lesson import Lesson
from screenshot_suite.view import LOCALES, SIZES, View


@contextmanager
def context_of(browser: Browser, view: View) -> Iterator[BrowserContext]:
    """A separate browser context with the view's language, colours and size."""
    width, height = SIZES[view.size]
    is_phone = view.size == "phone"
    context = browser.new_context(
        locale=LOCALES[view.language],
        color_scheme=view.scheme,  # type: ignore[arg-type]
        viewport={"width": width, "height": height},
        is_mobile=is_phone,
        has_touch=is_phone,
        device_scale_factor=2 if is_phone else 1,
        reduced_motion="reduce",
    )
    yield context
    context.close()


def picture(page: Page, path: Path) -> None:
    page.evaluate("document.fonts.ready")
    page.screenshot(path=path, animations="disabled", caret="hide")


class Camera:
    """Takes pictures of pages into `folder`."""

    def __init__(self, browser: Browser, lesson: Lesson, view: View, folder: Path) -> None:
        self._browser = browser
        self._lesson = lesson
        self._view = view
        self._folder = folder
        self._signed_in: dict[str, BrowserContext] = {}
        self._contexts = ExitStack()

    @property
    def is_phone(self) -> bool:
        return self._view.size == "phone"

    def take(self, name: str, page: Page) -> None:
        picture(page, self._folder / f"{name}-{self._view.suffix}.png")

    @contextmanager
    def stranger(self) -> Iterator[Page]:
        """The page of a user who is not logged in."""
        with context_of(self._browser, self._view) as context:
            yield self._open(context, "/")

    def open(self, user: str, path: str) -> Page:
        """A page of a user who is logged in."""
        if user not in self._signed_in:
            context = self._contexts.enter_context(context_of(self._browser, self._view))
            self._signed_in[user] = context
            answer = context.request.post(
                f"{self._lesson.stage.url}/api/session",
                data={"user": user, "password": self._lesson.stage.password},
            )
            if not answer.ok:
                raise SetupError(f"{user} cannot log in: {answer.text()}")
        return self._open(self._signed_in[user], path)

    def room(self, user: str, suffix: str = "") -> Page:
        """The room's page, live."""
        page = self.open(user, f"/#/rooms/{self._lesson.room}{suffix}")
        expect(page.locator("[data-status=live]")).to_be_attached(timeout=20_000)
        expect(page.locator("[role=log][aria-busy=false]")).to_be_attached()
        expect(page.locator(".bar .names .soft")).not_to_be_empty()
        return page

    def close(self) -> None:
        self._contexts.close()

    def _open(self, context: BrowserContext, path: str) -> Page:
        page = context.new_page()
        page.goto(self._lesson.stage.url + path)
        return page


def _login(camera: Camera, lesson: Lesson) -> None:
    with camera.stranger() as page:
        expect(page.get_by_role("form")).to_be_visible()
        camera.take("login", page)


def _rooms(camera: Camera, lesson: Lesson) -> None:
    page = camera.open(lesson.script.teacher, "/")
    expect(page.locator(".rooms a")).to_have_count(len(lesson.script.other_titles) + 1)
    camera.take("rooms", page)
    page.locator(".bar .primary").click()
    camera.take("rooms-new", page)


def _participant(camera: Camera, lesson: Lesson) -> None:
    page = camera.room(lesson.script.pupils[0])
    expect(page.locator(".option")).to_have_count(len(lesson.script.options))
    camera.take("participant", page)
    page.locator(".choice label").nth(1).click()
    page.locator(".composer textarea").fill(lesson.script.asked[0][1])
    camera.take("participant-asks", page)


def _host(camera: Camera, lesson: Lesson) -> None:
    page = camera.room(lesson.script.teacher)
    if camera.is_phone:
        for name, tab in zip(
            ("talk", "poll", "questions", "people"), page.locator(".tabs button").all(), strict=True
        ):
            tab.click()
            camera.take(f"host-{name}", page)
    else:
        camera.take("host", page)
    for name, icon in (("share", "qr-code"), ("members", "users")):
        page.locator(f".bar button:has(.icon-{icon})").click()
        page.wait_for_timeout(150)
        camera.take(f"host-{name}", page)
        page.locator("dialog[open] header button").click()


def _projector(camera: Camera, lesson: Lesson) -> None:
    page = camera.room(lesson.script.teacher, "/projector")
    expect(page.locator(".stage .chart")).to_be_visible()
    camera.take("projector", page)


def _result(camera: Camera, lesson: Lesson) -> None:
    page = camera.room(lesson.script.pupils[0])
    expect(page.locator(".entry.result")).to_be_visible()
    camera.take("participant-result", page)
    page = camera.room(lesson.script.teacher)
    if camera.is_phone:
        page.locator(".tabs button").nth(1).click()
    camera.take("host-result", page)


def _dashboard(camera: Camera, lesson: Lesson) -> None:
    page = camera.open(lesson.script.admin, "/admin")
    expect(page.locator(".chart canvas")).to_have_count(6)
    expect(page.locator("[aria-labelledby=connections-title] tbody tr").first).to_be_visible()
    camera.take("dashboard", page)
    page.evaluate("document.querySelector('#nodes-title').scrollIntoView()")
    camera.take("dashboard-nodes", page)
    page.locator("[aria-labelledby=nodes-title] button").first.click()
    camera.take("dashboard-drain", page)


Shot = Callable[[Camera, Lesson], None]

WHILE_THE_POLL_IS_OPEN: tuple[Shot, ...] = (
    *(_login, _rooms, _participant, _host, _projector),
    _dashboard,
)
AFTER_THE_POLL: tuple[Shot, ...] = (_result,)
