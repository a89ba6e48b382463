/** @typedef {import("./browser.js").Surroundings} Surroundings */

/** Milliseconds between two pulses, normally one second apart, that mean that the device has slept. */
const SLEPT = 2_500;

/**
 * Notices that the device or the page has woken: the network is back, the page becomes visible, or time
 * has passed in which nothing ran. No event reports the last: a notebook that is opened again shows the same
 * page as before.
 */
export class Wake {
  /** @type {Set<() => void>} */
  #listeners = new Set();
  #pulsed;

  /**
   * @param {Pick<Surroundings, "onWake" | "onPulse" | "elapsed">} surroundings
   * @param {AbortSignal} signal ends it
   */
  constructor({ onWake, onPulse, elapsed }, signal) {
    this.elapsed = elapsed;
    this.#pulsed = elapsed();
    onWake(() => this.#tell(), signal);
    onPulse((isSeen) => this.#pulse(isSeen), signal);
  }

  /** @type {Surroundings["onWake"]} */
  on = (listener, signal) => {
    if (signal.aborted) return;
    this.#listeners.add(listener);
    signal.addEventListener("abort", () => this.#listeners.delete(listener), { once: true });
  };

  /** @param {boolean} isSeen the timers of hidden pages are slowed down on purpose */
  #pulse(isSeen) {
    const now = this.elapsed();
    const hasSlept = now - this.#pulsed > SLEPT;
    this.#pulsed = now;
    if (hasSlept && isSeen) this.#tell();
  }

  #tell() {
    this.#pulsed = this.elapsed();
    for (const listener of [...this.#listeners]) listener();
  }
}
