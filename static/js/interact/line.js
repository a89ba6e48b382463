/** @typedef {import("../../vendor/stompjs/index.js").Client} Client */
/** @typedef {import("../../vendor/stompjs/index.js").StompConfig} StompConfig */
/** @typedef {import("../../vendor/stompjs/index.js").IFrame} IFrame */
/** @typedef {import("../../vendor/stompjs/index.js").IMessage} IMessage */

/**
 * What is subscribed again whenever the line was lost. `headers` are asked for each time; `opened`: from
 * here on everything arrives; `refused` is told the ERROR's code, then the connection ends.
 * @typedef {object} Subscription
 * @property {string} id the same for everybody: the gateway then builds a message's frame once for all
 * @property {string} destination
 * @property {() => Record<string, string>} headers
 * @property {(message: IMessage) => void} received
 * @property {() => void} opened
 * @property {(reason: string) => void} refused
 */

/**
 * How a connection ended. `reason` and `detail` of the ERROR frame are empty if none came; `retryAfter`
 * is in milliseconds.
 * @typedef {object} End
 * @property {number} code
 * @property {string} reason
 * @property {string} detail
 * @property {number | null} retryAfter
 */

/** Milliseconds to the server's next sign of life, and to CONNECTED. */
const HEART_BEAT = 10_000;
const CONNECT_PATIENCE = 15_000;
/** The WebSocket close code for a connection that ended without a Close frame. */
const ABNORMAL = 1006;

/** One STOMP connection, from the dial to its end. */
export class Line {
  /** Subscriptions that wait for their RECEIPT. @type {Map<string, Subscription>} */
  #opening = new Map();
  #receipts = 0;
  #heard = 0;
  #isOpen = false;
  #client;

  /**
   * @param {object} parts
   * @param {(config: StompConfig) => Client} parts.client
   * @param {string} parts.url
   * @param {string | null} parts.token null where a cookie says who we are
   * @param {(line: Line) => void} parts.opened frames can be sent
   * @param {() => void} parts.settled every subscription made so far has its RECEIPT
   * @param {(end: End) => void} parts.ended
   * @param {() => number} parts.now milliseconds since 1970
   */
  constructor({ client, url, token, opened, settled, ended, now }) {
    let why = { reason: "", detail: "", retryAfter: /** @type {number | null} */ (null) };
    this.settled = settled;
    this.now = now;
    this.#client = client({
      brokerURL: url,
      connectHeaders: token === null ? {} : { passcode: token },
      connectionTimeout: CONNECT_PATIENCE,
      // None from us: timers of background tabs sleep. The gateway pings, and browsers answer.
      heartbeatOutgoing: 0,
      heartbeatIncoming: HEART_BEAT,
      discardWebsocketOnCommFailure: true,
      reconnectDelay: 0,
      onConnect: () => {
        this.#isOpen = true;
        this.#heard = now();
        opened(this);
      },
      onHeartbeatReceived: () => (this.#heard = now()),
      onStompError: (frame) => {
        why = explained(frame);
        this.#opening.get(frame.headers["receipt-id"])?.refused(why.reason);
      },
      onWebSocketClose: ({ code, wasClean }) => {
        this.#isOpen = false;
        ended({ code: wasClean ? code : ABNORMAL, ...why });
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
    const receipt = `${id}-${(this.#receipts += 1)}`;
    this.#opening.set(receipt, subscription);
    this.#client.watchForReceipt(receipt, () => {
      this.#heard = this.now();
      this.#opening.delete(receipt);
      subscription.opened();
      if (this.isSettled) this.settled();
    });
    const received = (/** @type {IMessage} */ message) => {
      this.#heard = this.now();
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

  /** If nothing was heard for long, end it, whatever the browser thinks. @returns {boolean} whether it did */
  endIfSilent() {
    if (this.now() - this.#heard < 2 * HEART_BEAT) return false;
    this.#client.forceDisconnect();
    return true;
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
