import { toJson } from "./json.js";
import { needsSession, Problem, USER_CHANGED } from "./problem.js";
import { PATIENCE, request, stream } from "./request.js";

/** @typedef {import("./credentials.js").Credentials} Credentials */
/** @typedef {import("./request.js").TimedEndpoint} Endpoint */

/** Milliseconds: when the device wakes, a call without an answer for so long will never get one. */
const SOON = 3_000;
/** Milliseconds after the network was found dead in which a call may be given one of the connections that
 * died with it, and how long such a call is waited for: the next try gets another one. */
const SHAKEN = 30_000;
const BRIEF = 2_000;

/** The gateway's HTTP API, as the page's user. Every call rejects with a {@link Problem}. */
export class Http {
  /** Calls that may be repeated, with the time of their start. @type {Map<AbortController, number>} */
  #unanswered = new Map();
  /** When the network was last found dead. */
  #deadSince = -Infinity;

  /**
   * @param {Endpoint} endpoint
   * @param {Credentials} credentials
   * @param {(problem: Problem) => void} userChanged is called when somebody else is logged in
   */
  constructor(endpoint, credentials, userChanged = () => {}) {
    this.endpoint = endpoint;
    this.credentials = credentials;
    this.userChanged = userChanged;
  }

  /**
   * A call; if the token or session has ended, it is made again with a new one.
   *
   * @param {string} method
   * @param {string} path
   * @param {unknown} [body] copied now
   * @returns {Promise<any>}
   */
  async call(method, path, body) {
    const text = body === undefined || body === null ? null : toJson(body);
    return this.send(method, path, text, { repeats: method === "GET" });
  }

  /**
   * @param {string} method
   * @param {string} path
   * @param {string | null} text JSON
   * @param {{repeats: boolean}} how `repeats`: whether it may reach the gateway twice
   * @returns {Promise<any>}
   */
  async send(method, path, text, { repeats }) {
    const giving = new AbortController();
    const now = this.endpoint.clock.elapsed();
    if (repeats) this.#unanswered.set(giving, now);
    const isShaken = repeats && now - this.#deadSince < SHAKEN;
    const patience = isShaken ? BRIEF : PATIENCE;
    try {
      const what = { text, signal: giving.signal, patience };
      return await this.#asUser((who) => request(this.endpoint, method, path, { ...what, ...who }));
    } catch (error) {
      if (error instanceof Problem && error.code === USER_CHANGED) this.userChanged(error);
      throw error;
    } finally {
      this.#unanswered.delete(giving);
    }
  }

  /** Resolves once calls have a user: with a cookie, somebody may have to log in first. */
  ready() {
    return this.#asUser(async () => {});
  }

  /** The network was found dead: give up all calls under way, and do not wait for a dead connection. */
  revive() {
    this.#deadSince = this.endpoint.clock.elapsed();
    this.hurry(0);
  }

  /**
   * Give up the calls that have waited for an answer since before the device slept; they are made again.
   *
   * @param {number} patience milliseconds
   */
  hurry(patience = SOON) {
    const now = this.endpoint.clock.elapsed();
    for (const [giving, since] of this.#unanswered) if (now - since > patience) giving.abort();
  }

  /** Begin to read an answer that goes on and on. @param {string} path @param {AbortSignal} signal ends it */
  stream(path, signal) {
    return this.#asUser((who) => stream(this.endpoint, path, { ...who, signal }));
  }

  /**
   * @template T
   * @param {(who: {token: string | null, user: string | null}) => Promise<T>} once makes the call
   * @returns {Promise<T>}
   */
  async #asUser(once) {
    const { credentials } = this;
    const { renewals } = credentials;
    const who = async () => ({ token: await credentials.token(), user: credentials.user });
    try {
      return await once(await who());
    } catch (error) {
      if (!needsSession(error)) throw error;
      // Unless another call has renewed it meanwhile.
      if (credentials.renewals === renewals) await credentials.renew();
      return once(await who());
    }
  }
}
