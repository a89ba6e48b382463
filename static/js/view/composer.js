import { element } from "./element.js";

/** Characters: the gateway takes 64 KiB, and a character has up to four bytes. */
const LONGEST = 10_000;

/**
 * A field to say something. Enter sends, Shift+Enter makes a line; on touch keyboards, which have no
 * Shift+Enter, Enter makes a line and the button sends.
 *
 * @param {{label: string, button: string, send: (text: string) => void}} parts
 */
export function composer({ label, button, send }) {
  const text = element("textarea", {
    rows: "1",
    maxlength: `${LONGEST}`,
    placeholder: label,
    "aria-label": label,
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
    if (!written) return;
    text.value = "";
    text.focus();
    send(written);
  };
  const form = element(
    "form",
    { submit, class: "composer" },
    text,
    element("button", { class: "primary" }, button),
  );
  return {
    form,
    /** Put a text back to work on it. @param {string} written */
    edit(written) {
      text.value = [text.value, written].filter(Boolean).join("\n");
      text.focus();
    },
  };
}
