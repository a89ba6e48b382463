import { remedy } from "./closing.js";
import { Problem } from "./problem.js";
import { pause, untilDone } from "./retry.js";

/** @typedef {import("../../vendor/stompjs/index.js").Client} Client */
/** @typedef {import("../../vendor/stompjs/index.js").StompConfig} StompConfig */
/** @typedef {import("../../vendor/stompjs/index.js").IFrame} IFrame */
/** @typedef {import("../../vendor/stompjs/index.js").IMessage} IMessage */
/** @typedef {import("./credentials.js").Credentials} Credentials */
/** @typedef {import("./retry.js").Patience} Patience */
/** @typedef {import("./types.js").State} State */

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
/** Milliseconds after which a connection counts as one that stood. */
const STABLE = 5_000;
/** The WebSocket close code for a connection that ended without a Close frame. */
const ABNORMAL = 1006;

/** The line to the gateway: one STOMP connection after the other, with the same subscriptions. */
export class Live {
  /** @type {Set<Subscription>} */
  #subscriptions = new Set();
  /** @type {Client | null} */
  #client = null;
  /** Subscriptions that wait for their RECEIPT. @type {Map<string, Subscription>} */
  #opening = new Map();
  /** Subscriptions that are on their way to {@link add}. */
  #expected = 0;
  #connected = false;
  #receipts = 0;
  #failures = 0;
  #hurried = false;
  #since = Infinity;
  #heard = 0;

  /**
   * @param {object} parts
   * @param {(config: StompConfig) => Client} parts.client makes a STOMP client for one connection
   * @param {string} parts.url
   * @param {Credentials} parts.credentials
   * @param {(state: State) => void} parts.changed
   * @param {() => Promise<unknown>} parts.notKept resolves when every subscription knows where what is
   *   kept begins
   * @param {() => number} parts.now milliseconds since 1970
   * @param {Patience} parts.patience its signal ends everything
   */
  constructor({ client, url, credentials, changed, notKept, now, patience }) {
    this.client = client;
    this.url = url;
    this.credentials = credentials;
    this.changed = changed;
    this.notKept = notKept;
    this.now = now;
    this.patience = patience;
  }

  /** Whether frames can be sent. */
  get isOpen() {
    return this.#client !== null;
  }

  /** @param {Subscription} subscription */
  add(subscription) {
    this.#subscriptions.add(subscription);
    if (this.#client) this.#subscribe(this.#client, subscription);
  }

  /** It is not connected before this is settled. @param {Promise<void>} subscribing */
  expect(subscribing) {
    this.#expected += 1;
    const settled = () => {
      this.#expected -= 1;
      this.#announce();
    };
    subscribing.then(settled, settled);
  }

  /** @param {Subscription} subscription */
  remove(subscription) {
    if (this.#subscriptions.delete(subscription)) this.#client?.unsubscribe(subscription.id);
  }

  /** Give the gateway a new token, so that it goes on listening to us. @param {string} token */
  renew(token) {
    this.#client?.publish({ destination: "/gateway/token", body: token });
  }

  /** If nothing was heard for long, the line is dead, whatever the browser thinks: dial again at once. */
  verify() {
    if (!this.#client || this.now() - this.#heard < 2 * HEART_BEAT) return;
    this.#hurried = true;
    this.#client.forceDisconnect();
  }

  /**
   * Connect, again and again. Resolves when the gateway refuses; rejects when the signal ends it.
   *
   * @returns {Promise<void>}
   */
  async run() {
    const { signal } = this.patience;
    for (;;) {
      this.#tell("connecting");
      try {
        const end = await this.#connection(await this.#token());
        signal.throwIfAborted();
        if (this.now() - this.#since > STABLE) this.#failures = 0;
        if (!(await this.#recover(end))) return;
      } catch (error) {
        if (signal.aborted || !(error instanceof Problem)) throw error;
        const { status, code, detail } = error;
        this.#tell("refused", { code: status || null, reason: code, detail });
        return;
      }
    }
  }

  #token() {
    return untilDone(
      () => this.credentials.token(),
      this.patience,
      (problem) => this.#tell("unauthenticated", { reason: problem.code, detail: problem.detail }),
    );
  }

  /** Do what the end asks for, then wait. @param {End} end @returns {Promise<boolean>} whether to go on */
  async #recover(end) {
    const { code, reason, detail, retryAfter } = end;
    const why = { code, reason, detail };
    const failures = this.#failures;
    this.#failures += 1;
    switch (remedy(code)) {
      case "stop":
        if (reason !== "not_kept") {
          this.#tell("refused", why);
          return false;
        }
        await this.notKept();
        break;
      case "renew":
        this.#tell("unauthenticated", why);
        await untilDone(() => this.credentials.renew(), this.patience);
        break;
      case "resume":
        break;
      case "again":
        if (!this.#hurried) await this.#pause(failures, retryAfter, why);
        this.#hurried = false;
        // A browser does not tell that a handshake was answered with 401: asking does.
        await untilDone(() => this.#check(), this.patience);
        return true;
    }
    if (failures > 0) await this.#pause(failures, retryAfter, why);
    return true;
  }

  async #check() {
    try {
      await this.credentials.check();
    } catch (error) {
      if (!(error instanceof Problem && error.status === 401)) throw error;
      this.#tell("unauthenticated", { reason: error.code, detail: error.detail });
      await this.credentials.renew();
    }
  }

  /** @param {number} failures @param {number | null} retryAfter @param {Partial<State>} why */
  #pause(failures, retryAfter, why) {
    return pause(failures, retryAfter, this.patience, (milliseconds) =>
      this.#tell("waiting", { ...why, retryAt: this.now() + milliseconds }),
    );
  }

  /** One connection, from the dial to its end. @param {string | null} token @returns {Promise<End>} */
  #connection(token) {
    const { signal } = this.patience;
    this.#since = Infinity;
    return new Promise((resolve) => {
      let explanation = { reason: "", detail: "", retryAfter: /** @type {number | null} */ (null) };
      const client = this.client({
        brokerURL: this.url,
        connectHeaders: token === null ? {} : { passcode: token },
        connectionTimeout: CONNECT_PATIENCE,
        // None from us: timers of background tabs sleep. The gateway pings, and browsers answer.
        heartbeatOutgoing: 0,
        heartbeatIncoming: HEART_BEAT,
        discardWebsocketOnCommFailure: true,
        reconnectDelay: 0,
        onConnect: () => this.#opened(client),
        onHeartbeatReceived: () => (this.#heard = this.now()),
        onStompError: (frame) => {
          explanation = explained(frame);
          this.#opening.get(frame.headers["receipt-id"])?.refused(explanation.reason);
        },
        onWebSocketClose: ({ code, wasClean }) => {
          this.#client = null;
          this.#connected = false;
          this.#opening.clear();
          signal.removeEventListener("abort", leave);
          resolve({ code: wasClean ? code : ABNORMAL, ...explanation });
        },
      });
      const leave = () => void client.deactivate();
      signal.addEventListener("abort", leave, { once: true });
      client.activate();
    });
  }

  /** @param {Client} client */
  #opened(client) {
    this.#client = client;
    this.#heard = this.now();
    for (const subscription of this.#subscriptions) this.#subscribe(client, subscription);
    this.#announce();
  }

  /** @param {Client} client @param {Subscription} subscription */
  #subscribe(client, subscription) {
    const { id, destination } = subscription;
    const receipt = `${id}-${(this.#receipts += 1)}`;
    this.#opening.set(receipt, subscription);
    client.watchForReceipt(receipt, () => {
      this.#opening.delete(receipt);
      this.#heard = this.now();
      subscription.opened();
      this.#announce();
    });
    const received = (/** @type {IMessage} */ message) => {
      this.#heard = this.now();
      subscription.received(message);
    };
    client.subscribe(destination, received, { ...subscription.headers(), id, receipt });
  }

  /** Tell that it is connected, once it is. */
  #announce() {
    if (!this.#client || this.#connected || this.#opening.size > 0 || this.#expected > 0) return;
    this.#connected = true;
    this.#since = this.now();
    this.#tell("connected");
  }

  /** @param {State["name"]} name @param {Partial<State>} why */
  #tell(name, why = {}) {
    this.changed({ name, code: null, reason: "", detail: "", retryAt: null, ...why });
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
