/** The parts of the Web Locks API that the library uses: exclusive locks, waited for or not. */
export class Locks {
  #held = new Map();

  async request(name, ...rest) {
    const run = rest.pop();
    const [{ ifAvailable = false } = {}] = rest;
    while (this.#held.has(name)) {
      if (ifAvailable) return run(null);
      await this.#held.get(name);
    }
    const running = (async () => run({ name }))();
    this.#held.set(
      name,
      running.finally(() => this.#held.delete(name)),
    );
    return running;
  }
}
