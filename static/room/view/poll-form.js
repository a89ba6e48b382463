import { LONGEST_LINE } from "../bodies.js";
import { KINDS, USUAL } from "../kinds/table.js";
import { commitsOnly } from "../../shared/commit.js";
import { element, field, icon } from "../../shared/element.js";
import { limited } from "../../shared/limit.js";

/** @typedef {import("../../shared/i18n.js").I18n} I18n */
/** @typedef {import("../sets.js").Prepared} Prepared */

/** The times that a host can set, in seconds. */
const TIMES = [30, 60, 120, 300, 600];
/** Characters of a reason. */
const LONGEST_REASON = 500;

/**
 * A form that makes a poll.
 *
 * @param {I18n} i18n
 * @param {import("../drafts.js").Draft} draft
 * @param {object} acts
 * @param {(question: Prepared, unkept: () => void) => void} acts.start calls `unkept` if it will not be sent
 * @param {(question: Prepared) => boolean} acts.keep keeps it for later; false if there is no room for it
 */
export function pollForm(i18n, draft, acts) {
  const line = { autocomplete: "off", dir: "auto" };
  const question = element("input", { ...line, required: true });
  const length = limited(i18n, question, LONGEST_LINE);
  const kinds = element(
    "select",
    { change: () => chooseKind(kinds.value) },
    ...Object.keys(KINDS).map((name) => element("option", { value: name }, i18n.say(`kind.${name}`))),
  );
  const seconds = element(
    "select",
    {},
    element("option", { value: "" }, i18n.say("poll.noTime")),
    ...TIMES.map((time) => element("option", { value: `${time}` }, i18n.duration(time))),
  );
  const explanation = element("textarea", { rows: "2", dir: "auto" });
  const reasonLength = limited(i18n, explanation, LONGEST_REASON);
  const hidden = element("input", { type: "checkbox" });
  const named = element("input", { type: "checkbox" });
  const note = element("p", { class: "problem", role: "alert" });
  const place = element("div");
  const check = (/** @type {HTMLInputElement} */ box, /** @type {string} */ key) =>
    element("label", { class: "check" }, box, element("span", {}, i18n.say(key)));
  const more = element(
    "details",
    {},
    element("summary", {}, i18n.say("poll.more")),
    field(i18n.say("poll.time"), seconds),
    check(hidden, "poll.hideFirst"),
    check(named, "poll.askNamed"),
    field(i18n.say("poll.explanation"), explanation, i18n.say("poll.explanationHint"), reasonLength.counter),
  );
  let kind = USUAL;
  /** @type {import("../kinds/kind.js").AskForm} */
  let ask;

  /** @param {string} name @param {any} given @param {number[]} right */
  const setKind = (name, given, right) => {
    kind = name;
    kinds.value = name;
    ask = KINDS[name].form(i18n, keep);
    ask.show(given, KINDS[name].hasRight ? right : []);
    place.replaceChildren(ask.root);
  };
  const chooseKind = (/** @type {string} */ name) => {
    const before = ask.read();
    setKind(name, before.ask, before.right);
    // What people write themselves is looked at before a wall shows it.
    hidden.checked = KINDS[name].isOpen;
    keep();
  };
  /** @returns {Prepared} */
  const written = () => ({
    ...{ kind, question: question.value.trim(), named: named.checked, hidden: hidden.checked, ...ask.read() },
    ...{ explanation: explanation.value.trim(), seconds: seconds.value ? Number(seconds.value) : null },
  });
  const keep = () => {
    const now = written();
    const texts = [now.question, now.explanation, ...(now.ask.options ?? [])];
    draft.keep(texts.some((text) => text.trim()) || kind !== USUAL ? now : null);
  };
  const show = (/** @type {Prepared} */ now) => {
    question.value = now.question;
    setKind(now.kind, now.ask, now.right);
    explanation.value = now.explanation;
    hidden.checked = now.hidden;
    named.checked = now.named;
    seconds.value = TIMES.includes(Number(now.seconds)) ? `${now.seconds}` : "";
    more.open = Boolean(now.explanation || now.named || now.seconds || now.hidden !== KINDS[now.kind].isOpen);
    note.textContent = "";
    for (const { check } of [length, reasonLength]) check();
    keep();
  };
  const submit = (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    const now = written();
    if (event.submitter === later) {
      if (acts.keep(now)) show(empty());
      else note.textContent = i18n.say("sets.full");
      return;
    }
    show(empty());
    acts.start(now, () => show(now));
  };
  const later = element("button", {}, i18n.say("sets.keep"));
  const root = element(
    "form",
    { class: "poll-form", submit, input: () => keep(), keydown: commitsOnly },
    field(i18n.say("poll.kind"), kinds),
    field(i18n.say("poll.question"), question, length.counter),
    ...[place, more, note],
    element(
      "div",
      { class: "row acts" },
      element("button", { class: "primary" }, icon("chart-bar-horizontal"), i18n.say("poll.start")),
      later,
    ),
  );
  show(readDraft(draft.read()));
  return {
    root,
    /** Work on a prepared question. @param {Prepared} prepared */
    edit(prepared) {
      show(prepared);
      question.focus();
    },
  };
}

/** @returns {Prepared} */
function empty() {
  const ask = KINDS[USUAL].empty;
  return { kind: USUAL, question: "", ask, named: false, right: [], explanation: "", seconds: null, hidden: false };
}

/** A draft, which need not be complete. @param {any} kept @returns {Prepared} an empty one if there is none */
function readDraft(kept) {
  const { kind = USUAL, question, ask, right, explanation = "", seconds = null } = kept ?? {};
  const isText = typeof question === "string" && typeof explanation === "string";
  if (!isText || !Object.hasOwn(KINDS, kind)) return empty();
  return {
    ...{ kind, ask, seconds, named: kept.named === true, hidden: kept.hidden === true },
    question,
    explanation,
    right: Array.isArray(right) ? right : [],
  };
}
