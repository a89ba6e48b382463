/** @typedef {import("./types.js").Message} Message */

/** The most early messages that are held; others are read from the history later. */
const LARGEST = 1_000;

/** Puts one stream's guaranteed messages in the order of seq, each once. Pure. */
export class Sequence {
  /** @type {Map<number, Message>} */
  #early = new Map();
  #position;

  /** @param {number} position the seq after which messages are wanted */
  constructor(position) {
    this.#position = position;
  }

  /** Everything up to this seq has been given out. */
  get position() {
    return this.#position;
  }

  get hasHole() {
    return this.#early.size > 0;
  }

  /** @param {Message} message a guaranteed one @returns {Message[]} those that can be given out now */
  take(message) {
    const seq = Number(message.seq);
    if (seq <= this.#position) return [];
    if (seq > this.#position + 1) {
      if (this.#early.size < LARGEST) this.#early.set(seq, message);
      return [];
    }
    this.#position = seq;
    return [message, ...this.#next()];
  }

  /**
   * Nothing more will come for us up to this seq.
   *
   * @param {number} seq
   * @returns {Message[]} what can be given out now
   */
  settle(seq) {
    /** @type {Message[]} */
    const given = [];
    for (const early of [...this.#early.keys()].sort((a, b) => a - b)) {
      if (early > seq) break;
      given.push(/** @type {Message} */ (this.#early.get(early)));
      this.#early.delete(early);
    }
    this.#position = Math.max(this.#position, seq);
    return [...given, ...this.#next()];
  }

  #next() {
    /** @type {Message[]} */
    const given = [];
    for (let next; (next = this.#early.get(this.#position + 1));) {
      this.#position += 1;
      this.#early.delete(this.#position);
      given.push(next);
    }
    return given;
  }
}
