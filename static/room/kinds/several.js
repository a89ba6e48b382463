import { bars } from "../view/bars.js";
import { sendRow } from "../view/send-row.js";
import { element } from "../../shared/element.js";
import { areOptions, EMPTY, letterOf, optionButtons, optionForm, readCounts, readOptions } from "./options.js";

/** Any number of options, at least one. @type {import("./kind.js").Kind} */
export const several = {
  isOneTap: false,
  isOpen: false,
  hasRight: true,
  empty: EMPTY,
  readAsk: readOptions,
  readChoice(body, ask) {
    const options = body?.options;
    return areOptions(options, ask) && options.length > 0 ? { options } : null;
  },
  readTotals: readCounts,
  count(choices, ask) {
    const totals = ask.options.map(() => 0);
    for (const { options } of choices) for (const option of options) totals[option] += 1;
    return totals;
  },
  inWords: ({ options }, ask) =>
    options.map((/** @type {number} */ option) => `${letterOf(option)} · ${ask.options[option]}`).join(", "),
  isRight: ({ options }, right) =>
    options.length === right.length && right.every((option) => options.includes(option)),
  form: (i18n, changed) => optionForm(i18n, changed, { rights: "several" }),
  ballot(i18n, ask, { send, draft }) {
    /** What is marked and not sent. @type {number[] | null} */
    let marked = areOptions(draft.read(), ask) ? draft.read() : null;
    /** @type {number[]} */
    let sent = [];
    const show = () => {
      const now = marked ?? sent;
      buttons.update(now);
      row.update({ isComplete: now.length > 0, isSent: marked === null });
    };
    const buttons = optionButtons(ask, (option) => {
      const now = marked ?? sent;
      marked = now.includes(option) ? now.filter((other) => other !== option) : [...now, option].sort();
      draft.keep(marked);
      show();
    });
    const row = sendRow(i18n, () => {
      const options = marked ?? sent;
      marked = null;
      draft.keep(null);
      send({ options });
      show();
    });
    return {
      root: element("div", { class: "ask" }, buttons.root, row.root),
      update(chosen) {
        sent = chosen?.options ?? [];
        show();
      },
    };
  },
  chart(i18n, { options }) {
    const { root, update } = bars(i18n, options);
    return {
      root,
      update: (tally, { mine, right } = {}) =>
        update(tally && tally.totals, tally?.answers, { mine: mine?.options ?? [], right }),
    };
  },
};
