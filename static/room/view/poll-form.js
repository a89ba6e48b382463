import { FEWEST_OPTIONS, LONGEST_LINE, MOST_OPTIONS } from "../bodies.js";
import { letterOf } from "./chart.js";
import { commitsOnly } from "../../shared/commit.js";
import { element, field, icon, iconButton } from "../../shared/element.js";
import { limited } from "../../shared/limit.js";

/** @typedef {import("../../shared/i18n.js").I18n} I18n */
/** @typedef {import("../bodies.js").PollBody} PollBody */

/** @type {PollBody} */
const EMPTY = { question: "", options: ["", ""] };

/** Ready-made choices, as keys of the words. */
const READY = [
  ["poll.yes", "poll.no"],
  ["poll.yes", "poll.no", "poll.unsure"],
];

/**
 * A form that makes a poll.
 *
 * @param {I18n} i18n
 * @param {import("../drafts.js").Draft} draft
 * @param {(poll: PollBody, unkept: () => void) => void} start calls `unkept` if it will not be sent
 */
export function pollForm(i18n, draft, start) {
  const question = element("input", { required: true, dir: "auto", autocomplete: "off" });
  const length = limited(i18n, question, LONGEST_LINE);
  const list = element("div", { class: "options" });
  const add = element(
    "button",
    { type: "button", class: "quiet", click: () => addOption("").focus() },
    icon("plus"),
    i18n.say("poll.addOption"),
  );

  const inputs = () => [...list.querySelectorAll("input")];
  const label = () => {
    for (const [option, row] of [...list.children].entries()) {
      const letter = letterOf(option);
      const name = i18n.say("poll.option", { letter });
      const remove = i18n.say("poll.removeOption", { letter });
      row.querySelector(".option-letter")?.replaceChildren(letter);
      row.querySelector("input")?.setAttribute("aria-label", name);
      row.querySelector("input")?.setAttribute("placeholder", name);
      for (const name of ["aria-label", "title"]) {
        row.querySelector("button")?.setAttribute(name, remove);
      }
      row.querySelector("button")?.toggleAttribute("hidden", list.childElementCount <= FEWEST_OPTIONS);
    }
    add.hidden = list.childElementCount >= MOST_OPTIONS;
  };
  const addOption = (/** @type {string} */ text) => {
    const input = element("input", { required: true, dir: "auto", autocomplete: "off" });
    const { counter, check } = limited(i18n, input, LONGEST_LINE);
    input.value = text;
    check();
    const remove = () => {
      row.remove();
      label();
      keep();
      inputs().at(-1)?.focus();
    };
    const row = element(
      "div",
      { class: "row" },
      element("span", { class: "option-letter", "aria-hidden": "true" }),
      element("div", { class: "field grow" }, input, counter),
      iconButton("trash", "", { click: remove }),
    );
    list.append(row);
    label();
    return input;
  };
  const fill = (/** @type {readonly string[]} */ texts) => {
    list.replaceChildren();
    for (const text of texts) addOption(text);
  };
  const written = () => ({ question: question.value, options: inputs().map(({ value }) => value) });
  const keep = () => {
    const { question, options } = written();
    draft.keep([question, ...options].some((text) => text.trim()) ? { question, options } : null);
  };
  const show = (/** @type {PollBody} */ poll) => {
    question.value = poll.question;
    length.check();
    fill(poll.options);
    keep();
  };
  const submit = (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    const { question, options } = written();
    const trimmed = { question: question.trim(), options: options.map((text) => text.trim()) };
    show(EMPTY);
    start(trimmed, () => show(trimmed));
  };
  show(readDraft(draft.read()) ?? EMPTY);
  return element(
    "form",
    { class: "poll-form", submit, input: keep, keydown: commitsOnly },
    field(i18n.say("poll.question"), question, length.counter),
    element(
      "div",
      { class: "row ready", role: "group", "aria-label": i18n.say("poll.ready") },
      ...READY.map((keys) => {
        const texts = keys.map((key) => i18n.say(key));
        const click = () => show({ question: question.value, options: texts });
        return element("button", { type: "button", click }, texts.join(" / "));
      }),
    ),
    list,
    element("div", { class: "row" }, add),
    element("button", { class: "primary" }, icon("chart-bar-horizontal"), i18n.say("poll.start")),
  );
}

/** @param {any} kept @returns {PollBody | null} */
function readDraft(kept) {
  const { question, options } = kept ?? {};
  const isLine = (/** @type {unknown} */ text) => typeof text === "string";
  const isSound =
    isLine(question) &&
    Array.isArray(options) &&
    options.length >= FEWEST_OPTIONS &&
    options.length <= MOST_OPTIONS &&
    options.every(isLine);
  return isSound ? { question, options } : null;
}
