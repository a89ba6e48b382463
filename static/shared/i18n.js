import { WORDS } from "./words.js";

/** @typedef {keyof typeof WORDS} Language */

/** @param {readonly string[]} preferred as in `navigator.languages` @returns {Language} */
export function chooseLanguage(preferred) {
  const wanted = preferred.map((tag) => tag.toLowerCase().split("-")[0]);
  return /** @type {Language | undefined} */ (wanted.find((tag) => tag in WORDS)) ?? "en";
}

/** The page's words and times in one language. */
export class I18n {
  /** @param {Language} language @param {Record<string, string>} own words of one page, besides the common ones */
  constructor(language, own = {}) {
    this.language = language;
    this.words = /** @type {Record<string, string>} */ ({ ...WORDS[language], ...own });
  }

  /**
   * @param {string} key
   * @param {Record<string, string | number>} values
   */
  say(key, values = {}) {
    return this.words[key].replace(/\{(\w+)\}/g, (_, name) => `${values[name]}`);
  }

  /**
   * The explanation of a failure: by its stable code, else in the gateway's words.
   *
   * @param {{code: string, detail: string}} problem
   */
  explain({ code, detail }) {
    return this.words[`problem.${code}`] ?? (detail || code);
  }

  /** The time, for another day than today with the date. @param {Date} moment @param {Date} now */
  time(moment, now) {
    const today = moment.toDateString() === now.toDateString();
    const style = today ? {} : /** @type {const} */ ({ dateStyle: "short" });
    return new Intl.DateTimeFormat(this.language, { ...style, timeStyle: "short" }).format(moment);
  }
}
