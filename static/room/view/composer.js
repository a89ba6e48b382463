import { LONGEST_TEXT } from "../bodies.js";
import { isCommit } from "../../shared/commit.js";
import { element, icon } from "../../shared/element.js";
import { limited } from "../../shared/limit.js";
import { switchOff } from "../../shared/off.js";

/** @typedef {import("../drafts.js").Draft} Draft */
/** @typedef {import("../../shared/i18n.js").I18n} I18n */

/**
 * A field to write a message. Enter sends, Shift+Enter makes a line; on touch keyboards, which have no
 * Shift+Enter, Enter makes a line and the button sends. Unsent text is kept as a draft.
 *
 * @template To
 * @param {object} parts
 * @param {I18n} parts.i18n
 * @param {Draft} parts.draft
 * @param {() => To} parts.to the recipients; kept with the draft, so that nothing private becomes public
 * @param {(to: any) => void} parts.choose restores an earlier value of {@link parts.to}, which may be
 *   from another version of the page
 * @param {(text: string, unkept: () => void) => void} parts.send calls `unkept` if the text will not be sent,
 *   because too many wait already
 * @param {() => number} [parts.longest] characters of a text to these recipients
 */
export function composer({ i18n, draft, to, choose, send, longest = () => LONGEST_TEXT }) {
  const button = i18n.say("send");
  const text = element("textarea", {
    rows: "1",
    dir: "auto",
    input: () => changed(),
    // The reason stands above the field, and stays there until the text changes.
    invalid: (event) => {
      event.preventDefault();
      note.textContent = text.validationMessage;
      text.focus();
    },
    keydown: (event) => {
      if (!isCommit(event)) return;
      if (matchMedia("(pointer: coarse)").matches) return;
      event.preventDefault();
      form.requestSubmit();
    },
  });
  const note = element("p", { class: "problem", role: "alert" });
  const { counter, check } = limited(i18n, text, longest);
  const changed = () => {
    note.textContent = "";
    check();
    keep();
  };
  const keep = () => draft.keep(text.value.trim() ? { text: text.value, to: to() } : null);
  const submit = (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    const written = text.value.trim();
    text.focus();
    if (!written || text.readOnly) return;
    const addressed = to();
    text.value = "";
    changed();
    send(written, () => {
      if (!text.value) choose(addressed);
      edit(written);
      note.textContent = i18n.say("post.unkept");
    });
  };
  /** @param {string} written */
  const edit = (written) => {
    text.value = [written, text.value].filter(Boolean).join("\n");
    changed();
    text.focus();
  };
  const sending = element(
    "button",
    { class: "primary square", "aria-label": button, title: button },
    icon("paper-plane-tilt"),
  );
  const form = element("form", { submit, class: "composer" }, text, sending);
  return {
    form,
    /** What is wrong with the text, and how long it is. */
    notes: element("div", { class: "notes", tabindex: "0" }, note, counter),
    /** Change the field's label. @param {string} label */
    label(label) {
      text.placeholder = label;
      text.setAttribute("aria-label", label);
    },
    /** Nothing can be sent, or it can again. What is written stays, and can be copied. @param {boolean} is */
    hold(is) {
      text.readOnly = is;
      switchOff(sending, is);
    },
    /** Nobody writes, or is about to. */
    isIdle: () => text.value === "" && document.activeElement !== text,
    focus: () => text.focus(),
    /** The recipients have changed. */
    keep() {
      check();
      keep();
    },
    /** Put back the draft from when the page was left. */
    restore() {
      const kept = draft.read();
      if (typeof kept?.text !== "string") return;
      text.value = kept.text;
      check();
      // Only now, because choosing with an empty field would delete the draft.
      choose(kept.to);
    },
    /** Put a text back into the field to edit it. */
    edit,
  };
}
