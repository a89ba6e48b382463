import { isFinal, remedy } from "./closing.js";
import { Latch } from "./latch.js";
import { StompConnection } from "./stomp-connection.js";
import { needsSession, Problem, USER_CHANGED, UserChanged } from "./problem.js";
import { pause, untilDone } from "./retry.js";

/** @typedef {import("./browser.js").Surroundings} Surroundings */
/** @typedef {import("./credentials.js").Credentials} Credentials */
/** @typedef {import("./stomp-connection.js").End} End */
/** @typedef {import("./stomp-connection.js").Subscription} Subscription */
/** @typedef {import("./retry.js").Patience} Patience */
/** @typedef {import("./types.js").State} State */

/** Milliseconds after which a connection counts as a success. */
const STABLE = 5_000;

/** Keeps a connection to the gateway: when one is lost, the next one gets the same subscriptions. */
export class Live {
  /** @type {Set<Subscription>} */
  #subscriptions = new Set();
  /** Subscriptions that are on their way to {@link add}. */
  #expected = 0;
  /** @type {StompConnection | null} */
  #stomp = null;
  /** When the connection was reported as connected, by {@link elapsed}. @type {number | null} */
  #since = null;
  #failures = 0;
  /** Opened when there is a subscription. @type {Latch} */
  #added = new Latch();

  /**
   * @param {object} parts
   * @param {Surroundings["client"]} parts.client
   * @param {string} parts.url
   * @param {Credentials} parts.credentials
   * @param {(state: Omit<State, "user" | "other">) => void} parts.changed
   * @param {() => Promise<unknown>} parts.notKept resolves when every subscription knows where the kept
   *   messages begin
   * @param {() => Promise<unknown>} parts.excluded resolves when every subscription that the gateway does
   *   not allow any more was removed
   * @param {() => void} parts.dead is called when the device woke and the connection was dead
   * @param {() => number} parts.now milliseconds since 1970, for people
   * @param {() => number} parts.elapsed milliseconds since some moment
   * @param {Patience} parts.patience its signal ends everything
   */
  constructor({ client, url, credentials, changed, notKept, excluded, dead, now, elapsed, patience }) {
    this.client = client;
    this.url = url;
    this.credentials = credentials;
    this.changed = changed;
    this.notKept = notKept;
    this.excluded = excluded;
    this.dead = dead;
    this.now = now;
    this.elapsed = elapsed;
    this.patience = patience;
  }

  /** Whether frames can be sent. */
  get isOpen() {
    return this.#stomp?.isOpen ?? false;
  }

  /** @param {Subscription} subscription */
  add(subscription) {
    this.#subscriptions.add(subscription);
    this.#added.open();
    if (this.isOpen) this.#stomp?.subscribe(subscription);
  }

  /** Do not report "connected" before this is settled. @param {Promise<void>} subscribing */
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
    if (known && this.isOpen) this.#stomp?.unsubscribe(subscription.id);
  }

  /** Send the gateway a new token, which extends the connection. @param {string} token */
  renew(token) {
    if (this.isOpen) this.#stomp?.send("/gateway/token", token);
  }

  /** The device has woken: a dead connection is found within seconds, and dialled again at once. */
  wake() {
    this.#stomp?.wake();
  }

  /** About a second has passed. */
  pulse() {
    this.#stomp?.pulse();
  }

  /** The session has ended, which was found out elsewhere. @param {{reason: string, detail: string}} why */
  endSession(why) {
    this.#stomp?.end({ code: 4001, ...why, retryAfter: null });
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
        const end = await this.#connection(await this.#headers());
        signal.throwIfAborted();
        if (this.#since !== null && this.elapsed() - this.#since > STABLE) this.#failures = 0;
        if (!(await this.#recover(end))) return;
      } catch (error) {
        if (signal.aborted || !(error instanceof Problem)) throw error;
        this.#tell("refused", { reason: error.code, detail: error.detail });
        return;
      }
    }
  }

  /** The headers of CONNECT. @returns {Promise<Record<string, string>>} */
  async #headers() {
    const { credentials, patience } = this;
    const failed = (/** @type {Problem} */ { code, detail }) =>
      this.#tell(code === "no_credentials" ? "unauthenticated" : "waiting", { reason: code, detail });
    await this.#withSession(() => untilDone(() => credentials.token(), patience, failed));
    const token = await untilDone(() => credentials.token(), patience, failed);
    return {
      ...(token === null ? {} : { passcode: token }),
      ...(credentials.user ? { "interact-user": credentials.user } : {}),
    };
  }

  /** One connection, from the dial to its end. @param {Record<string, string>} headers @returns {Promise<End>} */
  async #connection(headers) {
    const { signal } = this.patience;
    this.#since = null;
    const { client, url, elapsed } = this;
    const leave = () => this.#stomp?.leave();
    try {
      return await new Promise((ended) => {
        this.#stomp = new StompConnection({
          ...{ client, url, headers, elapsed, ended },
          opened: (stomp) => {
            for (const subscription of this.#subscriptions) stomp.subscribe(subscription);
            this.#announce();
          },
          settled: () => this.#announce(),
        });
        signal.addEventListener("abort", leave);
        this.#stomp.dial();
      });
    } finally {
      this.#stomp = null;
      signal.removeEventListener("abort", leave);
    }
  }

  /** Do what the end asks for, then wait. @param {End} end @returns {Promise<boolean>} whether to go on */
  async #recover({ code, reason, detail, retryAfter, woken }) {
    const why = { code, reason, detail };
    const failures = this.#failures;
    this.#failures += 1;
    switch (remedy(code)) {
      case "stop":
        if (reason === "not_kept") await this.notKept();
        else {
          this.#tell("refused", why);
          if (isFinal(reason)) return false;
          await this.excluded();
          await this.#somethingToHear();
        }
        break;
      case "renew":
        if (reason === USER_CHANGED) throw new UserChanged();
        this.#tell("unauthenticated", why);
        await untilDone(() => this.credentials.renew(), this.patience);
        break;
      case "resume":
        break;
      case "again":
        if (woken) this.dead();
        else await this.#pause(failures, retryAfter, why);
        // A browser does not show that a handshake was answered with 401; a request does.
        await this.#withSession(() => untilDone(() => this.credentials.check(), this.patience));
        return true;
    }
    if (failures > 0) await this.#pause(failures, retryAfter, why);
    return true;
  }

  /** Wait until a room admits us again, or the page subscribes to something else. */
  async #somethingToHear() {
    const { signal } = this.patience;
    const stop = () => this.#added.fail(signal.reason);
    signal.addEventListener("abort", stop, { once: true });
    while (this.#subscriptions.size === 0) {
      signal.throwIfAborted();
      this.#added = new Latch();
      await this.#added.opened;
    }
    signal.removeEventListener("abort", stop);
  }

  /** Run a task; if it finds that there is no session, get one. @param {() => Promise<unknown>} task */
  async #withSession(task) {
    try {
      await task();
    } catch (error) {
      if (!needsSession(error)) throw error;
      this.#tell("unauthenticated", { reason: error.code, detail: error.detail });
      await untilDone(() => this.credentials.renew(), this.patience);
    }
  }

  /** @param {number} failures @param {number | null} retryAfter @param {Partial<State>} why */
  #pause(failures, retryAfter, why) {
    return pause(failures, retryAfter, this.patience, (milliseconds) =>
      this.#tell("waiting", { ...why, retryAt: this.now() + milliseconds }),
    );
  }

  /** Report "connected" once it is true. */
  #announce() {
    if (!this.#stomp?.isSettled || this.#since !== null || this.#expected > 0) return;
    this.#since = this.elapsed();
    this.#tell("connected");
  }

  /** @param {State["name"]} name @param {Partial<State>} why */
  #tell(name, why = {}) {
    this.changed({ name, code: null, reason: "", detail: "", retryAt: null, ...why });
  }
}
