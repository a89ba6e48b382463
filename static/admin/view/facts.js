import { Problem } from "../../interact/problem.js";
import { element } from "../../shared/element.js";

/** @typedef {import("../main.js").Context} Context */
/** The word's key or a name, then what is shown. @typedef {[string, ...(Node | string)[]]} Row */

/**
 * The head of a page about one thing: the way back, its title, and what follows.
 *
 * @param {Context["i18n"]} i18n
 * @param {string} name
 * @param {...Node} rest
 */
export function head(i18n, name, ...rest) {
  const title = element("h2", { tabindex: "-1" }, name);
  const back = element("p", {}, element("a", { href: "#" }, i18n.say("subject.back")));
  return { section: element("section", {}, back, title, ...rest), focus: () => title.focus() };
}

/** The place of what is wrong on such a page. */
export function problemLine() {
  return element("p", { role: "alert", class: "problem" });
}

/** The divs of a list of facts. @param {Context["i18n"]} i18n @param {Row[]} rows */
export function factRows(i18n, rows) {
  return rows.map(([word, ...what]) =>
    element("div", {}, element("dt", {}, i18n.words[word] ?? word), element("dd", {}, ...what)),
  );
}

/**
 * A function that asks, and tells in `problem` what goes wrong. It may be called with each message of the live
 * stream: a slow answer is waited for.
 *
 * @param {Context["i18n"]} i18n
 * @param {HTMLElement} problem
 * @param {() => Promise<void>} ask
 * @param {() => void} failed
 */
export function asking(i18n, problem, ask, failed = () => {}) {
  let isAsking = false;
  return async () => {
    if (isAsking) return;
    isAsking = true;
    try {
      await ask();
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      failed();
      problem.textContent = i18n.explain(error);
    } finally {
      isAsking = false;
    }
  };
}
