import { letterOf } from "./chart.js";
import { element, icon } from "../../shared/element.js";
import { withLinks } from "./with-links.js";

/** @typedef {import("../../shared/i18n.js").I18n} I18n */
/** @typedef {import("../state.js").Poll} Poll */

/**
 * The form for an open poll: one tap votes, another one changes the vote.
 *
 * @param {I18n} i18n
 * @param {(poll: Poll, option: number) => void} vote
 */
export function ballot(i18n, vote) {
  const question = element("h2", { id: "ballot-question", dir: "auto" });
  const options = element("div", { class: "options", role: "group", "aria-labelledby": question.id });
  const note = element("p", { class: "soft note", role: "status" });
  const none = element("div", { class: "ballot" }, element("p", { class: "soft" }, i18n.say("poll.none")));
  const asked = element("div", { class: "ballot" }, question, options, note);
  const root = element(
    "section",
    { class: "aside", "aria-label": i18n.say("poll.title") },
    asked,
    none,
  );
  let shown = "";

  const show = (/** @type {Poll} */ poll) => {
    question.replaceChildren(...withLinks(poll.question));
    options.replaceChildren(
      ...poll.options.map((text, option) =>
        element(
          "button",
          { type: "button", class: "option", click: () => vote(poll, option) },
          element("span", { class: "option-letter", "aria-hidden": "true" }, letterOf(option)),
          element("span", { class: "label", dir: "auto" }, text),
          icon("check-circle"),
        ),
      ),
    );
    root.scrollTop = 0;
  };

  return {
    root,
    /**
     * @param {Poll | null} poll
     * @param {number | null} counted the choice that has arrived
     * @param {number | null} sending the one that is on its way
     */
    update(poll, counted, sending) {
      root.classList.toggle("asked", poll !== null);
      asked.hidden = poll === null;
      none.hidden = poll !== null;
      if (poll === null) return;
      if (shown !== poll.id) show(poll);
      shown = poll.id;
      const chosen = sending ?? counted;
      for (const [option, button] of [...options.children].entries()) {
        button.setAttribute("aria-pressed", `${option === chosen}`);
      }
      const stage = sending !== null ? "sending" : counted !== null ? "counted" : "choose";
      note.classList.toggle("counted", stage === "counted");
      const words = [i18n.say(`poll.${stage}`)];
      if (stage === "choose") words.push(i18n.say("poll.private"));
      const text = words.join(" ");
      if (note.textContent !== text) note.textContent = text;
    },
  };
}
