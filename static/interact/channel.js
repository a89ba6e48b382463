import { readMessage } from "./message.js";
import { identified, Place } from "./place.js";

/** @typedef {import("./live.js").Live} Live */
/** @typedef {import("./stomp-connection.js").Subscription} Subscription */
/** @typedef {import("./types.js").Message} Message */

/**
 * A listener of a channel. `position`: the seq up to which it has everything, null if it does
 * not care. `opened` is called when everything arrives from now on, also after every break. `catchUp`: ask whether
 * something was missed.
 * @typedef {object} Listener
 * @property {number | null} position
 * @property {(message: Message) => void} receive
 * @property {() => void} opened
 * @property {() => Promise<void>} catchUp
 */

/**
 * One room's topic for one audience: one subscription on the connection, for all its listeners.
 * @implements {Subscription}
 */
export class Channel {
  /** @type {Set<Listener>} */
  #listeners = new Set();
  #resumes = true;
  #isOpened = false;

  /**
   * @param {object} parts
   * @param {Live} parts.live
   * @param {string} parts.destination
   * @param {() => string | null} parts.identity the room's
   * @param {(task: Promise<void>) => void} parts.run reports the errors of a promise that nobody awaits
   */
  constructor({ live, destination, identity, run }) {
    this.live = live;
    this.identity = identity;
    this.destination = destination;
    this.run = run;
    this.place = new Place(live, this);
    this.id = destination.replace(/^.*\//, "");
  }

  /** Whether every message arrives now. */
  get isOpen() {
    return this.#isOpened && !this.place.isMissed && this.live.isOpen;
  }

  /** @param {Listener} listener @returns {boolean} whether it is the first one, from whose position it begins */
  join(listener) {
    this.#listeners.add(listener);
    if (this.#listeners.size > 1) return false;
    this.place.take();
    return true;
  }

  /** @param {Listener} listener */
  leave(listener) {
    if (this.#listeners.delete(listener) && this.#listeners.size === 0) this.place.leave();
  }

  /** Whether a listener has not got this seq yet. @param {number} seq */
  awaits(seq) {
    return this.#positions.some((position) => position < seq);
  }

  async catchUp() {
    if (this.place.isMissed) return;
    await Promise.all([...this.#listeners].map((listener) => listener.catchUp()));
  }

  /** @returns {Record<string, string>} */
  headers() {
    this.#isOpened = false;
    const positions = this.#positions;
    const headers = identified(this.identity());
    if (!this.#resumes || positions.length === 0) return headers;
    return { ...headers, "resume-after": `${Math.min(...positions)}` };
  }

  /** @param {{body: string, headers: {seq?: string}}} frame */
  received(frame) {
    for (const listener of [...this.#listeners]) {
      // A copy for each, so that no listener sees another one's changes.
      const message = readMessage(frame);
      if (message) listener.receive(message);
    }
  }

  opened() {
    this.#isOpened = true;
    if (!this.#resumes) this.run(this.catchUp());
    for (const listener of [...this.#listeners]) listener.opened();
  }

  /** A gateway that passes topics through cannot resume them; then the history has what was missed. */
  refused(/** @type {string} */ reason) {
    if (reason === "invalid_request") this.#resumes = false;
  }

  get #positions() {
    return [...this.#listeners].flatMap(({ position }) => position ?? []);
  }
}
