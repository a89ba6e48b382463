import { LONGEST_TEXT } from "../room/bodies.js";
import { element, icon } from "./element.js";

/**
 * A field to say something. Enter sends, Shift+Enter makes a line; on touch keyboards, which have no
 * Shift+Enter, Enter makes a line and the button sends.
 *
 * @param {{button: string, send: (text: string) => void}} parts
 */
export function composer({ button, send }) {
  const text = element("textarea", {
    rows: "1",
    maxlength: `${LONGEST_TEXT}`,
    keydown: (event) => {
      // While a syllable is being composed (한글), Enter only ends it.
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      if (matchMedia("(pointer: coarse)").matches) return;
      event.preventDefault();
      form.requestSubmit();
    },
  });
  const submit = (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    const written = text.value.trim();
    text.focus();
    if (!written) return;
    text.value = "";
    send(written);
  };
  const form = element(
    "form",
    { submit, class: "composer" },
    text,
    element(
      "button",
      { class: "primary square", "aria-label": button, title: button },
      icon("paper-plane-tilt"),
    ),
  );
  return {
    form,
    /** What the field is for. @param {string} label */
    label(label) {
      text.placeholder = label;
      text.setAttribute("aria-label", label);
    },
    focus: () => text.focus(),
    /** Put a text back to work on it. @param {string} written */
    edit(written) {
      text.value = [text.value, written].filter(Boolean).join("\n");
      text.focus();
    },
  };
}
