/** @typedef {import("./api.js").Message} Message */

/**
 * The messages of one stream, each once, in the order of seq. Pure.
 *
 * Everything with `start` < seq ≤ `through` is known; what comes after may have holes.
 */
export class Timeline {
  #start;
  #through;
  /** @type {Message[]} */
  #messages = [];

  /** @param {number} start the seq after which messages are wanted */
  constructor(start) {
    this.#start = start;
    this.#through = start;
  }

  get messages() {
    return /** @type {readonly Message[]} */ (this.#messages);
  }

  get start() {
    return this.#start;
  }

  get through() {
    return this.#through;
  }

  get hasHole() {
    const last = this.#messages.at(-1);
    return last !== undefined && Number(last.seq) > this.#through;
  }

  /**
   * Put a message in its place.
   *
   * @param {Message} message a guaranteed one
   * @returns {number | null} its index, or null if it was known
   */
  add(message) {
    const seq = Number(message.seq);
    let index = this.#messages.length;
    while (index > 0 && Number(this.#messages[index - 1].seq) > seq) index -= 1;
    if (index > 0 && this.#messages[index - 1].seq === seq) return null;
    this.#messages.splice(index, 0, message);
    this.#close(index);
    return index;
  }

  /** The history has told everything up to here that is there for us. @param {number} seq */
  settle(seq) {
    if (seq <= this.#through) return;
    this.#through = seq;
    this.#close(this.#messages.findIndex((message) => Number(message.seq) > seq));
  }

  /** Everything from `start` on is known now. @param {number} start */
  extendTo(start) {
    this.#start = Math.min(this.#start, start);
  }

  /** Move `through` over the messages that follow it without a hole. @param {number} index */
  #close(index) {
    if (index < 0) return;
    while (this.#messages[index]?.seq === this.#through + 1) {
      this.#through += 1;
      index += 1;
    }
  }
}
