import { GATEWAY } from "../../interact/gateway-address.js";
import { element } from "../../shared/element.js";
import { qrCode } from "../../shared/qr.js";

/** @typedef {import("../../shared/i18n.js").I18n} I18n */
/** @typedef {import("../api.js").Slip} Slip */

/**
 * Log-in slips: the passwords of new accounts, to print and cut. Nobody can ask for them again, so the
 * page holds on to them until they are dropped.
 *
 * @param {I18n} i18n
 * @param {{dropped: () => void}} listener
 */
export function slipsSection(i18n, { dropped }) {
  const address = `${GATEWAY}/`;
  const sheet = element("div", { class: "slips" });
  /** @type {Map<string, HTMLElement>} */
  const shown = new Map();

  const drop = () => {
    shown.clear();
    sheet.replaceChildren();
    section.hidden = true;
    dropped();
  };
  const section = element(
    "section",
    { "aria-labelledby": "slips-title", hidden: true },
    element("h2", { id: "slips-title" }, i18n.say("slips.title")),
    element("p", { class: "warning" }, i18n.say("slips.note")),
    element(
      "div",
      { class: "row" },
      element("button", { type: "button", class: "primary", click: () => print() }, i18n.say("slips.print")),
      element("button", { type: "button", click: drop }, i18n.say("slips.drop")),
    ),
    sheet,
  );

  /** @param {Slip} slip */
  const slipOf = ({ user, name, password }) =>
    element(
      "article",
      { class: "slip" },
      element(
        "div",
        {},
        element("p", {}, element("bdi", {}, name ?? user)),
        element("p", { class: "soft" }, address),
        element("p", {}, `${i18n.say("slips.user")} `, element("b", { dir: "auto" }, user)),
        element("p", {}, `${i18n.say("slips.password")} `, element("b", { dir: "auto" }, password)),
      ),
      qrCode(address, i18n.say("slips.address", { address })),
    );

  /** Show more slips; a newer one of the same user takes the place of the older one. @param {readonly Slip[]} slips */
  const add = (slips) => {
    for (const slip of slips) {
      const made = slipOf(slip);
      const older = shown.get(slip.user);
      if (older) older.replaceWith(made);
      else sheet.append(made);
      shown.set(slip.user, made);
    }
    section.hidden = shown.size === 0;
  };

  addEventListener("beforeunload", (event) => {
    if (shown.size) event.preventDefault();
  });
  return { section, add, drop };
}
