/** What kinds with a list of choices have in common. */

import { FEWEST_OPTIONS, isLine, LONGEST_LINE, MOST_OPTIONS } from "../bodies.js";
import { element, icon, iconButton } from "../../shared/element.js";
import { limited } from "../../shared/limit.js";

/** @typedef {import("./kind.js").I18n} I18n */
/** @typedef {{options: string[]}} Ask */

/** @type {Ask} */
export const EMPTY = { options: ["", ""] };

/** Ready-made choices, as keys of the words. */
const READY = [
  ["poll.yes", "poll.no"],
  ["poll.yes", "poll.no", "poll.unsure"],
];

/** @param {any} body @returns {Ask | null} */
export function readOptions(body) {
  const options = body?.options;
  const isSound =
    Array.isArray(options) &&
    options.length >= FEWEST_OPTIONS &&
    options.length <= MOST_OPTIONS &&
    options.every((option) => isLine(option));
  return isSound ? { options } : null;
}

/** Whether a value is a list of different options. @param {any} list @param {Ask} ask @returns {list is number[]} */
export function areOptions(list, { options }) {
  return (
    Array.isArray(list) &&
    new Set(list).size === list.length &&
    list.every((option) => isOption(option, options.length))
  );
}

/** @param {unknown} value @param {number} count */
export function isOption(value, count) {
  return Number.isSafeInteger(value) && Number(value) >= 0 && Number(value) < count;
}

/** @param {any} totals @param {Ask} ask @returns {number[] | null} */
export function readCounts(totals, { options }) {
  const isCount = (/** @type {unknown} */ value) => Number.isSafeInteger(value) && Number(value) >= 0;
  return Array.isArray(totals) && totals.length === options.length && totals.every(isCount) ? totals : null;
}

/** @param {number} option from 0 */
export function letterOf(option) {
  return String.fromCharCode("A".charCodeAt(0) + option);
}

/** The letter beside an option. @param {number} option */
export function letter(option) {
  return element("span", { class: "option-letter", "aria-hidden": "true" }, letterOf(option));
}

/**
 * A button for each option, as a group.
 *
 * @param {Ask} ask
 * @param {(option: number) => void} press
 */
export function optionButtons({ options }, press) {
  const root = element(
    "div",
    { class: "options" },
    ...options.map((text, option) =>
      element(
        "button",
        { type: "button", class: "option", "aria-pressed": "false", click: () => press(option) },
        letter(option),
        element("span", { class: "label", dir: "auto" }, text),
        icon("check-circle"),
      ),
    ),
  );
  return {
    root,
    /** @param {readonly number[]} pressed */
    update(pressed) {
      for (const [option, button] of [...root.children].entries()) {
        button.setAttribute("aria-pressed", `${pressed.includes(option)}`);
      }
    },
  };
}

/**
 * The host's list of choices.
 *
 * @param {I18n} i18n
 * @param {() => void} changed
 * @param {{rights?: "none" | "one" | "several", isReady?: boolean}} [how] `rights`: how many choices can be right;
 *   `isReady`: whether ready-made choices are offered
 * @returns {import("./kind.js").AskForm}
 */
export function optionForm(i18n, changed, { rights = "none", isReady = false } = {}) {
  const list = element("div", { class: "options" });
  const add = element(
    "button",
    { type: "button", class: "quiet", click: () => addOption("", false).focus() },
    icon("plus"),
    i18n.say("poll.addOption"),
  );
  const rows = () => /** @type {HTMLElement[]} */ ([...list.children]);
  const input = (/** @type {HTMLElement} */ row) =>
    /** @type {HTMLInputElement} */ (row.querySelector("input"));
  const isMarked = (/** @type {HTMLElement} */ row) =>
    row.querySelector(".right-mark")?.getAttribute("aria-pressed") === "true";
  const mark = (/** @type {HTMLElement} */ row, /** @type {boolean} */ isRight) =>
    row.querySelector(".right-mark")?.setAttribute("aria-pressed", `${isRight}`);

  const label = () => {
    for (const [option, row] of rows().entries()) {
      const letter = letterOf(option);
      const name = i18n.say("poll.option", { letter });
      row.querySelector(".option-letter")?.replaceChildren(letter);
      input(row).setAttribute("aria-label", name);
      input(row).setAttribute("placeholder", name);
      for (const [part, words] of [
        [".remove", i18n.say("poll.removeOption", { letter })],
        [".right-mark", i18n.say("poll.isRight", { letter })],
      ]) {
        const button = row.querySelector(part);
        button?.setAttribute("aria-label", words);
        button?.setAttribute("title", words);
      }
      row.querySelector(".remove")?.toggleAttribute("hidden", list.childElementCount <= FEWEST_OPTIONS);
    }
    add.hidden = list.childElementCount >= MOST_OPTIONS;
  };
  const addOption = (/** @type {string} */ text, /** @type {boolean} */ isRight) => {
    const field = element("input", { required: true, autocomplete: "off", dir: "auto" });
    const { counter, check } = limited(i18n, field, LONGEST_LINE);
    field.value = text;
    check();
    const remove = () => {
      row.remove();
      label();
      changed();
      rows().at(-1)?.querySelector("input")?.focus();
    };
    const press = () => {
      const now = !isMarked(row);
      if (rights === "one") for (const other of rows()) mark(other, false);
      mark(row, now);
      changed();
    };
    const row = element(
      "div",
      { class: "row" },
      element("span", { class: "option-letter", "aria-hidden": "true" }),
      element("div", { class: "field grow" }, field, counter),
      ...(rights === "none"
        ? []
        : [iconButton("check-circle", "", { class: "quiet square right-mark", "aria-pressed": `${isRight}`, click: press })]),
      iconButton("trash", "", { class: "quiet square remove", click: remove }),
    );
    list.append(row);
    label();
    return field;
  };
  const show = (/** @type {readonly string[]} */ given, /** @type {readonly number[]} */ right) => {
    list.replaceChildren();
    const texts = [...given, ...EMPTY.options].slice(0, Math.max(given.length, FEWEST_OPTIONS));
    for (const [option, text] of texts.entries()) addOption(text, right.includes(option));
  };
  const ready = element(
    "div",
    { class: "row ready", role: "group", "aria-label": i18n.say("poll.ready") },
    ...READY.map((keys) => {
      const texts = keys.map((key) => i18n.say(key));
      const click = () => {
        show(texts, []);
        changed();
      };
      return element("button", { type: "button", click }, texts.join(" / "));
    }),
  );
  const root = element(
    "div",
    { class: "ask" },
    ...(isReady ? [ready] : []),
    list,
    element("div", { class: "row" }, add),
    ...(rights === "none" ? [] : [element("small", {}, i18n.say("poll.rightHint"))]),
  );
  return {
    root,
    read() {
      const right = rows().flatMap((row, option) => (isMarked(row) ? [option] : []));
      return { ask: { options: rows().map((row) => input(row).value.trim()) }, right };
    },
    // A draft may be of another kind, or of another version of the page.
    show: (ask, right) => show(Array.isArray(ask?.options) ? ask.options.slice(0, MOST_OPTIONS).map(String) : [], right),
  };
}
