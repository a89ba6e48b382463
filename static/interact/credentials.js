import { Term } from "./clock.js";
import { lifetime } from "./jwt.js";
import { Problem, UserChanged } from "./problem.js";
import { expected, request } from "./request.js";

/** @typedef {import("./request.js").TimedEndpoint} Endpoint */
/** @typedef {import("./types.js").Session} Session */

/** @typedef {string | (() => string | Promise<string>)} TokenSource */

/**
 * Proof of who the page's user is. All rejections are {@link Problem}s.
 * @typedef {object} Credentials
 * @property {() => Promise<string | null>} token for a call or a CONNECT; null where a cookie proves it.
 *   Rejects with status 401 where there is no session
 * @property {() => Promise<string | null>} renew gets new ones, once for concurrent callers, and
 *   resolves with the new token, if there is one
 * @property {() => Promise<void>} check rejects with status 401 if they are known to have ended, or to belong to
 *   somebody else's
 * @property {() => Session | null} news the session, if it has just been asked for; once
 * @property {(session: Session) => void} identify takes the gateway's answer; throws
 *   {@link UserChanged}
 * @property {string | null} user the page's user, from the gateway's first answer on
 * @property {readonly string[]} roles the user's system roles, by its last answer
 * @property {Term | null} term when they end; null if unknown
 * @property {number} renewals how often they were renewed
 * @property {boolean} renewsItself whether {@link renew} works without the user
 */

/** Milliseconds for which an answer is news. */
const NEWS = 1_000;

/** A JWT that goes with every call. @implements {Credentials} */
export class TokenCredentials {
  /** @type {string | null} */
  user = null;
  /** @type {readonly string[]} */
  roles = [];
  /** @type {Term | null} */
  term = null;
  renewals = 0;
  /** @type {string | null} */
  #token = null;
  /** @type {Promise<string> | null} */
  #renewing = null;

  /** @param {Pick<Endpoint, "clock">} endpoint @param {TokenSource} source */
  constructor({ clock }, source) {
    this.clock = clock;
    this.source = typeof source === "function" ? asking(source) : source;
  }

  get renewsItself() {
    return typeof this.source === "function";
  }

  async token() {
    return this.#token ?? this.renew();
  }

  renew() {
    this.#renewing ??= this.#get().finally(() => (this.#renewing = null));
    return this.#renewing;
  }

  async check() {}

  news() {
    return null;
  }

  /** @param {Session} session */
  identify({ user, roles = [] }) {
    this.user ??= user;
    this.roles = roles;
    if (user !== this.user) throw new UserChanged(user);
  }

  async #get() {
    let token = this.source;
    if (typeof token === "function") token = await token();
    else if (this.#token !== null) {
      throw new Problem(401, "token_expired", "the token has ended, and there is no other one");
    }
    if (typeof token !== "string") {
      throw new Problem(0, "no_credentials", "the page's function for a token gave no text");
    }
    this.#token = token;
    this.renewals += 1;
    const told = lifetime(token);
    this.term = told && new Term(told.endsAt, told.lasts, this.clock);
    return token;
  }
}

/**
 * The session cookie. With a token source, a token is traded for it whenever it ends; with a function, the page
 * gets a new one (a login form); otherwise it is used as it is.
 * @implements {Credentials}
 */
export class CookieCredentials {
  /** The session's first user. @type {string | null} */
  user = null;
  /** @type {readonly string[]} */
  roles = [];
  /** @type {Term | null} */
  term = null;
  renewals = 0;
  /** @type {Promise<string | null> | null} */
  #renewing = null;
  /** @type {Promise<void> | null} */
  #checking = null;
  /** What the gateway has said last, and when. @type {{session: Session, at: number} | null} */
  #news = null;

  /**
   * @param {Endpoint} endpoint
   * @param {true | (() => Promise<unknown>)} cookie
   * @param {TokenSource | null} source
   * @param {(user: string) => void} told is called with the user of the session
   */
  constructor(endpoint, cookie, source, told = () => {}) {
    this.endpoint = endpoint;
    this.logIn = cookie === true ? null : asking(cookie);
    this.tokens = source === null ? null : new TokenCredentials(endpoint, source);
    this.told = told;
  }

  get renewsItself() {
    return this.tokens?.renewsItself ?? false;
  }

  async token() {
    // From here on everything is sent as this user, or not at all.
    if (this.user === null) await (this.tokens ? this.renew() : this.check());
    return null;
  }

  renew() {
    this.#renewing ??= this.#get().finally(() => (this.#renewing = null));
    return this.#renewing;
  }

  check() {
    this.#checking ??= this.#ask().finally(() => (this.#checking = null));
    return this.#checking;
  }

  /** @param {Session} session */
  identify({ user, roles = [], expires_at }) {
    this.user ??= user;
    this.roles = roles;
    this.told(user);
    if (user !== this.user) throw new UserChanged(user);
    const endsAt = Date.parse(expires_at);
    this.term = Number.isNaN(endsAt) ? null : new Term(endsAt, null, this.endpoint.clock);
  }

  async #get() {
    let token = null;
    if (this.tokens) {
      token = await this.tokens.renew();
      this.identify(await sessionOf(this.endpoint, "POST", { token }));
    } else {
      await this.logIn?.();
      // Or another tab has logged in meanwhile.
      await this.#ask();
    }
    this.renewals += 1;
    return token;
  }

  news() {
    const news = this.#news;
    this.#news = null;
    return news && this.endpoint.clock.elapsed() - news.at < NEWS ? news.session : null;
  }

  async #ask() {
    const session = await sessionOf(this.endpoint, "GET");
    this.identify(session);
    this.#news = { session, at: this.endpoint.clock.elapsed() };
  }
}

/**
 * The session that the browser has, requested without naming the expected user.
 *
 * @param {Endpoint} endpoint
 * @param {"GET" | "POST"} method
 * @param {object} [body]
 * @returns {Promise<Session>}
 */
export async function sessionOf(endpoint, method, body) {
  const session = await request(endpoint, method, "/api/session", { body });
  return expected(session, typeof session?.user === "string");
}

/**
 * A function of the page, called as often as needed. Its failure is temporary, unless it throws a Problem
 * that says otherwise: then it is not called again.
 *
 * @template T
 * @param {() => T | Promise<T>} source
 * @returns {() => Promise<T>}
 */
function asking(source) {
  /** @type {Problem | null} */
  let last = null;
  return async () => {
    if (last !== null) throw last;
    try {
      return await source();
    } catch (error) {
      if (!(error instanceof Problem)) throw new Problem(0, "no_credentials", `${error}`);
      error.isFromPage = true;
      if (!error.passes) last = error;
      throw error;
    }
  };
}
