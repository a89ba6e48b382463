import { PATH } from "../interact/gateway-address.js";
import { Problem } from "../interact/problem.js";
import { request } from "../interact/request.js";

/** @typedef {import("./picture.js").State} State */
/** @typedef {import("./picture.js").Sample} Sample */

/**
 * @typedef {object} Connection
 * @property {string} gateway
 * @property {string} id
 * @property {string | null} user
 * @property {number[]} rooms
 * @property {string} address
 * @property {string} since
 * @property {string | null} node null: it is served by the hub
 * @property {number} frames_in
 * @property {number} frames_out
 * @property {number} bytes_in
 * @property {number} bytes_out
 * @property {number} backlog
 * @property {string} heard_at
 * @property {string | null} expires_at
 */

/**
 * @typedef {object} Page
 * @property {string} at the gateway's time
 * @property {Connection[]} connections
 * @property {number} total
 * @property {number} matching
 * @property {Record<string, string>} missing
 * @property {string} [next]
 */

/** @typedef {{search: string, sort: string, order: "ascending" | "descending", size?: string, after?: string}} Query */
/**
 * @typedef {object} Entry an entry of the journal
 * @property {number} id
 * @property {string} at
 * @property {string} gateway
 * @property {string} kind
 * @property {string} code
 * @property {string} [detail]
 * @property {number} [status]
 * @property {number} [client_status]
 * @property {string} [user]
 * @property {string} [by]
 * @property {number} [room]
 * @property {string} [address]
 * @property {string} [node]
 * @property {string} [connection]
 * @property {string} [browser]
 * @property {string} [since]
 * @property {number} [bytes_in]
 * @property {number} [bytes_out]
 */
/** As `GET /api/admin/events` takes them. @typedef {Record<string, string>} Criteria */
/**
 * @typedef {object} Room
 * @property {string} title
 * @property {string} created_at
 * @property {string | null} closed_at
 * @property {number} members
 * @property {string[]} hosts
 * @property {Record<string, {head: number, first: number, bytes: number, lately: number, unpublished: number}>} streams
 * @property {string[]} open_polls
 * @property {{number: number, due: string | null, messages?: number, consumers?: number, problem?: string}} private_queue
 */
/**
 * @typedef {object} Passage what a gateway knows of a message; without `delivered` nobody follows its topic there
 * @property {string} gateway
 * @property {{request: string, stored_at: string, answered_at?: string, confirmed: boolean}[]} posts
 * @property {number} subscribers
 * @property {boolean} [delivered]
 */
/**
 * @typedef {object} Trace a stored message, without its body
 * @property {string} id
 * @property {number} room
 * @property {string} audience
 * @property {number} seq
 * @property {string} [sender]
 * @property {string} type
 * @property {string} sent_at
 * @property {number} bytes
 * @property {boolean} published
 * @property {Passage[]} gateways
 */
/** What each gateway did, and who did not answer. @typedef {{done: Record<string, number>, missing: Record<string, string>}} Done */

/** Refusals that concern whoever has logged in: somebody else may be let in. */
const OF_THE_USER = new Set(["access_refused", "kept_out"]);

/** `/api/admin`. Every call rejects with a {@link Problem}. */
export class AdminApi {
  /**
   * @param {import("../interact/request.js").Endpoint} endpoint
   * @param {(refusal: Problem) => Promise<unknown>} authenticate resolves once somebody else has
   *   logged in, or the same user again
   */
  constructor(endpoint, authenticate) {
    this.endpoint = endpoint;
    this.authenticate = authenticate;
  }

  /** @param {string} user @param {string} password */
  logIn(user, password) {
    return request(this.endpoint, "POST", "/api/session", { body: { user, password } });
  }

  logOut() {
    return request(this.endpoint, "DELETE", "/api/session", {});
  }

  /** @param {Query} query @returns {Promise<Page>} */
  connections(query) {
    return this.call("GET", `/api/admin/connections?${new URLSearchParams({ ...query })}`);
  }

  /** The charts' past. @param {number} hours @returns {Promise<{gateways: Record<string, Sample[]>}>} */
  past(hours) {
    return this.call("GET", `/api/admin/history?hours=${hours}`);
  }

  /** @param {Criteria} criteria @returns {Promise<{events: Entry[], next?: string}>} */
  journal(criteria) {
    return this.call("GET", `/api/admin/events?${new URLSearchParams(criteria)}`);
  }

  /** @param {string} room @returns {Promise<Room>} */
  room(room) {
    return this.call("GET", `/api/admin/rooms/${encodeURIComponent(room)}`);
  }

  /** The messages of an id. @param {string} id @returns {Promise<{messages: Trace[], missing: Record<string, string>}>} */
  message(id) {
    return this.call("GET", `/api/admin/messages/${encodeURIComponent(id)}`);
  }

  /** Who is logged in. @returns {Promise<import("../interact/types.js").Session>} */
  session() {
    return this.call("GET", "/api/session");
  }

  /**
   * @param {{user: string, until?: string, reason?: string} | {gateway: string, connection: string}} target
   * @returns {Promise<Done>}
   */
  disconnect(target) {
    return this.call("POST", "/api/admin/disconnect", target);
  }

  /** @param {{node: string} | {gateway: string}} target @returns {Promise<Done>} */
  drain(target) {
    return this.call("POST", "/api/admin/drain", target);
  }

  /** @param {{node: string}} target @returns {Promise<Done>} */
  resume(target) {
    return this.call("POST", "/api/admin/resume", target);
  }

  /**
   * The state of the gateways, each second, for as long as the page is open.
   *
   * @param {{told: (state: State) => void, lost: () => void}} listener
   */
  follow({ told, lost }) {
    const source = new EventSource(`${PATH}/api/admin/live`);
    source.onmessage = ({ data }) => told(JSON.parse(data));
    source.onerror = async () => {
      lost();
      // In all other cases the browser connects again by itself.
      if (source.readyState !== EventSource.CLOSED) return;
      await new Promise((resolve) => setTimeout(resolve, 2_000));
      // An EventSource gives no reason. This call does, and asks for a login where that helps.
      await this.connections({ search: "", sort: "since", order: "ascending" }).catch(() => {});
      this.follow({ told, lost });
    };
  }

  /**
   * One call, which asks for a login where that helps.
   *
   * @param {string} method @param {string} path @param {object} [body] @returns {Promise<any>}
   */
  async call(method, path, body) {
    for (;;) {
      try {
        return await request(this.endpoint, method, path, body ? { body } : {});
      } catch (error) {
        if (!(error instanceof Problem && (error.status === 401 || OF_THE_USER.has(error.code)))) throw error;
        await this.authenticate(error);
      }
    }
  }
}
