import { Problem } from "../../interact/problem.js";
import { table } from "../../admin/view/rows.js";
import { bdi, element, field } from "../../shared/element.js";
import { LARGEST_LIST, textOf } from "../../shared/file-text.js";
import { switchOff } from "../../shared/off.js";
import { portions } from "../api.js";
import { rolesInWords } from "./roles.js";

/** @typedef {import("../api.js").Entry} Entry */
/** @typedef {import("../main.js").Context} Context */

/**
 * New accounts from a list: first what each line would do, then they are made.
 *
 * @param {Context} context
 * @param {{made: (slips: import("../api.js").Slip[]) => void}} listener
 */
export function newAccounts({ api, i18n }, { made }) {
  /** @type {Entry[]} */
  let entries = [];
  /** Who has their account by now, and its password. @type {Set<string>} */
  const done = new Set();
  /** Users of a call whose answer was lost: they may have been made, with these passwords. @type {Set<string>} */
  const unsure = new Set();

  const list = element("textarea", {
    dir: "auto",
    rows: "6",
    // A browser that restores fields would keep passwords.
    autocomplete: "off",
    spellcheck: "false",
    autocapitalize: "none",
    placeholder: i18n.say("new.example"),
    input: () => forget(),
  });
  const file = element("input", { type: "file", dir: "auto", accept: ".csv,.tsv,.txt,text/csv,text/plain" });
  const problem = element("p", { role: "alert", class: "problem" });
  const check = element("button", { class: "primary" }, i18n.say("new.check"));
  const form = element(
    "form",
    { class: "card", submit: (/** @type {SubmitEvent} */ event) => void look(event) },
    field(i18n.say("new.list"), list, i18n.say("new.hint")),
    field(i18n.say("new.file"), file),
    problem,
    element("div", { class: "row end" }, check),
  );

  const summary = element("p", { role: "status" });
  const replace = element("input", { type: "checkbox", change: () => count() });
  const replaceWords = element("span", {});
  const replaceLabel = element("label", { class: "choice" }, replace, replaceWords);
  const outcome = element("p", { role: "status" });
  const make = element("button", { type: "button", class: "primary", click: () => void makeAll() });
  const grid = table({
    caption: i18n.say("new.checked"),
    empty: i18n.say("new.empty"),
    key: (/** @type {Entry} */ { line }) => `${line}`,
    columns: [
      { label: i18n.say("entry.line"), kind: "number", cell: ({ line }) => [`${line}`] },
      {
        label: i18n.say("entry.user"),
        cell: ({ user, written }) => [element("strong", {}, element("bdi", {}, user ?? (written || "…")))],
      },
      { label: i18n.say("entry.name"), cell: ({ name }) => [element("bdi", {}, name ?? "–")] },
      { label: i18n.say("entry.roles"), cell: ({ roles }) => [rolesInWords(i18n, roles)] },
      {
        label: i18n.say("entry.password"),
        cell: ({ user, generated }) => [
          user ? i18n.say(generated ? "entry.generated" : "entry.given") : "–",
        ],
      },
      {
        label: i18n.say("entry.state"),
        cell: ({ state, why }) => [
          element("span", { class: "state", "data-state": MARKS[state] }, i18n.say(`state.${state}`)),
          ...(why ? [" ", element("small", {}, bdi(why))] : []),
        ],
      },
    ],
  });
  const preview = element(
    "div",
    { class: "preview", hidden: true },
    element("h3", {}, i18n.say("new.checked")),
    summary,
    grid.frame,
    replaceLabel,
    outcome,
    element("div", { class: "row end" }, make),
  );

  file.addEventListener("change", async () => {
    const [chosen] = file.files ?? [];
    if (!chosen) return;
    problem.textContent =
      chosen.size > LARGEST_LIST ? i18n.say("new.tooLarge", { most: i18n.number(LARGEST_LIST) }) : "";
    if (chosen.size > LARGEST_LIST) return;
    list.value = textOf(await chosen.arrayBuffer());
    forget();
    await look();
  });

  /** What was checked is not what stands there any more. */
  const forget = () => {
    preview.hidden = true;
    entries = [];
  };

  /** @param {SubmitEvent} [event] */
  const look = async (event) => {
    event?.preventDefault();
    problem.textContent = outcome.textContent = "";
    switchOff(check, true);
    try {
      entries = await api.check(list.value);
      done.clear();
      unsure.clear();
      replace.checked = false;
      show();
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      forget();
      const noHead = error.code === "invalid_request" && error.detail.includes("first line must be");
      problem.textContent = noHead ? i18n.say("new.noHead") : i18n.explain(error);
    } finally {
      switchOff(check, false);
    }
  };

  const show = () => {
    const numbers = { new: 0, exists: 0, twice: 0, wrong: 0 };
    for (const { state } of entries) numbers[state] += 1;
    summary.textContent = i18n.say("new.summary", numbers);
    replaceLabel.hidden = numbers.exists === 0;
    replaceWords.textContent = i18n.say("new.replace", { count: numbers.exists });
    // What is wrong is looked for, and a list may be long.
    const order = ["wrong", "twice", "exists", "new"];
    grid.show(entries.toSorted((a, b) => order.indexOf(a.state) - order.indexOf(b.state) || a.line - b.line));
    preview.hidden = false;
    count();
    preview.scrollIntoView({ block: "nearest" });
  };

  /** Those who would be made now. */
  const wanted = () =>
    entries.filter(
      ({ state, user }) =>
        user && !done.has(user) && (state === "new" || (state === "exists" && replace.checked)),
    );

  const count = () => {
    const { length } = wanted();
    make.textContent = i18n.say("new.make", { count: length });
    make.hidden = length === 0;
  };

  const makeAll = async () => {
    const all = wanted();
    const left = [];
    let ready = 0;
    for (const button of [make, check]) switchOff(button, true);
    replace.disabled = true;
    try {
      for (const portion of portions(all)) {
        outcome.textContent = i18n.say("new.making", { done: ready, count: all.length });
        const users = await makeOne(portion);
        made(portion.filter(({ user }) => users.includes(user ?? "")).map(slipOf));
        left.push(...portion.filter(({ user }) => !users.includes(user ?? "")));
        ready += portion.length;
      }
      outcome.textContent = i18n.say("new.made", { count: all.length - left.length });
      if (left.length) {
        const users = left.map(({ user }) => user).join(", ");
        outcome.textContent += ` ${i18n.say("new.left", { users })}`;
      }
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      const why = i18n.explain(error);
      outcome.textContent = i18n.say("new.stopped", { done: ready, count: all.length, why });
    } finally {
      for (const button of [make, check]) switchOff(button, false);
      replace.disabled = false;
      count();
    }
  };

  /**
   * Make a portion; the users whose accounts have the passwords of the list now.
   *
   * @param {Entry[]} portion
   */
  const makeOne = async (portion) => {
    const users = portion.map(({ user }) => user ?? "");
    // Who was made by a call whose answer was lost exists, with this list's password or, for all that
    // is known, another one: made again, they have it.
    const again = replace.checked || users.some((user) => unsure.has(user));
    for (const user of users) unsure.add(user);
    const found = await api.make(portion, again);
    for (const user of users) {
      unsure.delete(user);
      done.add(user);
    }
    return found;
  };

  const section = element(
    "section",
    { "aria-labelledby": "new-title" },
    element("h2", { id: "new-title" }, i18n.say("new.title")),
    form,
    preview,
  );
  /** Forget the passwords that were given or made. */
  const drop = () => {
    list.value = file.value = "";
    problem.textContent = outcome.textContent = "";
    forget();
    grid.show([]);
  };
  return { section, drop };
}

/** How a state is coloured: `dashboard.css`. @type {Record<string, string>} */
const MARKS = { new: "available", exists: "trial", twice: "trial", wrong: "out" };

/** @param {Entry} entry */
function slipOf({ user, name, password }) {
  return { user: user ?? "", name: name ?? null, password: password ?? "" };
}
