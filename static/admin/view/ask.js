import { Problem } from "../../interact/problem.js";
import { element } from "../../shared/element.js";

/** @typedef {import("../api.js").Done} Done */
/** @typedef {import("../../shared/i18n.js").I18n} I18n */

/**
 * One thing to be done.
 * @typedef {object} Plan
 * @property {string} question
 * @property {string} note what it means
 * @property {string} button
 * @property {() => Promise<Done>} act
 * @property {(done: Done) => string} told what came of it
 */

/**
 * Asks back before something is done, then tells what was done, in one dialog.
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
