import { remedy } from "./closing.js";
import { Line } from "./line.js";
import { Problem } from "./problem.js";
import { pause, untilDone } from "./retry.js";

/** @typedef {import("./browser.js").Surroundings} Surroundings */
/** @typedef {import("./credentials.js").Credentials} Credentials */
/** @typedef {import("./line.js").End} End */
/** @typedef {import("./line.js").Subscription} Subscription */
/** @typedef {import("./retry.js").Patience} Patience */
/** @typedef {import("./types.js").State} State */

/** Milliseconds after which a connection counts as one that stood. */
const STABLE = 5_000;

/** Keeps a line to the gateway: one after the other, with the same subscriptions. */
export class Live {
  /** @type {Set<Subscription>} */
  #subscriptions = new Set();
  /** Subscriptions that are on their way to {@link add}. */
  #expected = 0;
  /** @type {Line | null} */
  #line = null;
  /** When the line was told to be connected, in milliseconds since 1970. @type {number | null} */
  #since = null;
  #failures = 0;
  #hurried = false;

  /**
   * @param {object} parts
   * @param {Surroundings["client"]} parts.client
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
    return this.#line?.isOpen ?? false;
  }

  /** @param {Subscription} subscription */
  add(subscription) {
    this.#subscriptions.add(subscription);
    if (this.isOpen) this.#line?.subscribe(subscription);
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
    const known = this.#subscriptions.delete(subscription);
    if (known && this.isOpen) this.#line?.unsubscribe(subscription.id);
  }

  /** Give the gateway a new token, so that it goes on listening to us. @param {string} token */
  renew(token) {
    if (this.isOpen) this.#line?.send("/gateway/token", token);
  }

  /** If nothing was heard for long, the line is dead: dial again at once. */
  verify() {
    if (this.isOpen && this.#line?.endIfSilent()) this.#hurried = true;
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
        if (this.#since !== null && this.now() - this.#since > STABLE) this.#failures = 0;
        if (!(await this.#recover(end))) return;
      } catch (error) {
        if (signal.aborted || !(error instanceof Problem)) throw error;
        this.#tell("refused", { reason: error.code, detail: error.detail });
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

  /** One connection, from the dial to its end. @param {string | null} token @returns {Promise<End>} */
  async #connection(token) {
    const { signal } = this.patience;
    this.#since = null;
    const { client, url, now } = this;
    const leave = () => this.#line?.leave();
    try {
      return await new Promise((ended) => {
        this.#line = new Line({
          ...{ client, url, token, now, ended },
          opened: (line) => {
            for (const subscription of this.#subscriptions) line.subscribe(subscription);
            this.#announce();
          },
          settled: () => this.#announce(),
        });
        signal.addEventListener("abort", leave);
        this.#line.dial();
      });
    } finally {
      this.#line = null;
      signal.removeEventListener("abort", leave);
    }
  }

  /** Do what the end asks for, then wait. @param {End} end @returns {Promise<boolean>} whether to go on */
  async #recover({ code, reason, detail, retryAfter }) {
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

  /** Tell that it is connected, once it is. */
  #announce() {
    if (!this.#line?.isSettled || this.#since !== null || this.#expected > 0) return;
    this.#since = this.now();
    this.#tell("connected");
  }

  /** @param {State["name"]} name @param {Partial<State>} why */
  #tell(name, why = {}) {
    this.changed({ name, code: null, reason: "", detail: "", retryAt: null, ...why });
  }
}
