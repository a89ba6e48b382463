/**
 * What the gateway and a page say to each other, as types.
 *
 * @typedef {"public" | "private"} Audience
 * @typedef {"host" | "participant"} Role
 * @typedef {"guaranteed" | "instant"} Importance
 */

/** @typedef {{user: string, roles: string[], expires_at: string}} Session who I am, until when */

/**
 * `seq` is null for instant messages; guaranteed ones are 1, 2, 3 … per room and audience.
 * @typedef {object} Message
 * @property {string} id
 * @property {number} room
 * @property {Audience} audience
 * @property {number | null} seq
 * @property {string} sender
 * @property {"host" | "participant" | null} role what the sender was in the room when it was said; null: not known
 * @property {string} sent_at
 * @property {string} type
 * @property {any} body
 */

/**
 * One answer of the sync. `next`: ask again after this seq. Not `complete`: messages before `from` are
 * no longer kept.
 * @typedef {object} Page
 * @property {Message[]} messages
 * @property {number} head
 * @property {boolean} complete
 * @property {number} [from]
 * @property {number} [next]
 */

/**
 * The answer to a post: stored; `published` says whether the broker has it, too. `seq` is null for
 * instant ones.
 * @typedef {{id: string, seq: number | null, sent_at: string, published: boolean}} Receipt
 */

/**
 * `destinations` has what the caller's role may subscribe to; `role` is null for an admin who is no
 * member; `hosts` stands only where one room is asked about.
 * @typedef {object} RoomInfo
 * @property {number} id
 * @property {string} title
 * @property {string} created_at
 * @property {string | null} closed_at
 * @property {Role | null} role
 * @property {{public: string, private?: string, queue?: string}} destinations
 * @property {string[]} [hosts]
 */

/** @typedef {{user: string, role: Role, since: string}} Present somebody who is in the room */

/**
 * What a page has posted and not yet seen come back. `sending`: on its way; `waiting`: has to wait,
 * `problem` says why; `confirmed`: stored, its message comes; `refused`: for good, `problem` says why.
 * @typedef {object} Letter
 * @property {string} id
 * @property {Audience} audience
 * @property {string} type
 * @property {any} body
 * @property {number} written milliseconds since 1970
 * @property {boolean} saved whether it would outlive a reload: not where the browser keeps nothing, or has
 *   no room left
 * @property {"sending" | "waiting" | "confirmed" | "refused"} state
 * @property {import("./problem.js").Problem | null} problem
 */

/**
 * - `connecting`: dialling, or subscribing again
 * - `connected`: everything that is said arrives
 * - `waiting`: the line is down, it is dialled again at `retryAt`; posts wait, nothing is lost
 * - `unauthenticated`: waiting for a new token or session
 * - `refused`: the gateway lets us hear nothing: `reason` and `detail` say why. It goes on by itself when a
 *   room lets us in again ({@link Access}), unless `reason` is `kicked` or `origin_refused`
 * - `user_changed`: somebody else is logged in now in this browser: nothing is sent or heard any more
 * - `closed`: by the page
 *
 * `code` is the WebSocket's close code, `reason` the code of the ERROR frame or of a problem.
 * @typedef {object} State
 * @property {"connecting" | "connected" | "waiting" | "unauthenticated" | "refused" | "user_changed" |
 *   "closed"} name
 * @property {number | null} code
 * @property {string} reason
 * @property {string} detail
 * @property {number | null} retryAt milliseconds since 1970
 * @property {string | null} user of `user_changed`: who this page is
 * @property {string | null} other of `user_changed`: who is logged in now, if that is known
 */

/**
 * Whether a room lets the user in.
 *
 * - `unknown`: not asked yet
 * - `in`: as `role` (null: an admin who is no member)
 * - `out`: not, or not any more: `problem` says why. Asked again by itself while somebody wants to know
 * - `closed`: the room is; it can be read
 *
 * @typedef {object} Access
 * @property {"unknown" | "in" | "out" | "closed"} name
 * @property {Role | null} role
 * @property {import("./problem.js").Problem | null} problem
 */

export {};
