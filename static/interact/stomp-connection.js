import { ABNORMAL } from "./closing.js";

/** @typedef {import("../vendor/stompjs/index.js").Client} Client */
/** @typedef {import("../vendor/stompjs/index.js").StompConfig} StompConfig */
/** @typedef {import("../vendor/stompjs/index.js").IFrame} IFrame */
/** @typedef {import("../vendor/stompjs/index.js").IMessage} IMessage */

/**
 * A subscription, made again after every break. `headers` is called each time; `opened`: from
 * now on everything arrives; `refused` is called with the ERROR's code, then the connection ends.
 * @typedef {object} Subscription
 * @property {string} id the same in all pages, so that the gateway builds a message's frame once for all
 * @property {string} destination
 * @property {() => Record<string, string>} headers
 * @property {(message: IMessage) => void} received
 * @property {() => void} opened
 * @property {(reason: string) => void} refused
 * @property {() => number} [handledUpTo] the seq after which messages are wanted, where the gateway does not know it
 */

/**
 * The end of a connection. `reason` and `detail` of the ERROR frame are empty if none came; `retryAfter`
 * is in milliseconds.
 * @typedef {object} End
 * @property {number} code
 * @property {string} reason
 * @property {string} detail
 * @property {number | null} retryAfter
 * @property {boolean} [woken] it was dead when the device woke
 */

/** Milliseconds to the server's next sign of life, and to CONNECTED. */
const HEART_BEAT = 10_000;
const CONNECT_PATIENCE = 15_000;
/** Milliseconds without a sign of life after which the gateway is asked for one. */
const SILENCE = 15_000;
/** Milliseconds for its answer; more while the gateway is busy with our subscriptions. */
const ANSWER = 2_000;
const BUSY_ANSWER = 10_000;
/** Milliseconds: when the device wakes, a dial unfinished for so long is made again. */
const STALE_DIAL = 3_000;
/** A destination where a SEND only causes a RECEIPT. */
const PING = "/gateway/ping";

/** One STOMP connection, from the dial to its end. */
export class StompConnection {
  /** Subscriptions that wait for their RECEIPT. @type {Map<string, Subscription>} */
  #opening = new Map();
  #receipts = 0;
  #heard;
  /** When the question without an answer was sent. @type {number | null} */
  #asked = null;
  #isOpen = false;
  /** The device has woken, and nothing has arrived since. */
  #woken = false;
  /** The end, if it is our decision. @type {End | null} */
  #verdict = null;
  #client;

  /**
   * @param {object} parts
   * @param {(config: StompConfig) => Client} parts.client
   * @param {string} parts.url
   * @param {Record<string, string>} parts.headers of CONNECT
   * @param {(connection: StompConnection) => void} parts.opened frames can be sent
   * @param {() => void} parts.settled every subscription made so far has its RECEIPT
   * @param {(end: End) => void} parts.ended
   * @param {() => number} parts.elapsed milliseconds since some moment
   */
  constructor({ client, url, headers, opened, settled, ended, elapsed }) {
    let why = { reason: "", detail: "", retryAfter: /** @type {number | null} */ (null) };
    this.settled = settled;
    this.elapsed = elapsed;
    this.#heard = elapsed();
    this.#client = client({
      brokerURL: url,
      connectHeaders: headers,
      connectionTimeout: CONNECT_PATIENCE,
      // We send none, because timers of background tabs sleep. The gateway pings, and browsers answer.
      heartbeatOutgoing: 0,
      heartbeatIncoming: HEART_BEAT,
      // Silence is measured here by elapsed time, because the wall clock may be set while we run.
      heartbeatToleranceMultiplier: Infinity,
      discardWebsocketOnCommFailure: true,
      reconnectDelay: 0,
      onConnect: () => {
        this.#isOpen = true;
        this.#hear();
        opened(this);
      },
      onHeartbeatReceived: () => this.#hear(),
      onStompError: (frame) => {
        this.#hear();
        why = explained(frame);
        this.#opening.get(frame.headers["receipt-id"])?.refused(why.reason);
      },
      onWebSocketClose: ({ code, wasClean }) => {
        this.#isOpen = false;
        const woken = this.#woken && !wasClean;
        ended(this.#verdict ?? { code: wasClean ? code : ABNORMAL, ...why, woken });
      },
    });
  }

  dial() {
    this.#client.activate();
  }

  /** End it in order. */
  leave() {
    void this.#client.deactivate();
  }

  /** Whether frames can be sent. */
  get isOpen() {
    return this.#isOpen;
  }

  /** Whether it is open, and every subscription made so far has its RECEIPT. */
  get isSettled() {
    return this.#isOpen && this.#opening.size === 0;
  }

  /** @param {Subscription} subscription */
  subscribe(subscription) {
    const { id, destination } = subscription;
    const receipt = this.#receipt(id, () => {
      this.#opening.delete(receipt);
      subscription.opened();
      if (this.isSettled) this.settled();
    });
    this.#opening.set(receipt, subscription);
    const received = (/** @type {IMessage} */ message) => {
      this.#hear();
      subscription.received(message);
    };
    this.#client.subscribe(destination, received, { ...subscription.headers(), id, receipt });
  }

  /** @param {string} id of a subscription */
  unsubscribe(id) {
    this.#client.unsubscribe(id);
  }

  /** @param {string} destination @param {string} body */
  send(destination, body) {
    this.#client.publish({ destination, body });
  }

  /** Called as time passes: ask after a long silence; end the connection if there is no answer. */
  pulse() {
    if (!this.#isOpen) return;
    const now = this.elapsed();
    if (this.#asked !== null) {
      if (now - this.#asked >= (this.isSettled ? ANSWER : BUSY_ANSWER)) this.#drop();
    } else if (now - this.#heard >= SILENCE) this.#ask();
  }

  /** The device has woken: the connection may be dead unnoticed, so a sign of life must come soon. */
  wake() {
    this.#woken = true;
    const now = this.elapsed();
    if (this.#isOpen) {
      // One waking causes several events; a question from before the sleep is asked again.
      if (this.#asked === null || now - this.#asked >= ANSWER) this.#ask();
    } else if (now - this.#heard >= STALE_DIAL) this.#drop();
  }

  /** End it for a reason of ours. @param {End} verdict */
  end(verdict) {
    this.#verdict = verdict;
    this.#drop();
  }

  #ask() {
    this.#asked = this.elapsed();
    const receipt = this.#receipt("ping", () => {});
    this.#client.publish({ destination: PING, headers: { receipt }, body: "" });
  }

  #hear() {
    this.#heard = this.elapsed();
    this.#asked = null;
    this.#woken = false;
  }

  /** End it at once, without waiting for the browser's close. */
  #drop() {
    this.#client.forceDisconnect();
  }

  /** @param {string} name @param {() => void} received @returns {string} the id of the RECEIPT to ask for */
  #receipt(name, received) {
    const receipt = `${name}-${(this.#receipts += 1)}`;
    this.#client.watchForReceipt(receipt, () => {
      this.#hear();
      received();
    });
    return receipt;
  }
}

/** @param {IFrame} frame an ERROR */
function explained({ headers, body }) {
  const retryAfter = Number.parseInt(headers["retry-after"], 10);
  return {
    reason: headers.message ?? "",
    detail: body,
    retryAfter: Number.isNaN(retryAfter) ? null : retryAfter,
  };
}
