import { kindOf } from "../polls.js";
import { element, icon, iconButton } from "../../shared/element.js";
import { keyed } from "./keyed.js";
import { who, whoInText } from "./who.js";

/** @typedef {import("../../shared/i18n.js").I18n} I18n */
/** @typedef {import("../polls.js").Answer} Answer */
/** @typedef {import("../polls.js").Poll} Poll */
/** @typedef {import("../polls.js").Solution} Solution */
/** @typedef {import("../../interact/types.js").Present} Present */

/**
 * For hosts: who has answered what and who has not, if all were told so before they answered; and any answer in
 * a person's own words, to take it away.
 *
 * @param {I18n} i18n
 * @param {Pick<Poll, "kind" | "ask" | "named">} poll
 * @param {(answer: Answer) => void} remove
 */
export function answerList(i18n, poll, remove) {
  const kind = kindOf(poll);
  const list = element("ul", { class: "given-answers" });
  const missing = element("p", { class: "missing" });
  const title = element("summary", {}, i18n.say(poll.named ? "poll.who" : "poll.all"));
  const root = element("details", { hidden: !poll.named && !kind.isOpen }, title, missing, list);
  /** @type {readonly number[]} */
  let right = [];
  const show = keyed(list, {
    key: ({ user, choice }) => `${user} ${JSON.stringify(choice)} ${right}`,
    make: (/** @type {Answer} */ answer) => {
      const words = kind.inWords(answer.choice, poll.ask);
      const name = poll.named ? [element("strong", {}, ...who(answer.user, answer.name))] : [];
      const isRight = right.length > 0 && kind.isRight(answer.choice, right);
      const label = i18n.say("poll.removeAnswer", {
        answer: poll.named ? whoInText(answer.user, answer.name) : words,
      });
      return element(
        "li",
        {},
        ...name,
        element("span", { class: "grow", dir: "auto" }, words),
        ...(isRight ? [element("span", { class: "right-answer" }, icon("check-circle"), i18n.say("poll.right"))] : []),
        ...(kind.isOpen ? [iconButton("trash", label, { click: () => remove(answer) })] : []),
      );
    },
  });
  return {
    root,
    /** @param {readonly Answer[]} answers @param {Solution} solved @param {readonly Present[]} present */
    update(answers, solved, present) {
      if (root.hidden) return;
      right = solved.right;
      show(answers);
      const answered = new Set(answers.map(({ user }) => user));
      const without = present.filter(({ user, role }) => role === "participant" && !answered.has(user));
      missing.hidden = !poll.named || without.length === 0;
      const names = without.map(({ user, name }) => whoInText(user, name)).join(", ");
      const words = i18n.say("poll.missing", { names });
      if (missing.textContent !== words) missing.textContent = words;
    },
  };
}
