/** Reads one after the other. Whoever asks while one goes on gets another one after it: the first may have missed why. */
export class Rereading {
  #again = false;
  /** @type {Promise<void> | null} */
  #going = null;

  /** @param {() => Promise<void>} read */
  constructor(read) {
    this.read = read;
  }

  /** Whether a read goes on. */
  get isGoingOn() {
    return this.#going !== null;
  }

  /** Read all that is there from now on. Rejects with the error of a read. */
  ask() {
    this.#again = true;
    this.#going ??= this.#readOn();
    return this.#going;
  }

  async #readOn() {
    try {
      while (this.#again) {
        this.#again = false;
        await this.read();
      }
    } finally {
      // Cleared in the same turn as the last check, so that a request of the next turn starts a new read.
      this.#going = null;
    }
  }
}
