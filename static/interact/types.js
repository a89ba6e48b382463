/**
 * The data between the gateway and a page, as types.
 *
 * @typedef {"public" | "private"} Audience
 * @typedef {"host" | "participant"} Role
 * @typedef {"guaranteed" | "instant"} Importance
 */

/** @typedef {{user: string, roles: string[], expires_at: string, name?: string, guest_of?: number}} Session the user, what is shown beside the name, when the session ends, and of a guest the only room */

/**
 * `seq` is null for instant messages; guaranteed ones are 1, 2, 3 … per room and audience.
 * @typedef {object} Message
 * @property {string} id
 * @property {number} room
 * @property {Audience} audience
 * @property {number | null} seq
 * @property {string} sender
 * @property {string} [name] what was shown beside the sender's name then
 * @property {"host" | "participant" | null} role the sender's role in the room at that time; null: not known
 * @property {string} sent_at
 * @property {string} type
 * @property {any} body
 * @property {string} [keep] the key under which it is the room's kept state
 * @property {string} [of] the user whose entry it is, where a host has written it
 * @property {number} [place] the seq at which it waited for a host's approval; of the type `refused`: that of the
 *   message that was not approved
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
 * One answer to a question for a room's kept state. `whole`: it begins from nothing, what was known before counts no
 * more. Not `complete`: ask again after `seq`.
 * @typedef {{state: Message[], seq: number, whole: boolean, complete: boolean}} StatePage
 */

/**
 * An entry of a room's kept state; `author` is null for the room's own, by its hosts.
 * @typedef {{key: string, author: string | null, message: Message}} KeptEntry
 */

/**
 * A change of an entry: `message` is null once it is cleared, `before` is null where it is new.
 * @typedef {{key: string, author: string | null, message: Message | null, before: Message | null}} KeptChange
 */

/**
 * The answer to a post: stored; `published` says whether the broker has it, too. `seq` is null for
 * instant ones. `pending`: it has to wait for a host's approval, and only its place has this `seq`.
 * @typedef {{id: string, seq: number | null, sent_at: string, published: boolean, pending?: boolean}} Receipt
 */

/**
 * `destinations` has what the caller's role may subscribe to; `role` is null for an admin who is no
 * member; `hosts` stands only where one room is asked about. `identity` tells the room from one that had the same
 * number in a database that was lost; older gateways do not give it.
 * @typedef {object} RoomInfo
 * @property {number} id
 * @property {string} [identity]
 * @property {string} title
 * @property {string} created_at
 * @property {string | null} closed_at
 * @property {Role | null} role
 * @property {{public: string, private?: string, queue?: string}} destinations
 * @property {string[]} [hosts]
 */

/** @typedef {{user: string, role: Role, since: string, name?: string}} Present somebody who is in the room */

/**
 * A post whose message has not arrived yet. `sending`: on its way; `waiting`: has to wait,
 * `problem` says why; `confirmed`: stored, its message will come; `refused`: for good, `problem` says why.
 * @typedef {object} PendingPost
 * @property {string} id
 * @property {Audience} audience
 * @property {string} type
 * @property {any} body
 * @property {string} [keep] the key under which it will be the room's kept state
 * @property {string} [of] the user whose entry it is, where a host writes it
 * @property {string} [while] the key whose entry must stand
 * @property {number} written milliseconds since 1970
 * @property {boolean} saved whether it would survive a reload: false where the browser stores nothing, or has
 *   no room left
 * @property {"sending" | "waiting" | "confirmed" | "refused"} state
 * @property {import("./problem.js").Problem | null} problem
 */

/**
 * - `connecting`: dialling, or subscribing again
 * - `connected`: every message arrives
 * - `waiting`: the connection is down, it is dialled again at `retryAt`; posts wait, nothing is lost
 * - `unauthenticated`: waiting for a new token or session
 * - `refused`: the gateway refuses all subscriptions: `reason` and `detail` say why. It continues by itself when a
 *   room admits us again ({@link Access}), unless `reason` is `kept_out`, `kicked`, `origin_refused` or `credentials_differ`
 * - `user_changed`: another user is logged in in this browser now: nothing is sent or received any more
 * - `closed`: the page has closed it
 *
 * `code` is the WebSocket's close code, `reason` the code of the ERROR frame or of a problem. `via`: what messages
 * come by: `events` (server-sent events) where WebSocket is blocked; everything works, and it comes back by itself.
 * @typedef {"websocket" | "events"} Via
 * @typedef {object} State
 * @property {"connecting" | "connected" | "waiting" | "unauthenticated" | "refused" | "user_changed" |
 *   "closed"} name
 * @property {number | null} code
 * @property {string} reason
 * @property {string} detail
 * @property {number | null} retryAt milliseconds since 1970
 * @property {string | null} user of `user_changed`: the page's user
 * @property {string | null} other of `user_changed`: the user who is logged in now, if known
 * @property {Via} via
 */

/**
 * Whether a room admits the user.
 *
 * - `unknown`: not asked yet
 * - `in`: yes, as `role` (null: an admin who is no member)
 * - `out`: no, or not any more; `problem` says why. The room is asked again while a page wants to know
 * - `closed`: the room is closed; its history can be read
 *
 * @typedef {object} Access
 * @property {"unknown" | "in" | "out" | "closed"} name
 * @property {Role | null} role
 * @property {import("./problem.js").Problem | null} problem
 */

export {};
