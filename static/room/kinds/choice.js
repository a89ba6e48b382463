import { bars } from "../view/bars.js";
import { EMPTY, isOption, letterOf, optionButtons, optionForm, readCounts, readOptions } from "./options.js";

/** One of several options, by one tap. @type {import("./kind.js").Kind} */
export const choice = {
  isOneTap: true,
  isOpen: false,
  hasRight: true,
  empty: EMPTY,
  readAsk: readOptions,
  readChoice: (body, { options }) =>
    isOption(body?.option, options.length) ? { option: body.option } : null,
  readTotals: readCounts,
  count(choices, { options }) {
    const totals = options.map(() => 0);
    for (const { option } of choices) totals[option] += 1;
    return totals;
  },
  inWords: ({ option }, { options }) => `${letterOf(option)} · ${options[option]}`,
  isRight: ({ option }, right) => right.includes(option),
  form: (i18n, changed) => optionForm(i18n, changed, { rights: "several", isReady: true }),
  ballot(_, ask, { send }) {
    const { root, update } = optionButtons(ask, (option) => send({ option }));
    return { root, update: (chosen) => update(chosen === null ? [] : [chosen.option]) };
  },
  chart(i18n, { options }) {
    const { root, update } = bars(i18n, options);
    return {
      root,
      update: (tally, { mine, right } = {}) =>
        update(tally && tally.totals, tally?.answers, { mine: mine ? [mine.option] : [], right }),
    };
  },
};
