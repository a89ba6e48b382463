import { Problem } from "../../interact/problem.js";
import { element, field } from "../../shared/element.js";
import { limited } from "../../shared/limit.js";
import { switchOff } from "../../shared/off.js";

/** @typedef {import("../api.js").Done} Done */
/** @typedef {import("../../shared/i18n.js").I18n} I18n */

/** Until when a user is kept out (an ISO time), and why. @typedef {{until?: string, reason?: string}} Terms */

/** Minutes for which a user can be kept out. */
const MINUTES = [15, 60, 480];
/** Characters, as the gateway takes them. */
const LONGEST_REASON = 200;

/**
 * An action that the admin has to confirm.
 * @typedef {object} Plan
 * @property {string} question
 * @property {string} note its consequences
 * @property {string} button
 * @property {boolean} [keepsOut] whether the admin may keep the user out, and say why
 * @property {(terms: Terms) => Promise<Done>} act
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
  const time = element("select", {});
  const reason = element("input", { dir: "auto", autocomplete: "off" });
  const length = limited(i18n, reason, LONGEST_REASON);
  const terms = element("div", { hidden: true });
  const outcome = element("p", { role: "status" });
  const cancel = element("button", { type: "button", click: () => dialog.close() });
  const confirm = element("button", { type: "button", class: "danger" });
  const dialog = element(
    "dialog",
    { class: "card", "aria-labelledby": "ask-title" },
    title,
    note,
    terms,
    outcome,
    element("div", { class: "row end" }, cancel, confirm),
  );

  /** @returns {Terms} */
  const chosen = () => {
    const until = new Date(Date.now() + Number(time.value) * 60_000).toISOString();
    const why = reason.value.trim();
    return { ...(time.value ? { until } : {}), ...(why ? { reason: why } : {}) };
  };

  /** @param {Plan} plan */
  const ask = ({ question, note: meaning, button, keepsOut = false, act, told }) => {
    const choices = MINUTES.map((minutes) =>
      element("option", { value: `${minutes}` }, i18n.say(`ask.keepOut.${minutes}`)),
    );
    time.replaceChildren(element("option", { value: "" }, i18n.say("ask.keepOut.no")), ...choices);
    reason.value = "";
    length.check();
    terms.replaceChildren(
      field(i18n.say("ask.keepOut"), time),
      field(i18n.say("ask.reason"), reason, length.counter, i18n.say("ask.reasonHint")),
    );
    terms.hidden = !keepsOut;
    title.textContent = question;
    note.textContent = meaning;
    outcome.textContent = "";
    cancel.textContent = i18n.say("ask.cancel");
    confirm.textContent = button;
    confirm.hidden = false;
    switchOff(confirm, false);
    confirm.onclick = async () => {
      if (!reason.reportValidity()) return;
      switchOff(confirm, true);
      try {
        const done = await act(chosen());
        const missing = Object.keys(done.missing).join(", ");
        const unsure = missing ? i18n.say("done.missing", { gateways: missing }) : "";
        outcome.textContent = `${told(done)} ${unsure}`;
      } catch (error) {
        if (!(error instanceof Problem)) throw error;
        outcome.textContent = i18n.say("done.failed", { why: i18n.explain(error) });
      }
      confirm.hidden = terms.hidden = true;
      cancel.textContent = i18n.say("ask.close");
      cancel.focus();
    };
    dialog.showModal();
    cancel.focus();
  };
  return { dialog, ask };
}
