import { letterOf } from "../kinds/options.js";
import { element, icon } from "../../shared/element.js";

/** @typedef {import("../../shared/i18n.js").I18n} I18n */

/**
 * A bar for each choice.
 *
 * @param {I18n} i18n
 * @param {readonly string[]} labels
 * @param {{isLettered?: boolean, isOrdered?: boolean}} [how] `isOrdered`: the longest bar stands first
 */
export function bars(i18n, labels, { isLettered = true, isOrdered = false } = {}) {
  const percent = new Intl.NumberFormat(i18n.language, { style: "percent" });
  const rows = labels.map((text, place) => {
    const label = element("span", { class: "label", dir: "auto" }, text);
    const count = element("span", { class: "count" });
    const fill = element("div", { class: "fill" });
    const track = element("div", { class: "track", "aria-hidden": "true" }, fill);
    const letter = element("span", { class: "option-letter" }, isLettered ? letterOf(place) : text);
    const item = element("li", {}, letter, ...(isLettered ? [label] : []), count, track);
    return { label, letter, count, fill, item };
  });
  const root = element("ol", { class: "chart" }, ...rows.map(({ item }) => item));
  root.classList.toggle("compact", !isLettered);
  return {
    root,
    /**
     * @param {readonly number[] | null} counts null: only the choices are shown
     * @param {number} [base] what the longest possible bar stands for
     * @param {{mine?: readonly number[], right?: readonly number[], words?: (count: number) => string}} [marks]
     *   `words`: how a bar's number is told
     */
    update(counts, base = 0, { mine = [], right = [], words } = {}) {
      root.classList.toggle("bare", counts === null);
      for (const [place, row] of rows.entries()) {
        const number = counts?.[place] ?? 0;
        const share = base > 0 ? number / base : 0;
        const told = words?.(number) ?? i18n.say("poll.share", { count: number, percent: percent.format(share) });
        row.count.textContent = counts === null ? "" : told;
        row.fill.style.setProperty("--share", `${share}`);
        row.item.classList.toggle("right", right.includes(place));
        const marks = [
          ...(right.includes(place) ? [mark("right-answer", i18n.say("poll.right"))] : []),
          ...(mine.includes(place) ? [mark("chosen", i18n.say("poll.mine"))] : []),
        ];
        const [holder, text] = isLettered ? [row.label, labels[place]] : [row.count, row.count.textContent];
        holder.replaceChildren(text, ...marks.flatMap((one) => [" ", one]));
      }
      if (!isOrdered) return;
      const sorted = [...rows.keys()].sort((one, other) => (counts?.[other] ?? 0) - (counts?.[one] ?? 0));
      for (const [place, row] of sorted.entries()) {
        const { item } = rows[row];
        if (root.children[place] !== item) root.insertBefore(item, root.children[place] ?? null);
      }
    },
  };
}

/** @param {string} name @param {string} words */
function mark(name, words) {
  const text = element("span", { class: name }, ...(name === "chosen" ? [`· ${words}`] : [icon("check-circle"), words]));
  return text;
}
