/** The parts of `Storage` that the library uses. */
export class MemoryStorage {
  #entries = new Map();

  get length() {
    return this.#entries.size;
  }

  keys() {
    return this.#entries.keys();
  }

  key(n) {
    return [...this.#entries.keys()][n] ?? null;
  }

  getItem(key) {
    return this.#entries.get(key) ?? null;
  }

  setItem(key, value) {
    this.#entries.set(key, value);
  }

  removeItem(key) {
    this.#entries.delete(key);
  }
}
