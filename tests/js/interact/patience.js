/** A clock under the test's control: waits are collected, and end when the test lets them. */
export class Patience {
  random = () => 0.5;
  /** @type {{kind: string, milliseconds: number, resolve: () => void}[]} */
  waits = [];
  #leaving = new AbortController();
  #waited = null;

  get signal() {
    return this.#leaving.signal;
  }

  wait = (milliseconds, signal) => this.#add("wait", milliseconds, signal);
  nap = (milliseconds, signal) => this.#add("nap", milliseconds, signal);

  /** Resolves with the kind and length of the next wait, which goes on. */
  async next() {
    if (this.waits.length === 0) await new Promise((resolve) => (this.#waited = resolve));
    const [{ kind, milliseconds }] = this.waits;
    return [kind, milliseconds];
  }

  /** End the oldest wait. */
  async pass() {
    await this.next();
    this.waits.shift().resolve();
    await turn();
  }

  /** End the first wait of a kind, which may not have begun yet. */
  async passOne(kind, isMeant = () => true) {
    for (let n = 0; n < 10; n += 1) {
      const found = this.waits.findIndex((one) => one.kind === kind && isMeant(one.milliseconds));
      if (found >= 0) {
        const [one] = this.waits.splice(found, 1);
        one.resolve();
        await turn();
        return one.milliseconds;
      }
      await turn();
    }
    throw new Error(`nobody waits like that: ${JSON.stringify(this.waits)}`);
  }

  leave(reason) {
    this.#leaving.abort(reason);
  }

  #add(kind, milliseconds, signal) {
    return new Promise((resolve, reject) => {
      signal.throwIfAborted();
      const one = { kind, milliseconds, resolve };
      this.waits.push(one);
      signal.addEventListener("abort", () => {
        this.waits = this.waits.filter((other) => other !== one);
        reject(signal.reason);
      });
      this.#waited?.();
    });
  }
}

/** Resolves when everything that is due has happened. */
export const turn = () => new Promise((resolve) => setImmediate(resolve));
