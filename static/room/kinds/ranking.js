import { bars } from "../view/bars.js";
import { sendRow } from "../view/send-row.js";
import { element, iconButton } from "../../shared/element.js";
import { areOptions, EMPTY, optionForm, readCounts, readOptions } from "./options.js";

/** All options in an order. The first of n gets n points, the last gets one. @type {import("./kind.js").Kind} */
export const ranking = {
  isOneTap: false,
  isOpen: false,
  hasRight: false,
  empty: EMPTY,
  readAsk: readOptions,
  readChoice(body, ask) {
    const order = body?.order;
    return areOptions(order, ask) && order.length === ask.options.length ? { order } : null;
  },
  readTotals: readCounts,
  count(choices, { options }) {
    const totals = options.map(() => 0);
    for (const { order } of choices) {
      for (const [place, option] of order.entries()) totals[option] += options.length - place;
    }
    return totals;
  },
  inWords: ({ order }, { options }) =>
    order
      .map((/** @type {number} */ option, /** @type {number} */ place) => `${place + 1}. ${options[option]}`)
      .join(", "),
  isRight: () => false,
  form: (i18n, changed) => optionForm(i18n, changed),
  ballot(i18n, ask, { send, draft }) {
    const options = /** @type {string[]} */ (ask.options);
    const kept = ranking.readChoice({ order: draft.read() }, ask);
    /** What is arranged and not sent. @type {number[] | null} */
    let arranged = kept && kept.order;
    /** @type {number[] | null} */
    let sent = null;
    // By chance, so that the order of the question does not decide.
    const begin = shuffled(options.map((_, option) => option));
    const now = () => arranged ?? sent ?? begin;
    const told = element("p", { class: "hidden-text", role: "status" });
    const list = element("ol", { class: "ranking" });
    const rows = options.map((text, option) => {
      const move = (/** @type {string} */ way, /** @type {number} */ by) =>
        iconButton("caret-down", i18n.say(`ranking.${way}`, { text }), {
          class: `square move-${way}`,
          click: () => moved(option, by),
        });
      const [up, down] = [move("up", -1), move("down", 1)];
      const place = element("span", { class: "option-letter" });
      const label = element("span", { class: "label", dir: "auto" }, text);
      return { place, up, down, item: element("li", {}, place, label, up, down) };
    });
    const show = () => {
      const order = now();
      for (const [place, option] of order.entries()) {
        const row = rows[option];
        if (list.children[place] !== row.item) list.insertBefore(row.item, list.children[place] ?? null);
        row.place.textContent = `${place + 1}`;
        // Not `disabled`: a button that loses the focus would throw a keyboard's user off the list.
        row.up.setAttribute("aria-disabled", `${place === 0}`);
        row.down.setAttribute("aria-disabled", `${place === order.length - 1}`);
      }
      row.update({ isComplete: true, isSent: arranged === null && sent !== null });
    };
    const moved = (/** @type {number} */ option, /** @type {number} */ by) => {
      const order = [...now()];
      const place = order.indexOf(option);
      const next = place + by;
      if (next < 0 || next >= order.length) return;
      [order[place], order[next]] = [order[next], order[place]];
      arranged = order;
      draft.keep(order);
      const focused = document.activeElement;
      show();
      // Moving an element takes the focus away.
      if (focused instanceof HTMLElement) focused.focus();
      told.textContent = i18n.say("ranking.moved", { text: options[option], place: next + 1 });
    };
    const row = sendRow(i18n, () => {
      const order = now();
      arranged = null;
      sent = order;
      draft.keep(null);
      send({ order });
      show();
    });
    return {
      root: element("div", { class: "ask" }, list, told, row.root),
      update(chosen) {
        sent = chosen?.order ?? null;
        show();
      },
    };
  },
  chart(i18n, { options }) {
    const { root, update } = bars(i18n, options, { isOrdered: true });
    return {
      root,
      update(tally, { mine } = {}) {
        const most = (tally?.answers ?? 0) * options.length;
        update(tally && tally.totals, most, {
          mine: mine ? [mine.order[0]] : [],
          words: (count) => i18n.say("ranking.points", { count }),
        });
      },
    };
  },
};

/** @param {number[]} list */
function shuffled(list) {
  for (let last = list.length - 1; last > 0; last -= 1) {
    const other = Math.floor(Math.random() * (last + 1));
    [list[last], list[other]] = [list[other], list[last]];
  }
  return list;
}
