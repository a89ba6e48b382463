import { readMessage } from "./message.js";

/** @typedef {import("./live.js").Live} Live */
/** @typedef {import("./types.js").Message} Message */

/**
 * Somebody who listens to a channel. `position`: the seq up to which it has everything, null if it does
 * not care. `opened`: from here on everything arrives; again after every break.
 * @typedef {object} Listener
 * @property {number | null} position
 * @property {(message: Message) => void} receive
 * @property {() => void} opened
 */

/** One room's topic for one audience: one subscription on the line, whoever listens. */
export class Channel {
  /** @type {Set<Listener>} */
  #listeners = new Set();

  /** @param {Live} live @param {string} destination */
  constructor(live, destination) {
    this.live = live;
    this.destination = destination;
    this.id = destination.replace(/^.*\//, "");
  }

  /** @param {Listener} listener @returns {boolean} whether it is the first one: then it resumes */
  join(listener) {
    this.#listeners.add(listener);
    if (this.#listeners.size > 1) return false;
    this.live.add(this);
    return true;
  }

  /** @param {Listener} listener */
  leave(listener) {
    if (this.#listeners.delete(listener) && this.#listeners.size === 0) this.live.remove(this);
  }

  /** @returns {Record<string, string>} */
  headers() {
    const positions = [...this.#listeners].flatMap(({ position }) => position ?? []);
    return positions.length === 0 ? {} : { "resume-after": `${Math.min(...positions)}` };
  }

  /** @param {{body: string}} frame */
  received({ body }) {
    const message = readMessage(body);
    if (message) for (const listener of [...this.#listeners]) listener.receive(message);
  }

  opened() {
    for (const listener of [...this.#listeners]) listener.opened();
  }
}
