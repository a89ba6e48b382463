import { element } from "../../shared/element.js";
import { switchOff } from "../../shared/off.js";

/**
 * The button that sends an answer made of several steps.
 *
 * @param {import("../../shared/i18n.js").I18n} i18n
 * @param {() => void} send
 */
export function sendRow(i18n, send) {
  const button = element("button", { type: "button", class: "primary", click: send }, "");
  return {
    root: element("div", { class: "row send-row" }, button),
    send,
    /** @param {{isComplete: boolean, isSent: boolean}} now */
    update({ isComplete, isSent }) {
      switchOff(button, !isComplete || isSent);
      const words = i18n.say(isSent && isComplete ? "poll.sent" : "poll.send");
      if (button.textContent !== words) button.textContent = words;
    },
  };
}
