import { element } from "../../shared/element.js";

/** @typedef {import("../../shared/i18n.js").I18n} I18n */

/**
 * What somebody had written, and not sent, when the room was closed: to read and copy, until they discard it.
 *
 * @param {I18n} i18n
 * @param {import("../drafts.js").Draft} draft
 * @returns {HTMLElement[]} one or none
 */
export function leftDraft(i18n, draft) {
  const { text } = draft.read() ?? {};
  if (typeof text !== "string") return [];
  const discard = () => {
    draft.keep(null);
    root.remove();
  };
  const root = element(
    "div",
    { class: "writing" },
    element("p", { class: "soft" }, i18n.say("room.leftDraft")),
    element("div", { class: "quote" }, element("blockquote", { dir: "auto", class: "grow" }, text)),
    element(
      "div",
      { class: "row" },
      element("button", { type: "button", click: discard }, i18n.say("post.drop")),
    ),
  );
  return [root];
}
