import { childOf } from "./child.js";
import { ABNORMAL, isFinal, remedy, RESUME } from "./closing.js";
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

/** @typedef {import("./events-connection.js").EventsConnection} EventsConnection */
/** @typedef {import("./types.js").Via} Via */

/** Milliseconds after which a connection counts as a success. */
const STABLE = 5_000;
/**
 * WebSockets in a row that did not open although HTTP works, after which server-sent events are tried; more on a page
 * where one has been open, because the gateway may be restarting.
 */
const BLOCKED = 2;
const BLOCKED_LATER = 4;
/**
 * Rough milliseconds until a WebSocket is tried beside a connection by server-sent events; each time twice as long,
 * and so many times at most.
 */
const COMEBACK = 60_000;
const COMEBACKS = 6;

/** Keeps a connection to the gateway: when one is lost, the next one gets the same subscriptions. */
export class Live {
  /** @type {Set<Subscription>} */
  #subscriptions = new Set();
  /** Subscriptions that are on their way to {@link add}. */
  #expected = 0;
  /** @type {StompConnection | EventsConnection | null} */
  #connected = null;
  /** What the connection goes by, or the next one will. @type {Via} */
  #via = "websocket";
  /** WebSockets in a row that did not open although HTTP works. */
  #unopened = 0;
  /** The device has woken since the last connection ended: a wait that begins now is not cut short by that. */
  #woken = false;
  /** Whether the last connection has been open. */
  #hasOpened = false;
  /** Whether a WebSocket has been open since server-sent events were last used. */
  #hasWorked = false;
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
   * @param {(state: Omit<State, "user" | "other" | "via">) => void} parts.changed
   * @param {() => Promise<unknown>} parts.notKept resolves when every subscription knows where the kept
   *   messages begin
   * @param {() => Promise<unknown>} parts.excluded resolves when every subscription that the gateway does
   *   not allow any more was removed
   * @param {() => void} parts.dead is called when the device woke and the connection was dead
   * @param {() => number} parts.now milliseconds since 1970, for people
   * @param {() => number} parts.elapsed milliseconds since some moment
   * @param {Patience} parts.patience its signal ends everything
   * @param {((how: Pick<EventsConnection, "opened" | "settled" | "ended">) => EventsConnection) | null} [parts.events]
   *   makes a connection by server-sent events, for where WebSocket is blocked
   * @param {() => Promise<unknown>} [parts.reach] makes a call of the HTTP API; rejects with a {@link Problem}
   */
  constructor({ client, url, credentials, changed, notKept, excluded, dead, now, elapsed, patience, ...others }) {
    this.client = client;
    this.events = others.events ?? null;
    this.reach = others.reach ?? (async () => {});
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

  /** What the connection goes by, or the next one will. */
  get via() {
    return this.#via;
  }

  /** Whether frames can be sent. */
  get isOpen() {
    return this.#connected?.isOpen ?? false;
  }

  /** @param {Subscription} subscription */
  add(subscription) {
    this.#subscriptions.add(subscription);
    this.#added.open();
    if (this.isOpen) this.#connected?.subscribe(subscription);
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
    if (known && this.isOpen) this.#connected?.unsubscribe(subscription.id);
  }

  /** Send the gateway a new token, which extends the connection. @param {string} token */
  renew(token) {
    if (this.isOpen) this.#connected?.send("/gateway/token", token);
  }

  /** The device has woken: a dead connection is found within seconds, and dialled again at once. */
  wake() {
    this.#woken = true;
    this.#connected?.wake();
  }

  /** About a second has passed. */
  pulse() {
    this.#connected?.pulse();
  }

  /** The session has ended, which was found out elsewhere. @param {{reason: string, detail: string}} why */
  endSession(why) {
    this.#connected?.end({ code: 4001, ...why, retryAfter: null });
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
        this.#woken = false;
        signal.throwIfAborted();
        await this.#choose(end);
        signal.throwIfAborted();
        end.woken ||= this.#woken;
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
    const { client, url, elapsed, events } = this;
    const leave = () => this.#connected?.leave();
    const ending = childOf(signal);
    this.#hasOpened = false;
    try {
      return await new Promise((ended) => {
        const how = {
          opened: (/** @type {StompConnection | EventsConnection} */ connection) => {
            this.#hasOpened = true;
            for (const subscription of this.#subscriptions) connection.subscribe(subscription);
            this.#announce();
          },
          settled: () => this.#announce(),
          ended,
        };
        this.#connected =
          events !== null && this.#via === "events"
            ? events(how)
            : new StompConnection({ client, url, headers, elapsed, ...how });
        signal.addEventListener("abort", leave);
        void this.#connected.dial();
        if (this.#via === "events") this.#comeBack(headers, ending.signal).catch(() => {});
      });
    } finally {
      ending.abort();
      this.#connected = null;
      signal.removeEventListener("abort", leave);
    }
  }

  /** Choose what the next connection goes by. @param {End} end of the last one */
  async #choose({ code }) {
    if (this.events === null) return;
    if (this.#via === "events") {
      // By events again if the gateway has answered, and nothing says that WebSocket works.
      const isAnswered = this.#since !== null || code !== ABNORMAL;
      if (!isAnswered || this.#unopened === 0) this.#via = "websocket";
    } else if (this.#hasOpened) {
      this.#unopened = 0;
      this.#hasWorked = true;
    } else {
      this.#unopened = (await this.#isReached()) ? this.#unopened + 1 : 0;
      if (this.#unopened < (this.#hasWorked ? BLOCKED_LATER : BLOCKED)) return;
      this.#via = "events";
      this.#hasWorked = false;
    }
  }

  /** Whether HTTP works, and the gateway knows the user: otherwise that is why no WebSocket opened. */
  async #isReached() {
    try {
      await this.reach();
      return true;
    } catch (error) {
      if (error instanceof Problem) return false;
      throw error;
    }
  }

  /** Try, beside server-sent events, whether WebSocket works by now. @param {Record<string, string>} headers @param {AbortSignal} signal */
  async #comeBack(headers, signal) {
    const { wait, random } = this.patience;
    for (let n = 0; n < COMEBACKS; n += 1) {
      await wait(COMEBACK * 2 ** n * (0.5 + random()), signal);
      if (!(await this.#opens(headers, signal))) continue;
      this.#unopened = 0;
      this.#connected?.end({ code: RESUME, reason: "", detail: "", retryAfter: null });
      return;
    }
  }

  /** Whether a WebSocket opens. @param {Record<string, string>} headers @param {AbortSignal} signal */
  async #opens(headers, signal) {
    const { client, url, elapsed } = this;
    return new Promise((answered) => {
      const leave = () => trial.leave();
      const trial = new StompConnection({
        ...{ client, url, headers, elapsed },
        opened: () => {
          answered(true);
          trial.leave();
        },
        settled: () => {},
        ended: () => {
          signal.removeEventListener("abort", leave);
          answered(false);
        },
      });
      signal.addEventListener("abort", leave);
      trial.dial();
    });
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
    if (!this.#connected?.isSettled || this.#since !== null || this.#expected > 0) return;
    this.#since = this.elapsed();
    this.#tell("connected");
  }

  /** @param {State["name"]} name @param {Partial<State>} why */
  #tell(name, why = {}) {
    this.changed({ name, code: null, reason: "", detail: "", retryAt: null, ...why });
  }
}
