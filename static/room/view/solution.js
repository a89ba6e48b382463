import { element } from "../../shared/element.js";
import { withLinks } from "./with-links.js";

/** The reason why an answer is right. @param {import("../../shared/i18n.js").I18n} i18n */
export function solution(i18n) {
  const text = element("span", { dir: "auto" });
  const root = element(
    "p",
    { class: "solution", hidden: true },
    element("strong", {}, i18n.say("poll.explanation")),
    " ",
    text,
  );
  return {
    root,
    /** @param {string} explanation empty: none */
    update(explanation) {
      root.hidden = !explanation;
      text.replaceChildren(...withLinks(explanation));
    },
  };
}
