import { element, icon } from "../../shared/element.js";

/** @typedef {import("../../shared/i18n.js").I18n} I18n */
/** @typedef {import("../classroom.js").Classroom} Classroom */
/** @typedef {import("../polls.js").Poll} Poll */

/**
 * The time that is left for a poll, by the gateway's clock; the device's may be an hour off.
 *
 * @param {I18n} i18n
 * @param {Classroom} classroom
 */
export function countdown(i18n, classroom) {
  const text = element("span");
  const root = element("p", { class: "countdown", role: "timer", hidden: true }, icon("clock"), text);
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let next;
  return {
    root,
    /** @param {Pick<Poll, "phase" | "until"> | null} poll */
    update(poll) {
      clearTimeout(next);
      const until = poll?.phase === "open" ? poll.until : null;
      root.hidden = until === null;
      if (until === null) return;
      const left = until - classroom.now;
      // Every view is drawn anew with each second, and so sees the end.
      next = setTimeout(() => classroom.changed(), left > 0 ? left % 1000 || 1000 : 1000);
      const seconds = Math.max(0, Math.ceil(left / 1000));
      text.textContent = `${Math.floor(seconds / 60)}:${`${seconds % 60}`.padStart(2, "0")}`;
      root.setAttribute("aria-label", i18n.say("poll.left", { time: text.textContent }));
      root.classList.toggle("soon", seconds <= 10);
    },
  };
}
