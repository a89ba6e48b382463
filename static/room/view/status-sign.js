import { isSentAway } from "../classroom.js";
import { element, icon } from "../../shared/element.js";

/** @typedef {import("../../shared/i18n.js").I18n} I18n */
/** @typedef {import("../classroom.js").RoomStatus} RoomStatus */

/**
 * A quiet sign when the connection is down, or when it has ended: why, and what one can do. CSS shows it only after
 * a moment.
 *
 * @param {I18n} i18n
 */
export function statusSign(i18n) {
  const text = element("span");
  const picture = element("span", { "aria-hidden": "true" });
  const again = element(
    "button",
    { type: "button", hidden: true, click: () => location.reload() },
    i18n.say("status.again"),
  );
  const root = element(
    "div",
    { class: "status-sign", role: "status", "data-status": "connecting" },
    element("div", {}, element("p", {}, picture, text), again),
  );
  return {
    root,
    /** @param {RoomStatus} state */
    update(state) {
      const { name, why } = state;
      const isAway = isSentAway(state);
      root.dataset.status = isAway ? "away" : name;
      picture.className = `icon icon-${PICTURES[name] ?? "cloud-slash"}`;
      const reason = why ? i18n.explain(why) : "";
      const told = i18n.say(isAway ? "status.away" : `status.${name}`, { why: reason });
      // Announced again only if it has changed.
      if (text.textContent !== told) text.textContent = told;
      again.hidden = name !== "refused" || isAway;
    },
  };
}

/** By status; a cloud for all others. @type {Record<string, string>} */
const PICTURES = { closed: "lock-simple", refused: "warning-circle", login: "sign-out" };
