import { ApiError } from "./api-error.js";

/** Milliseconds after which a call counts as unanswered. */
const PATIENCE = 15_000;

/** @typedef {"public" | "private"} Audience */
/** @typedef {"host" | "participant"} Role */
/** @typedef {{user: string, roles: string[], expires_at: string}} Session */
/** @typedef {{user: string, role: Role}} Member */

/**
 * `destinations` has what the caller's role may subscribe to; `role` is null for an admin who is no
 * member.
 * @typedef {object} Room
 * @property {number} id
 * @property {string} title
 * @property {string} created_at
 * @property {string | null} closed_at
 * @property {Role | null} role
 * @property {{public: string, private?: string, queue?: string}} destinations
 */

/**
 * `seq` is null for instant messages.
 * @typedef {object} Message
 * @property {string} id
 * @property {number} room
 * @property {Audience} audience
 * @property {number | null} seq
 * @property {string} sender
 * @property {string} sent_at
 * @property {string} type
 * @property {unknown} body
 */

/**
 * One answer of the sync. `next`: ask again after this seq. Not `complete`: older ones are no longer
 * kept.
 * @typedef {{messages: Message[], head: number, complete: boolean, next?: number}} Page
 */

/** @typedef {{id: string, seq: number | null, sent_at: string, published: boolean}} Receipt */

/** The gateway's HTTP contract. Every call rejects with an {@link ApiError}. */
export class Api {
  /** @type {Promise<void> | null} */
  #authenticating = null;

  /**
   * @param {() => Promise<void>} authenticate resolves once the user has logged in again; calls that
   *   met a 401 are then made again
   */
  constructor(authenticate) {
    this.authenticate = authenticate;
  }

  /** Who is logged in; asks to log in if nobody is. @returns {Promise<Session>} */
  session() {
    return this.#call("GET", "/api/session");
  }

  /** @param {string} user @param {string} password @returns {Promise<Session>} */
  logIn(user, password) {
    return request("POST", "/api/session", { user, password });
  }

  /** @returns {Promise<void>} */
  logOut() {
    return request("DELETE", "/api/session");
  }

  /** @returns {Promise<Room[]>} */
  async rooms() {
    return (await this.#call("GET", "/api/rooms")).rooms;
  }

  /** @param {string} title @param {Member[]} members @returns {Promise<Room>} */
  createRoom(title, members) {
    return this.#call("POST", "/api/rooms", { title, members });
  }

  /** @param {number} room @returns {Promise<Room>} */
  room(room) {
    return this.#call("GET", `/api/rooms/${room}`);
  }

  /** @param {number} room @returns {Promise<Member[]>} */
  async members(room) {
    return (await this.#call("GET", `/api/rooms/${room}/members`)).members;
  }

  /** @param {number} room @param {Member} member @returns {Promise<Member>} */
  setMember(room, { user, role }) {
    return this.#call("PUT", `/api/rooms/${room}/members/${encodeURIComponent(user)}`, { role });
  }

  /** @param {number} room @param {string} user @returns {Promise<void>} */
  removeMember(room, user) {
    return this.#call("DELETE", `/api/rooms/${room}/members/${encodeURIComponent(user)}`);
  }

  /**
   * The same `id` again is safe: it is stored and published once.
   * @param {number} room
   * @param {{id: string, audience: Audience, body: string}} message
   * @returns {Promise<Receipt>}
   */
  post(room, message) {
    return this.#call("POST", `/api/rooms/${room}/messages`, message);
  }

  /**
   * @param {number} room
   * @param {{audience: Audience, after: number, limit: number}} query
   * @returns {Promise<Page>}
   */
  messages(room, { audience, after, limit }) {
    const query = new URLSearchParams({ audience, after: `${after}`, limit: `${limit}` });
    return this.#call("GET", `/api/rooms/${room}/messages?${query}`);
  }

  /** @param {string} method @param {string} path @param {object} [body] @returns {Promise<any>} */
  async #call(method, path, body) {
    for (;;) {
      try {
        return await request(method, path, body);
      } catch (error) {
        if (!(error instanceof ApiError && error.status === 401)) throw error;
        this.#authenticating ??= this.authenticate().finally(() => (this.#authenticating = null));
        await this.#authenticating;
      }
    }
  }
}

/** @param {string} method @param {string} path @param {object} [body] @returns {Promise<any>} */
export async function request(method, path, body) {
  /** @type {Response} */
  let response;
  let text;
  try {
    response = await fetch(path, {
      method,
      headers: body ? { "Content-Type": "application/json" } : {},
      body: body ? JSON.stringify(body) : null,
      signal: AbortSignal.timeout(PATIENCE),
    });
    text = await response.text();
  } catch (error) {
    throw new ApiError(0, "unreachable", `${error}`);
  }
  if (!response.ok) throw refusal(response, text);
  return text ? JSON.parse(text) : undefined;
}

/** @param {Response} response @param {string} text */
function refusal(response, text) {
  const seconds = Number(response.headers.get("Retry-After") ?? Number.NaN);
  const retryAfter = Number.isFinite(seconds) ? seconds * 1000 : null;
  const type = response.headers.get("Content-Type") ?? "";
  if (!type.startsWith("application/problem+json")) {
    // Not from the gateway: a proxy before it answers for it.
    return new ApiError(response.status, "unavailable", response.statusText, retryAfter);
  }
  const { code, detail } = JSON.parse(text);
  return new ApiError(response.status, code, detail, retryAfter);
}
