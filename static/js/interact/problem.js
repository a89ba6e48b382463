/** No answer; a request that a proxy got too slowly (408), or too early (425); too many requests. */
const PASSING = new Set([0, 408, 425, 429]);

/**
 * Why a call failed: refused by the gateway (RFC 9457), or never answered (status 0).
 *
 * `code` is stable and for programs, `detail` is for people, in English.
 */
export class Problem extends Error {
  /**
   * @param {number} status of HTTP, 0 if there was no answer
   * @param {string} code
   * @param {string} detail
   * @param {number | null} retryAfter milliseconds
   */
  constructor(status, code, detail, retryAfter = null) {
    super(detail);
    this.name = "Problem";
    this.status = status;
    this.code = code;
    this.detail = detail;
    this.retryAfter = retryAfter;
  }

  /** Whether the same call may succeed later. */
  get passes() {
    return PASSING.has(this.status) || this.status >= 500;
  }
}
