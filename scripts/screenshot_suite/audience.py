"""The present pupils: connections of the browser library, all in one page."""

from playwright.sync_api import Page

from screenshot_suite.lesson import Lesson

_ARRIVE = """
async ({room, tokens}) => {
  const { connect } = await import("/static/interact/index.js");
  globalThis.seats = tokens.map((token) => connect({ token }));
  await Promise.all(seats.map((seat) => seat.room(room).subscribe(() => {}).ready));
}
"""


def seat(page: Page, lesson: Lesson) -> None:
    """Let all pupils enter the room, except the first one, who has a real page."""
    tokens = [lesson.stage.token(user) for user in lesson.script.pupils[1:]]
    page.goto(lesson.stage.url)
    page.evaluate(_ARRIVE, {"room": lesson.room, "tokens": tokens})
