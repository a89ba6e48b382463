import { Problem } from "./problem.js";
import { request } from "./request.js";

/** @typedef {import("./credentials.js").Credentials} Credentials */
/** @typedef {import("./request.js").Line} Line */

/** The gateway's HTTP contract, as the page's user. Every call rejects with a {@link Problem}. */
export class Http {
  /** @param {Line} line @param {Credentials} credentials */
  constructor(line, credentials) {
    this.line = line;
    this.credentials = credentials;
  }

  /**
   * A call that meets the end of the token or session is made again with a new one.
   *
   * @param {string} method
   * @param {string} path
   * @param {object} [body]
   * @returns {Promise<any>}
   */
  async call(method, path, body) {
    const token = await this.credentials.token();
    try {
      return await request(this.line, method, path, { body, token });
    } catch (error) {
      if (!(error instanceof Problem && error.status === 401)) throw error;
      // Unless another call has renewed it meanwhile.
      if (token === (await this.credentials.token())) await this.credentials.renew();
      return request(this.line, method, path, { body, token: await this.credentials.token() });
    }
  }
}
