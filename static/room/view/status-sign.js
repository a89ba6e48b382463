import { isSentAway } from "../classroom.js";
import { element, icon } from "../../shared/element.js";

/** @typedef {import("../../shared/i18n.js").I18n} I18n */
/** @typedef {import("../classroom.js").RoomStatus} RoomStatus */

/** A quiet sign when the connection is down; CSS shows it only after a moment. @param {I18n} i18n */
export function statusSign(i18n) {
  const text = element("span");
  const root = element(
    "div",
    { class: "status-sign", role: "status", "data-status": "connecting" },
    element("p", {}, icon("cloud-slash"), text),
  );
  return {
    root,
    /** @param {RoomStatus} state */
    update(state) {
      const { name, why } = state;
      root.dataset.status = name;
      const told = i18n.say(`status.${name}`, { why: why ? i18n.explain(why) : "" });
      const words = isSentAway(state) ? `${told}. ${i18n.say("room.opensItself")}` : told;
      // Announced again only if it has changed.
      if (text.textContent !== words) text.textContent = words;
    },
  };
}
