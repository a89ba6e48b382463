import { isolated } from "./bidi.js";
import { WORDS } from "./words.js";

/** @typedef {keyof typeof WORDS} Language */

/** The gateway's detail of `kept_out`, as gateway/auth/revocations.py writes it. */
const KEPT_OUT = /^an admin keeps you out until (\S+)(?:: (.*))?$/s;

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
   * The words of a key. A value that is written from right to left keeps its direction.
   *
   * @param {string} key
   * @param {Record<string, string | number>} values
   */
  say(key, values = {}) {
    return this.words[key].replace(/\{(\w+)\}/g, (_, name) => isolated(`${values[name]}`));
  }

  /**
   * The explanation of a failure: by its stable code, else in the gateway's words.
   *
   * @param {{code: string, detail: string}} problem
   */
  explain({ code, detail }) {
    const key = `problem.${code}`;
    if (code === "kept_out") return this.#explainKeptOut(detail);
    return key in this.words ? this.say(key, { detail }) : detail || code;
  }

  /** Until when, and the admin's own words. @param {string} detail */
  #explainKeptOut(detail) {
    const [, until, reason] = KEPT_OUT.exec(detail) ?? [];
    const moment = new Date(until ?? Number.NaN);
    if (Number.isNaN(moment.getTime())) return this.say("problem.kept_out");
    const words = this.say("problem.kept_out.until", { until: this.time(moment, new Date()) });
    return reason ? `${words}: ${isolated(reason)}` : words;
  }

  /** @param {number} value */
  number(value) {
    return new Intl.NumberFormat(this.language).format(value);
  }

  /** A time that lasts, in hours, minutes and seconds as far as there are some. @param {number} seconds whole ones */
  duration(seconds) {
    const units = { hour: Math.floor(seconds / 3600), minute: Math.floor(seconds / 60) % 60, second: seconds % 60 };
    const parts = Object.entries(units).filter(([unit, count]) => count > 0 || (unit === "second" && seconds === 0));
    return parts.map(([unit, count]) => this.#inUnits(unit, count)).join(" ");
  }

  /** @param {string} unit @param {number} count */
  #inUnits(unit, count) {
    return new Intl.NumberFormat(this.language, { style: "unit", unit, unitDisplay: "long" }).format(count);
  }

  /** The time, for another day than today with the date. @param {Date} moment @param {Date} now */
  time(moment, now) {
    const today = moment.toDateString() === now.toDateString();
    const style = today ? {} : /** @type {const} */ ({ dateStyle: "short" });
    return new Intl.DateTimeFormat(this.language, { ...style, timeStyle: "short" }).format(moment);
  }
}
