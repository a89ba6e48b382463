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
  /** The greatest seq of a private message that came. */
  #seq = 0;
  /** Private messages that came and were not handled, by seq. @type {Set<number>} */
  #unhandled = new Set();

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

  /** For server-sent events, which know no acknowledgements: private messages up to here are handled. */
  handledUpTo() {
    return Math.min(this.#seq, ...[...this.#unhandled].map((seq) => seq - 1));
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
    if (message.audience === "private" && message.seq !== null) {
      this.#seq = Math.max(this.#seq, message.seq);
      this.#unhandled.add(message.seq);
    }
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
      this.#unhandled.delete(Number(message.seq));
    } catch (error) {
      this.#known.delete(message.id);
      this.report(error);
      throw error;
    }
  }
}
