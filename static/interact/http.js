import { toJson } from "./json.js";
import { needsSession, Problem, USER_CHANGED } from "./problem.js";
import { PATIENCE, request } from "./request.js";

/** @typedef {import("./credentials.js").Credentials} Credentials */
/** @typedef {import("./request.js").TimedEndpoint} Endpoint */
/** @typedef {{text: string | null, signal: AbortSignal, patience: number}} What */

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
      return await this.#asUser(method, path, { text, signal: giving.signal, patience });
    } catch (error) {
      if (error instanceof Problem && error.code === USER_CHANGED) this.userChanged(error);
      throw error;
    } finally {
      this.#unanswered.delete(giving);
    }
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

  /** @param {string} method @param {string} path @param {What} what */
  async #asUser(method, path, what) {
    const { endpoint, credentials } = this;
    const { renewals } = credentials;
    try {
      return await this.#once(method, path, what);
    } catch (error) {
      if (!needsSession(error)) throw error;
      // Unless another call has renewed it meanwhile.
      if (credentials.renewals === renewals) await credentials.renew();
      return this.#once(method, path, what);
    }
  }

  /** @param {string} method @param {string} path @param {What} what */
  async #once(method, path, what) {
    const token = await this.credentials.token();
    return request(this.endpoint, method, path, { ...what, token, user: this.credentials.user });
  }
}
