import { PATH } from "../../interact/gateway-address.js";
import { element, icon } from "../../shared/element.js";

/** @typedef {import("../../shared/i18n.js").I18n} I18n */

/** The tables of a room. */
const TABLES = ["attendance", "polls", "questions", "messages"];

/**
 * What remains of a lesson: tables for a spreadsheet, and a page to print.
 *
 * @param {I18n} i18n
 * @param {number} room
 * @param {string} zone the time zone of all times, by its IANA name
 * @param {string} separator of the tables' cells
 */
export function remains(
  i18n,
  room,
  zone = Intl.DateTimeFormat().resolvedOptions().timeZone,
  separator = separatorOf(navigator.language),
) {
  const address = (/** @type {string} */ name) => {
    // Some devices do not know their zone's name.
    const query = new URLSearchParams({ ...(zone && { zone }), language: i18n.language, separator });
    return `${PATH}/api/rooms/${room}/export/${name}?${query}`;
  };
  const table = (/** @type {string} */ name) =>
    element(
      "li",
      {},
      element(
        "a",
        { href: address(`${name}.csv`), download: true, class: "button" },
        icon("arrow-down"),
        i18n.say(`remains.${name}`),
      ),
    );
  const heading = element("h3", { id: "remains-title" }, i18n.say("remains.title"));
  return element(
    "section",
    { class: "group", "aria-labelledby": heading.id },
    heading,
    element("p", { class: "soft" }, i18n.say("remains.hint")),
    element("ul", { class: "group" }, ...TABLES.map(table)),
    element(
      "a",
      {
        ...{ href: address("page.html"), target: "_blank", rel: "noopener" },
        class: "button primary",
      },
      i18n.say("remains.page"),
    ),
  );
}

/** What separates cells where this language is spoken: not what a number may have within. @param {string} language */
export function separatorOf(language) {
  const parts = new Intl.NumberFormat(language).formatToParts(1.5);
  return parts.some(({ type, value }) => type === "decimal" && value === ",") ? "semicolon" : "comma";
}
