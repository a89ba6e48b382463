/** Numbers, sizes and times as people read them. */

const UNITS = ["B", "kB", "MB", "GB", "TB"];
/** @type {[number, string][]} */
const SPANS = [
  [86_400, "day"],
  [3_600, "hour"],
  [60, "minute"],
  [1, "second"],
];

export class Format {
  /** @param {string} language */
  constructor(language) {
    this.language = language;
    this.#whole = new Intl.NumberFormat(language, { maximumFractionDigits: 0 });
    this.#tenths = new Intl.NumberFormat(language, { maximumFractionDigits: 1 });
    this.#hundredths = new Intl.NumberFormat(language, { maximumFractionDigits: 2 });
    this.#short = new Intl.NumberFormat(language, { maximumSignificantDigits: 3 });
    this.#clock = new Intl.DateTimeFormat(language, { timeStyle: "medium" });
    this.#hour = new Intl.DateTimeFormat(language, { timeStyle: "short", hourCycle: "h23" });
    this.#date = new Intl.DateTimeFormat(language, { dateStyle: "short", timeStyle: "medium" });
  }

  #whole;
  #tenths;
  #hundredths;
  #short;
  #clock;
  #hour;
  #date;

  /** @param {number} value */
  number(value) {
    // Of 0.999, a rate that was measured over a second and a millisecond, nobody needs three digits.
    const format = value < 10 ? this.#hundredths : value < 100 ? this.#tenths : this.#whole;
    return format.format(value);
  }

  /** @param {number} value */
  count(value) {
    return this.#whole.format(value);
  }

  /** @param {number} value */
  bytes(value) {
    let unit = 0;
    while (value >= 1000 && unit < UNITS.length - 1) {
      value /= 1000;
      unit += 1;
    }
    return `${this.#short.format(value)} ${UNITS[unit]}`;
  }

  /** Seconds, in milliseconds where they are few; null is a dash. @param {number | null} value */
  latency(value) {
    if (value === null) return "–";
    return value < 1 ? `${this.#short.format(value * 1000)} ms` : `${this.#short.format(value)} s`;
  }

  /** How long, in the largest unit that fits. @param {number} seconds */
  span(seconds) {
    const whole = Math.max(0, Math.floor(seconds));
    const [size, unit] = SPANS.find(([size]) => whole >= size) ?? [1, "second"];
    return new Intl.NumberFormat(this.language, {
      style: "unit",
      unit,
      unitDisplay: "short",
    }).format(Math.floor(whole / size));
  }

  /** The time of day. @param {number} at Unix time */
  clock(at) {
    return this.#clock.format(new Date(at * 1000));
  }

  /** Hour and minute, short enough for an axis. @param {number} at Unix time */
  hour(at) {
    return this.#hour.format(new Date(at * 1000));
  }

  /** Day and time. @param {number} at Unix time */
  moment(at) {
    return this.#date.format(new Date(at * 1000));
  }
}
