import { shares } from "../select.js";
import { element } from "../../shared/element.js";

/** @typedef {import("../../shared/i18n.js").I18n} I18n */

/** @param {number} option from 0 */
export function letterOf(option) {
  return String.fromCharCode("A".charCodeAt(0) + option);
}

/**
 * A poll's votes: a bar for each choice.
 *
 * @param {I18n} i18n
 * @param {readonly string[]} options
 */
export function chart(i18n, options) {
  const percent = new Intl.NumberFormat(i18n.language, { style: "percent" });
  const rows = options.map((text, option) => {
    const label = element("span", { class: "label", dir: "auto" }, text);
    const count = element("span", { class: "count" });
    const fill = element("div", { class: "fill" });
    const letter = element("span", { class: "option-letter" }, letterOf(option));
    const track = element("div", { class: "track", "aria-hidden": "true" }, fill);
    return { label, count, fill, item: element("li", {}, letter, label, count, track) };
  });
  return {
    root: element("ol", { class: "chart" }, ...rows.map(({ item }) => item)),
    /** @param {readonly number[]} totals @param {number | null} chosen by who looks at it */
    update(totals, chosen = null) {
      for (const [option, share] of shares(totals).entries()) {
        const { label, count, fill } = rows[option];
        count.textContent = i18n.say("poll.share", {
          count: totals[option],
          percent: percent.format(share),
        });
        fill.style.setProperty("--share", `${share}`);
        const mine = element("span", { class: "chosen" }, `· ${i18n.say("poll.mine")}`);
        label.replaceChildren(options[option], ...(option === chosen ? [" ", mine] : []));
      }
    },
  };
}
