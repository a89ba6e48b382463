/** No answer; a request that reached a proxy too slowly (408) or too early (425); too many requests. */
const PASSING = new Set([0, 408, 425, 429]);

/**
 * Why a call failed: refused by the gateway (RFC 9457) or by the library, or never answered (status 0).
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
    /** Whether a function of the page has thrown it; then the function is not called again. */
    this.isFromPage = false;
  }

  /** Whether the same call may succeed later. */
  get passes() {
    return PASSING.has(this.status) || this.status >= 500;
  }
}

/** Another user, whose name may not be known yet, is logged in in this browser now. */
export class UserChanged extends Problem {
  /** @param {string | null} other */
  constructor(other = null) {
    super(401, USER_CHANGED, "somebody else is logged in now: load the page again");
    this.other = other;
  }
}

/** The room of this number is another one than the page knows. The code of the gateway's problem, and of its ERROR frame. */
export const ROOM_REPLACED = "room_replaced";

/** The code of the gateway's problem, and of its ERROR frame. */
export const USER_CHANGED = "user_changed";

/**
 * Whether the gateway refuses this user, or the room is closed.
 *
 * @param {unknown} error
 * @returns {error is Problem}
 */
export function isRefusal(error) {
  return error instanceof Problem && [403, 404, 410].includes(error.status);
}

/**
 * Whether there is no session, and asking for one is of use.
 *
 * @param {unknown} error
 * @returns {error is Problem}
 */
export function needsSession(error) {
  if (!(error instanceof Problem) || error.status !== 401) return false;
  return error.code !== USER_CHANGED && !error.isFromPage;
}
