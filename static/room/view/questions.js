import { openQuestions } from "../select.js";
import { element } from "../../shared/element.js";
import { keyed } from "./keyed.js";
import { who } from "./who.js";
import { withLinks } from "./with-links.js";

/** @typedef {import("../../shared/i18n.js").I18n} I18n */
/** @typedef {import("../classroom.js").Classroom} Classroom */
/** @typedef {import("../state.js").Question} Question */

/**
 * The questions that wait for a host.
 *
 * @param {I18n} i18n
 * @param {Classroom} classroom
 * @param {(question: Question) => void} answer
 */
export function questionList(i18n, classroom, answer) {
  const list = element("ol", { class: "questions" });
  const empty = element("p", { class: "soft" }, i18n.say("questions.empty"));
  const root = element(
    "div",
    { role: "log", "aria-label": i18n.say("questions.title"), class: "group" },
    empty,
    list,
  );
  const show = keyed(list, {
    key: ({ id }) => id,
    make: (/** @type {Question} */ question) => {
      const { sender, sentAt, text, name } = question;
      const button = (/** @type {string} */ action, /** @type {() => void} */ click, label = "") =>
        element(
          "button",
          { type: "button", click, "aria-label": label },
          i18n.say(`questions.${action}`),
        );
      return element(
        "li",
        { class: "question" },
        element(
          "p",
          { class: "by" },
          element("strong", {}, ...who(sender, name)),
          element("time", { datetime: sentAt }, i18n.time(new Date(sentAt), new Date())),
        ),
        element("p", { class: "text", dir: "auto" }, ...withLinks(text)),
        element(
          "div",
          { class: "row" },
          button("done", () => classroom.setAside(question), i18n.say("questions.doneWith", { text })),
          button("answer", () => answer(question), i18n.say("questions.answerTo", { text })),
        ),
      );
    },
  });
  return {
    root,
    /** How many there are. */
    update() {
      const questions = openQuestions(classroom.state, classroom.room).filter(({ id }) => !classroom.isDealtWith(id));
      empty.hidden = questions.length > 0;
      show(questions);
      for (const button of list.querySelectorAll("button")) button.hidden = classroom.isReadOnly;
      return questions.length;
    },
  };
}
