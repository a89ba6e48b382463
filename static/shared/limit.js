import { element } from "./element.js";

/** @typedef {import("./i18n.js").I18n} I18n */

/** The part of what is allowed from which on the length is shown. */
const SHOWN_FROM = 0.9;

let made = 0;

/**
 * The length that a field's text may have. Nothing is cut: a text that is too long stays as it is, its form refuses
 * to be sent, and the counter says why.
 *
 * @param {I18n} i18n
 * @param {HTMLInputElement | HTMLTextAreaElement} field
 * @param {number | (() => number)} longest UTF-16 code units, as `maxlength` counts; maybe another number at each check
 * @returns {{counter: HTMLElement, check: () => void}} `check` is for texts that a script has put into the field
 */
export function limited(i18n, field, longest) {
  made += 1;
  const counter = element("small", { class: "counter", id: `counter-${made}`, hidden: true });
  const check = () => {
    const { length } = field.value;
    const most = typeof longest === "number" ? longest : longest();
    const isTooLong = length > most;
    const values = { length: i18n.number(length), most: i18n.number(most) };
    counter.hidden = length < most * SHOWN_FROM;
    counter.textContent = i18n.say(isTooLong ? "field.tooLong" : "field.length", values);
    field.setCustomValidity(isTooLong ? i18n.say("field.tooLong", values) : "");
    if (isTooLong) field.setAttribute("aria-invalid", "true");
    else field.removeAttribute("aria-invalid");
  };
  field.setAttribute("aria-describedby", counter.id);
  field.addEventListener("input", check);
  return { counter, check };
}
