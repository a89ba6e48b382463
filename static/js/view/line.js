import { element, icon } from "./element.js";

/** @typedef {import("../i18n.js").I18n} I18n */
/** @typedef {import("../room/classroom.js").LineState} LineState */

/** A quiet sign when the line is down; CSS shows it only after a moment. @param {I18n} i18n */
export function lineSign(i18n) {
  const text = element("span");
  const root = element(
    "div",
    { class: "line", role: "status", "data-line": "connecting" },
    element("p", {}, icon("cloud-slash"), text),
  );
  return {
    root,
    /** @param {LineState} state */
    update({ name, why }) {
      if (root.dataset.line === name && text.dataset.why === `${why?.code}`) return;
      root.dataset.line = name;
      text.dataset.why = `${why?.code}`;
      text.textContent =
        name === "live"
          ? ""
          : name === "closed"
            ? i18n.say("room.closed")
            : i18n.say(`line.${name}`, { why: why ? i18n.explain(why) : "" });
    },
  };
}
