import { expiry } from "./jwt.js";
import { Problem } from "./problem.js";
import { request } from "./request.js";

/** @typedef {import("./request.js").Line} Line */
/** @typedef {import("./types.js").Session} Session */

/** @typedef {string | (() => string | Promise<string>)} TokenSource */

/**
 * Says who the page's user is. All rejections are {@link Problem}s.
 * @typedef {object} Credentials
 * @property {() => Promise<string | null>} token for a call or a CONNECT; null where a cookie says it
 * @property {() => Promise<string | null>} renew gets new ones, once for all who ask at a time, and
 *   resolves with the new token, if there is one
 * @property {() => Promise<void>} check rejects with status 401 if they are known to have ended
 * @property {number | null} endsAt milliseconds since 1970; null if unknown
 * @property {boolean} renewsItself whether {@link renew} bothers nobody
 */

/** A JWT that goes with every call. @implements {Credentials} */
export class TokenCredentials {
  /** @type {string | null} */
  #token = null;
  /** @type {Promise<string> | null} */
  #renewing = null;

  /** @param {TokenSource} source */
  constructor(source) {
    this.source = source;
  }

  get endsAt() {
    return this.#token === null ? null : expiry(this.#token);
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

  async #get() {
    if (typeof this.source === "function") this.#token = await asked(this.source);
    else if (this.#token === null) this.#token = this.source;
    else throw new Problem(401, "token_expired", "the token has ended, and there is no other one");
    return this.#token;
  }
}

/**
 * The session cookie. With a token source it is traded for, again and again; with a function, the page
 * gets a new one (a login form); else it is what it is.
 * @implements {Credentials}
 */
export class CookieCredentials {
  /** @type {number | null} */
  endsAt = null;
  /** Whose session it was first. @type {string | null} */
  #user = null;
  #traded = false;
  /** @type {Promise<string | null> | null} */
  #renewing = null;

  /**
   * @param {Line} line
   * @param {true | (() => Promise<unknown>)} cookie
   * @param {TokenSource | null} source
   */
  constructor(line, cookie, source) {
    this.line = line;
    this.cookie = cookie;
    this.tokens = source === null ? null : new TokenCredentials(source);
  }

  get renewsItself() {
    return this.tokens?.renewsItself ?? false;
  }

  async token() {
    if (this.tokens && !this.#traded) await this.renew();
    return null;
  }

  renew() {
    this.#renewing ??= this.#get().finally(() => (this.#renewing = null));
    return this.#renewing;
  }

  async check() {
    this.#note(await request(this.line, "GET", "/api/session", {}));
  }

  async #get() {
    if (this.tokens) {
      const token = await this.tokens.renew();
      this.#note(await request(this.line, "POST", "/api/session", { body: { token } }));
      this.#traded = true;
      return token;
    }
    if (typeof this.cookie === "function") await asked(this.cookie);
    // Or another tab has logged in meanwhile.
    await this.check();
    return null;
  }

  /** @param {Session} session */
  #note({ user, expires_at }) {
    this.#user ??= user;
    if (user !== this.#user) {
      throw new Problem(401, "user_changed", "somebody else is logged in now: load the page again");
    }
    this.endsAt = Date.parse(expires_at);
  }
}

/**
 * What a function of the page's gives. That it fails may pass, unless it throws a Problem that says
 * otherwise.
 *
 * @template T
 * @param {() => T | Promise<T>} source
 * @returns {Promise<T>}
 */
async function asked(source) {
  try {
    return await source();
  } catch (error) {
    throw error instanceof Problem ? error : new Problem(0, "no_credentials", `${error}`);
  }
}
