import { FEWEST_OPTIONS, LONGEST_LINE, MOST_OPTIONS } from "../room/bodies.js";
import { letterOf } from "./chart.js";
import { element, field, icon, iconButton } from "./element.js";

/** @typedef {import("../i18n.js").I18n} I18n */

/** Choices that need no typing, as keys of the words. */
const READY = [
  ["poll.yes", "poll.no"],
  ["poll.yes", "poll.no", "poll.unsure"],
];

/**
 * A form that makes a poll.
 *
 * @param {I18n} i18n
 * @param {(question: string, options: string[]) => void} start
 */
export function pollForm(i18n, start) {
  const question = element("input", {
    required: true,
    maxlength: `${LONGEST_LINE}`,
    autocomplete: "off",
  });
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
      row.querySelector(".letter")?.replaceChildren(letter);
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
    const input = element("input", {
      required: true,
      maxlength: `${LONGEST_LINE}`,
      autocomplete: "off",
    });
    input.value = text;
    const remove = () => {
      row.remove();
      label();
      inputs().at(-1)?.focus();
    };
    const row = element(
      "div",
      { class: "row" },
      element("span", { class: "letter", "aria-hidden": "true" }),
      input,
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
  const submit = (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    start(question.value.trim(), inputs().map(({ value }) => value.trim()));
    question.value = "";
    fill(["", ""]);
  };
  fill(["", ""]);
  return element(
    "form",
    { class: "poll-form", submit },
    field(i18n.say("poll.question"), question),
    element(
      "div",
      { class: "row wrap ready", role: "group", "aria-label": i18n.say("poll.ready") },
      ...READY.map((keys) => {
        const texts = keys.map((key) => i18n.say(key));
        const click = () => fill(texts);
        return element("button", { type: "button", click }, texts.join(" / "));
      }),
    ),
    list,
    element("div", { class: "row" }, add),
    element("button", { class: "primary" }, icon("chart-bar-horizontal"), i18n.say("poll.start")),
  );
}
