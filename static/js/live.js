import { delay } from "./backoff.js";
import { closing } from "./closing.js";
import { untilDone } from "./retry.js";

/** @typedef {import("@stomp/stompjs").Client} Client */
/** @typedef {import("@stomp/stompjs").StompConfig} StompConfig */
/** @typedef {import("@stomp/stompjs").IFrame} IFrame */
/** @typedef {import("./retry.js").Patience} Patience */
/** @typedef {import("./closing.js").Remedy} Remedy */

/**
 * `received` has shown the message when it returns: then it is acknowledged, if `headers` want that.
 * @typedef {object} Subscription
 * @property {string} destination
 * @property {Record<string, string>} headers
 * @property {(body: string) => void} received
 */

/**
 * How a connection ended. `code` and `detail` of the ERROR frame are empty if none came; `retryAfter`
 * is in milliseconds.
 * @typedef {object} End
 * @property {number} closeCode
 * @property {string} code
 * @property {string} detail
 * @property {number | null} retryAfter
 */

/**
 * @typedef {{name: "connecting"} | {name: "connected"} | {name: Remedy, meaning: string, end: End}}
 *   State
 */

/** Milliseconds to the server's next sign of life, and to CONNECTED. */
const HEART_BEAT = 10_000;
const CONNECT_PATIENCE = 15_000;
/** The WebSocket close code for a connection that ended without a Close frame. */
const ABNORMAL = 1006;

/** Subscriptions that are made again whenever the connection is lost. */
export class Live {
  #failures = 0;

  /**
   * @param {object} parts
   * @param {(config: StompConfig) => Client} parts.client makes a STOMP client for one connection
   * @param {string} parts.url
   * @param {Subscription[]} parts.subscriptions
   * @param {(state: State) => void} parts.changed
   * @param {() => Promise<unknown>} parts.session resolves once there is a valid session
   * @param {Patience["wait"]} parts.nap as `wait`, but something good may end it early
   * @param {Patience} parts.patience its signal ends everything
   */
  constructor({ client, url, subscriptions, changed, session, nap, patience }) {
    this.client = client;
    this.url = url;
    this.subscriptions = subscriptions;
    this.changed = changed;
    this.session = session;
    this.nap = nap;
    this.patience = patience;
  }

  /** Connect, again and again. Resolves when the gateway refuses; rejects when the signal ends it. */
  async run() {
    const { wait, random, signal } = this.patience;
    for (;;) {
      this.changed({ name: "connecting" });
      const end = await this.#connection();
      signal.throwIfAborted();
      const { meaning, remedy } = closing(end.closeCode);
      this.changed({ name: remedy, meaning, end });
      if (remedy === "refused") return;
      const pause = end.retryAfter === null ? this.nap : wait;
      await pause(delay(this.#failures, random, end.retryAfter), signal);
      this.#failures += 1;
      // A browser does not tell that a handshake was answered with 401: asking does.
      await untilDone(this.session, this.patience);
    }
  }

  /** One connection, from the dial to its end. @returns {Promise<End>} */
  #connection() {
    const { signal } = this.patience;
    return new Promise((resolve) => {
      let explanation = { code: "", detail: "", retryAfter: /** @type {number | null} */ (null) };
      const client = this.client({
        brokerURL: this.url,
        connectionTimeout: CONNECT_PATIENCE,
        // None from us: timers of background tabs sleep. The gateway pings, and browsers answer.
        heartbeatOutgoing: 0,
        heartbeatIncoming: HEART_BEAT,
        discardWebsocketOnCommFailure: true,
        reconnectDelay: 0,
        onConnect: () => this.#subscribe(client),
        onStompError: (frame) => (explanation = explained(frame)),
        onWebSocketClose: ({ code, wasClean }) => {
          signal.removeEventListener("abort", leave);
          resolve({ closeCode: wasClean ? code : ABNORMAL, ...explanation });
        },
      });
      const leave = () => void client.deactivate();
      signal.addEventListener("abort", leave, { once: true });
      client.activate();
    });
  }

  /** @param {Client} client */
  #subscribe(client) {
    let waiting = this.subscriptions.length;
    for (const [index, { destination, headers, received }] of this.subscriptions.entries()) {
      const receipt = `subscribed-${index}`;
      client.watchForReceipt(receipt, () => {
        waiting -= 1;
        if (waiting > 0) return;
        this.#failures = 0;
        this.changed({ name: "connected" });
      });
      client.subscribe(
        destination,
        (message) => {
          received(message.body);
          if (headers.ack) message.ack();
        },
        { ...headers, receipt },
      );
    }
  }
}

/** @param {IFrame} frame an ERROR */
function explained({ headers, body }) {
  const retryAfter = Number.parseInt(headers["retry-after"], 10);
  return {
    code: headers.message ?? "",
    detail: body,
    retryAfter: Number.isNaN(retryAfter) ? null : retryAfter,
  };
}
