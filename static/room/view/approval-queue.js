import { Problem } from "../../interact/index.js";
import { readText } from "../bodies.js";
import { element, icon } from "../../shared/element.js";
import { keyed } from "./keyed.js";
import { sureButton } from "./sure-button.js";
import { who, whoInText } from "./who.js";
import { withLinks } from "./with-links.js";

/** @typedef {import("../../shared/i18n.js").I18n} I18n */
/** @typedef {import("../../interact/types.js").Message} Message */
/** @typedef {import("../approvals.js").Approvals} Approvals */

/** Messages that are shown at once; the others follow as these are decided. */
const SHOWN = 50;

/**
 * What waits for the host's approval. It is there while something waits.
 *
 * @param {I18n} i18n
 * @param {Approvals} approvals
 */
export function approvalQueue(i18n, approvals) {
  const title = element("h3", { id: "approvals-title" });
  const problem = element("p", { role: "alert", class: "problem" });
  const list = element("ol", {});
  let isBusy = false;

  /** @param {"approve" | "refuse"} fate @param {readonly Message[]} messages */
  const decide = async (fate, messages) => {
    if (isBusy) return;
    isBusy = true;
    problem.textContent = "";
    try {
      await approvals.decide(fate, messages);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      problem.textContent = i18n.explain(error);
    } finally {
      isBusy = false;
    }
  };
  /** @param {Message} message */
  const item = (message) => {
    const { sender, name, sent_at, body } = message;
    const button = (/** @type {"approve" | "refuse"} */ fate, /** @type {string} */ style) =>
      element(
        "button",
        {
          type: "button",
          class: style,
          "aria-label": i18n.say(`approve.${fate}Who`, { user: whoInText(sender, name) }),
          click: () => void decide(fate, [message]),
        },
        i18n.say(`approve.${fate}`),
      );
    return element(
      "li",
      {},
      element(
        "p",
        { class: "by" },
        element("strong", {}, ...who(sender, name)),
        element("time", { datetime: sent_at }, i18n.time(new Date(sent_at), new Date())),
      ),
      element("p", { class: "text", dir: "auto" }, ...withLinks(readText(body) ?? JSON.stringify(body))),
      element("div", { class: "row" }, button("approve", "primary"), button("refuse", "")),
    );
  };
  const show = keyed(list, { key: ({ id }) => id, make: item });
  const all = element(
    "button",
    { type: "button", click: () => void decide("approve", approvals.waiting) },
    i18n.say("approve.all"),
  );
  const none = sureButton(i18n, i18n.say("approve.none"), () => void decide("refuse", approvals.waiting));
  const several = element("div", { class: "row" }, all, none);
  const root = element(
    "section",
    { class: "approvals", "aria-labelledby": title.id, hidden: true },
    element("header", { class: "row" }, icon("clock"), title, several),
    problem,
    list,
  );
  return {
    root,
    update() {
      const { waiting } = approvals;
      root.hidden = waiting.length === 0;
      const words = i18n.say("approve.waiting", { count: waiting.length });
      if (title.textContent !== words) title.textContent = words;
      several.hidden = waiting.length < 2;
      show(waiting.slice(0, SHOWN));
    },
  };
}
