import { readMessage } from "./message.js";
import { identified } from "./place.js";
import { isPresence } from "./presence.js";

/** @typedef {import("./stomp-connection.js").Subscription} Subscription */
/** @typedef {import("./types.js").Message} Message */

/** Messages that may be on their way to one page. */
const PREFETCH = "50";
/** The most ids that are remembered to recognise repetitions. */
const REMEMBERED = 2_000;

/**
 * A room's private queue: it serves one page at a time, and keeps what no host has handled.
 * A message is acknowledged when the handler has run; if the handler failed, it comes again with the next
 * connection.
 * @implements {Subscription}
 */
export class Queue {
  /** Handled, or being handled, by id. @type {Map<string, Promise<void>>} */
  #known = new Map();
  /** @type {Promise<void>} */
  #last = Promise.resolve();

  /**
   * @param {object} parts
   * @param {string} parts.destination
   * @param {() => string | null} parts.identity the room's
   * @param {(message: Message) => unknown} parts.handler may be asynchronous; never runs twice at a time
   * @param {() => void} parts.opened
   * @param {(error: unknown) => void} parts.report is called with an error of the handler
   * @param {AbortSignal} parts.signal nothing is handled after it
   */
  constructor({ destination, identity, handler, opened, report, signal }) {
    this.id = `queue.${destination.replace(/^.*\//, "")}`;
    this.destination = destination;
    this.identity = identity;
    this.handler = handler;
    this.opened = opened;
    this.report = report;
    this.signal = signal;
  }

  headers() {
    return { ...identified(this.identity()), ack: "client-individual", "prefetch-count": PREFETCH };
  }

  /** @param {{body: string, headers: {seq?: string}, ack: () => void}} frame */
  received({ body, headers, ack }) {
    const message = readMessage({ body, headers });
    if (message && !isPresence(message)) this.#handled(message).then(ack, () => {});
    else ack();
  }

  refused() {}

  /** Resolves when the handler has run, once for all repetitions. @param {Message} message */
  #handled(message) {
    const known = this.#known.get(message.id);
    if (known) return known;
    const handled = this.#last.then(() => this.#handle(message));
    this.#last = handled.catch(() => {});
    this.#known.set(message.id, handled);
    if (this.#known.size > REMEMBERED) {
      const [oldest] = this.#known.keys();
      this.#known.delete(oldest);
    }
    return handled;
  }

  /** @param {Message} message */
  async #handle(message) {
    this.signal.throwIfAborted();
    try {
      await this.handler(message);
    } catch (error) {
      this.#known.delete(message.id);
      this.report(error);
      throw error;
    }
  }
}
