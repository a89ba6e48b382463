import { readMessage } from "./message.js";

/** @typedef {import("../../vendor/stompjs/index.js").IMessage} IMessage */
/** @typedef {import("./types.js").Message} Message */

/** Messages that may be on their way to one page. */
const PREFETCH = "50";
/** Ids that are remembered, to know a repetition by. */
const REMEMBERED = 2_000;

/**
 * A room's private queue: it is served to one page at a time, and keeps what no host has handled.
 * A message is acknowledged when the handler has run; what it failed at comes again with the next
 * connection.
 */
export class Queue {
  /** Handled, or being handled. @type {Map<string, Promise<void>>} */
  #known = new Map();
  /** @type {Promise<unknown>} */
  #last = Promise.resolve();

  /**
   * @param {object} parts
   * @param {string} parts.destination
   * @param {(message: Message) => unknown} parts.handler may be asynchronous; is never run twice at a time
   * @param {() => void} parts.opened
   * @param {(error: unknown) => void} parts.report is told what the handler failed with
   */
  constructor({ destination, handler, opened, report }) {
    this.id = `queue.${destination.replace(/^.*\./, "")}`;
    this.destination = destination;
    this.handler = handler;
    this.opened = opened;
    this.report = report;
  }

  headers() {
    return { ack: "client-individual", "prefetch-count": PREFETCH };
  }

  /** @param {Pick<IMessage, "body" | "ack">} frame */
  received(frame) {
    const message = readMessage(frame.body);
    if (!message || message.type === "presence") {
      frame.ack();
      return;
    }
    let handled = this.#known.get(message.id);
    if (!handled) {
      handled = this.#last.then(async () => void (await this.handler(message)));
      this.#last = handled.catch(() => {});
      this.#remember(message.id, handled);
      handled.catch((error) => {
        this.#known.delete(message.id);
        this.report(error);
      });
    }
    handled.then(
      () => frame.ack(),
      () => {},
    );
  }

  /** @param {string} id @param {Promise<void>} handled */
  #remember(id, handled) {
    this.#known.set(id, handled);
    if (this.#known.size > REMEMBERED) {
      const [oldest] = this.#known.keys();
      this.#known.delete(oldest);
    }
  }
}
