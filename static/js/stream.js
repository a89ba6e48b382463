import { untilDone } from "./retry.js";
import { Timeline } from "./timeline.js";

/** @typedef {import("./api.js").Message} Message */
/** @typedef {import("./api.js").Page} Page */
/** @typedef {import("./retry.js").Patience} Patience */

/** Messages in one call. */
const PAGE = 500;
/** Milliseconds: messages that overtake each other close most holes themselves. */
const HOLE_PATIENCE = 500;

/**
 * @typedef {object} Parts
 * @property {(query: {after: number, limit: number}) => Promise<Page>} history
 * @property {(message: Message, index: number) => void} shown is told of each message once, with its
 *   place
 * @property {(task: Promise<void>) => void} run takes care of what nobody awaits
 * @property {Patience} patience
 */

/**
 * Find where a stream has come to, and begin `recent` messages before.
 *
 * @param {number} recent
 * @param {Parts} parts
 */
export async function openStream(recent, parts) {
  const end = { after: Number.MAX_SAFE_INTEGER, limit: 1 };
  const { head } = await untilDone(() => parts.history(end), parts.patience);
  return new Stream(new Timeline(Math.max(0, head - recent)), parts);
}

/** One room's messages to one audience, kept whole: history, live messages, filled holes. */
export class Stream {
  /** @type {Promise<void> | null} */
  #catchingUp = null;
  #again = false;
  #watching = false;

  /** @param {Timeline} timeline @param {Parts} parts */
  constructor(timeline, { history, shown, run, patience }) {
    this.timeline = timeline;
    this.history = history;
    this.shown = shown;
    this.run = run;
    this.patience = patience;
  }

  /**
   * Take a message from anywhere: live, repeated, too early.
   *
   * @param {Message} message a guaranteed one
   */
  receive(message) {
    this.#add(message);
    if (this.timeline.hasHole && !this.#watching) {
      this.#watching = true;
      this.run(this.#fillHole().finally(() => (this.#watching = false)));
    }
  }

  /** Read what the history has and we have not. Rejects where trying again would not help. */
  catchUp() {
    this.#again = true;
    this.#catchingUp ??= this.#readOn().finally(() => (this.#catchingUp = null));
    return this.#catchingUp;
  }

  /** Read messages from before the start. @param {number} count */
  async readEarlier(count) {
    const { start } = this.timeline;
    const after = Math.max(0, start - count);
    await this.#read(after, start);
    this.timeline.extendTo(after);
  }

  async #readOn() {
    while (this.#again) {
      this.#again = false;
      await this.#read(this.timeline.through, Infinity);
    }
  }

  async #fillHole() {
    const { wait, signal } = this.patience;
    await wait(HOLE_PATIENCE, signal);
    if (this.timeline.hasHole) await this.catchUp();
  }

  /** @param {number} after @param {number} until */
  async #read(after, until) {
    /** @type {number | undefined} */
    let next = after;
    while (next !== undefined && next < until) {
      /** @type {{after: number, limit: number}} */
      const query = { after: next, limit: Math.min(PAGE, until - next) };
      /** @type {Page} */
      const page = await untilDone(() => this.history(query), this.patience);
      for (const message of page.messages) this.#add(message);
      this.timeline.settle(page.next ?? page.head);
      if (!page.complete) this.timeline.extendTo(0);
      next = page.next;
    }
  }

  /** @param {Message} message */
  #add(message) {
    const index = this.timeline.add(message);
    if (index !== null) this.shown(message, index);
  }
}
