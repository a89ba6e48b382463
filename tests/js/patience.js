/** A clock that the test turns: waits are collected, and end when the test says so. */
export class Patience {
  random = () => 0.5;
  /** @type {{milliseconds: number, resolve: () => void}[]} */
  waits = [];
  #leaving = new AbortController();

  get signal() {
    return this.#leaving.signal;
  }

  wait = (milliseconds, signal) =>
    new Promise((resolve, reject) => {
      signal.throwIfAborted();
      this.waits.push({ milliseconds, resolve });
      signal.addEventListener("abort", () => reject(signal.reason));
      this.#waited?.();
    });

  #waited = null;

  /** Resolves with the milliseconds of the next wait, which goes on. */
  async next() {
    if (this.waits.length === 0) await new Promise((resolve) => (this.#waited = resolve));
    return this.waits[0].milliseconds;
  }

  /** Let the oldest wait be over. */
  async pass() {
    await this.next();
    this.waits.shift().resolve();
  }

  leave() {
    this.#leaving.abort();
  }
}
