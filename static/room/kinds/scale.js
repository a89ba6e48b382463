import { isLine, LONGEST_LINE } from "../bodies.js";
import { bars } from "../view/bars.js";
import { element, field } from "../../shared/element.js";
import { limited } from "../../shared/limit.js";

/** The ends that a scale may have. */
const LEAST = 0;
const MOST = 10;
/** The most steps that a phone has room for beside each other. */
const MOST_IN_ROW = 7;

/** @typedef {{from: number, to: number, low: string, high: string}} Ask */

/** @param {Ask} ask @returns {number[]} */
const valuesOf = ({ from, to }) => Array.from({ length: to - from + 1 }, (_, place) => from + place);

/** @param {unknown} value */
const isWordOrNone = (value) => value === "" || isLine(value);

/** A number between two ends that may have names. @type {import("./kind.js").Kind} */
export const scale = {
  isOneTap: true,
  isOpen: false,
  hasRight: false,
  empty: { from: 1, to: 5, low: "", high: "" },
  readAsk(body) {
    const { from, to, low = "", high = "" } = body ?? {};
    const isEnd = (/** @type {any} */ end) => Number.isSafeInteger(end) && end >= LEAST && end <= MOST;
    const isSound = isEnd(from) && isEnd(to) && from < to && isWordOrNone(low) && isWordOrNone(high);
    return isSound ? { from, to, low, high } : null;
  },
  readChoice(body, { from, to }) {
    const value = body?.value;
    return Number.isSafeInteger(value) && value >= from && value <= to ? { value } : null;
  },
  readTotals(totals, ask) {
    const isCount = (/** @type {any} */ value) => Number.isSafeInteger(value) && value >= 0;
    const isSound = Array.isArray(totals) && totals.length === valuesOf(ask).length && totals.every(isCount);
    return isSound ? totals : null;
  },
  count(choices, ask) {
    const totals = valuesOf(ask).map(() => 0);
    for (const { value } of choices) totals[value - ask.from] += 1;
    return totals;
  },
  inWords: ({ value }) => `${value}`,
  isRight: () => false,
  form(i18n, changed) {
    const number = (/** @type {string} */ key, /** @type {number[]} */ values) =>
      field(
        i18n.say(key),
        element("select", { change: changed }, ...values.map((value) => element("option", {}, `${value}`))),
      );
    const line = (/** @type {string} */ key) => {
      const name = element("input", { autocomplete: "off", dir: "auto" });
      return field(i18n.say(key), name, limited(i18n, name, LONGEST_LINE).counter);
    };
    const parts = {
      from: number("scale.from", [0, 1]),
      to: number("scale.to", [3, 4, 5, 6, 7, 10]),
      low: line("scale.low"),
      high: line("scale.high"),
    };
    const input = (/** @type {keyof typeof parts} */ name) =>
      /** @type {HTMLInputElement} */ (parts[name].querySelector("select, input"));
    return {
      root: element("div", { class: "ask ends" }, ...Object.values(parts)),
      read: () => ({
        ask: {
          from: Number(input("from").value),
          to: Number(input("to").value),
          low: input("low").value.trim(),
          high: input("high").value.trim(),
        },
        right: [],
      }),
      show(ask) {
        for (const name of /** @type {(keyof Ask)[]} */ (["from", "to", "low", "high"])) {
          input(name).value = `${ask?.[name] ?? scale.empty[name]}`;
        }
      },
    };
  },
  ballot(_, ask, { send }) {
    const buttons = valuesOf(ask).map((value) =>
      element(
        "button",
        { type: "button", class: "step", "aria-pressed": "false", click: () => send({ value }) },
        `${value}`,
      ),
    );
    const steps = element("div", { class: "steps" }, ...buttons);
    const { length } = buttons;
    steps.style.setProperty("--steps", `${length > MOST_IN_ROW ? Math.ceil(length / 2) : length}`);
    return {
      root: element("div", { class: "ask" }, steps, ends(ask)),
      update(chosen) {
        for (const [place, button] of buttons.entries()) {
          button.setAttribute("aria-pressed", `${chosen?.value === ask.from + place}`);
        }
      },
    };
  },
  chart(i18n, ask) {
    const values = valuesOf(ask);
    const { root, update } = bars(i18n, values.map(String), { isLettered: false });
    const mean = element("p", { class: "mean" });
    const number = new Intl.NumberFormat(i18n.language, { maximumFractionDigits: 1 });
    return {
      root: element("div", { class: "ask" }, root, ends(ask), mean),
      update(tally, { mine } = {}) {
        update(tally && tally.totals, tally?.answers, { mine: mine ? [mine.value - ask.from] : [] });
        const counts = /** @type {number[]} */ (tally?.totals ?? []);
        const count = counts.reduce((one, other) => one + other, 0);
        const sum = counts.reduce((sum, count, place) => sum + count * values[place], 0);
        mean.hidden = count === 0;
        mean.textContent = count === 0 ? "" : i18n.say("scale.mean", { mean: number.format(sum / count) });
      },
    };
  },
};

/** The names of a scale's ends. @param {Ask} ask */
function ends({ from, to, low, high }) {
  const end = (/** @type {number} */ value, /** @type {string} */ name) =>
    element("span", { dir: "auto" }, name ? `${value}: ${name}` : "");
  return element("p", { class: "soft ends-named", hidden: !low && !high }, end(from, low), end(to, high));
}
