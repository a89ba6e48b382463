import { Rereading } from "./rereading.js";
import { untilDone } from "./retry.js";
import { Sequence } from "./sequence.js";

/** @typedef {import("./types.js").Message} Message */
/** @typedef {import("./types.js").Page} Page */
/** @typedef {import("./retry.js").Patience} Patience */

/** Messages in one call. */
const PAGE = 500;
/** Milliseconds: messages that overtake each other close most holes themselves. */
const HOLE_PATIENCE = 500;

/**
 * @typedef {object} Parts
 * @property {(query: {after: number, limit: number}) => Promise<Page>} history
 * @property {(message: Message) => void} give is called with each message once, in the order of seq
 * @property {(gap: {after: number, from: number}) => void} gap is called with a range that is no longer kept
 * @property {(task: Promise<void>) => void} run reports the errors of a promise that nobody awaits
 * @property {Patience} patience
 */

/** Follows one room's messages to one audience from a position on, without missing one. */
export class Follower {
  #reading = new Rereading(() => this.#read());
  #watching = false;
  #sequence;

  /** @param {number} position @param {Parts} parts */
  constructor(position, parts) {
    this.#sequence = new Sequence(position);
    this.parts = parts;
  }

  get position() {
    return this.#sequence.position;
  }

  /** Take a message from the connection: the next one, a repetition, an early one or an instant one. */
  receive(/** @type {Message} */ message) {
    if (message.seq === null) {
      this.parts.give(message);
      return;
    }
    this.#give(this.#sequence.take(message));
    if (this.#sequence.hasHole && !this.#watching) {
      this.#watching = true;
      this.parts.run(this.#fillHole().finally(() => (this.#watching = false)));
    }
  }

  /** Read everything in the history that we do not have yet. Rejects if trying again would not help. */
  catchUp() {
    return this.#reading.ask();
  }

  async #fillHole() {
    const { wait, signal } = this.parts.patience;
    await wait(HOLE_PATIENCE, signal);
    if (this.#sequence.hasHole) await this.catchUp();
  }

  async #read() {
    const { history, gap, patience } = this.parts;
    /** @type {number | undefined} */
    let next = this.position;
    while (next !== undefined) {
      const query = { after: next, limit: PAGE };
      /** @type {Page} */
      const page = await untilDone(() => history(query), patience);
      if (page.from !== undefined && page.from > this.position + 1) {
        gap({ after: this.position, from: page.from });
        this.#give(this.#sequence.settle(page.from - 1));
      }
      for (const message of page.messages) this.#give(this.#sequence.take(message));
      this.#give(this.#sequence.settle(page.next ?? page.head));
      next = page.next;
    }
  }

  /** @param {Message[]} messages */
  #give(messages) {
    for (const message of messages) this.parts.give(message);
  }
}
