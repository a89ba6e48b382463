import { Problem } from "../../interact/problem.js";
import { element } from "../../shared/element.js";

/** @typedef {import("../api.js").Done} Done */
/** @typedef {import("../../shared/i18n.js").I18n} I18n */

/**
 * An action that the admin has to confirm.
 * @typedef {object} Plan
 * @property {string} question
 * @property {string} note its consequences
 * @property {string} button
 * @property {() => Promise<Done>} act
 * @property {(done: Done) => string} told the result in words
 */

/**
 * A dialog that asks for confirmation before an action, then shows its result.
 *
 * @param {I18n} i18n
 */
export function askBack(i18n) {
  const title = element("h2", { id: "ask-title" });
  const note = element("p", {});
  const outcome = element("p", { role: "status" });
  const cancel = element("button", { type: "button", click: () => dialog.close() });
  const confirm = element("button", { type: "button", class: "danger" });
  const dialog = element(
    "dialog",
    { class: "card", "aria-labelledby": "ask-title" },
    title,
    note,
    outcome,
    element("div", { class: "row end" }, cancel, confirm),
  );

  /** @param {Plan} plan */
  const ask = ({ question, note: meaning, button, act, told }) => {
    title.textContent = question;
    note.textContent = meaning;
    outcome.textContent = "";
    cancel.textContent = i18n.say("ask.cancel");
    confirm.textContent = button;
    confirm.hidden = confirm.disabled = false;
    confirm.onclick = async () => {
      confirm.disabled = true;
      try {
        const done = await act();
        const missing = Object.keys(done.missing).join(", ");
        const unsure = missing ? i18n.say("done.missing", { gateways: missing }) : "";
        outcome.textContent = `${told(done)} ${unsure}`;
      } catch (error) {
        if (!(error instanceof Problem)) throw error;
        outcome.textContent = i18n.say("done.failed", { why: i18n.explain(error) });
      }
      confirm.hidden = true;
      cancel.textContent = i18n.say("ask.close");
      cancel.focus();
    };
    dialog.showModal();
    cancel.focus();
  };
  return { dialog, ask };
}
