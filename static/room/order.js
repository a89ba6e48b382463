/** @typedef {import("./classroom.js").Classroom} Classroom */

/** Seconds between two messages of one participant that a host can choose; 0: as they like. */
export const PACES = [0, 10, 30, 60, 300];

/** The type of the instant message that tells participants' pages to look at what hosts have decided about them. */
export const LOOK = "look";

/**
 * `chat`: whether participants write to everyone; `slow`: seconds between two messages of one of them; `approve`:
 * whether a host looks at each of them before it is shown.
 * @typedef {{chat: boolean, slow: number, approve: boolean}} Settings
 */

/**
 * A room's order: entries of the kept state that its hosts write and the gateway carries out (docs/reference/order.md).
 * What a participant knows of it is for the eye: the gateway decides.
 */
export class Order {
  #room;

  /** @param {Classroom} classroom @param {() => void} changed */
  constructor({ gatewayRoom, isHost, isReadOnly, signal }, changed) {
    this.#room = gatewayRoom;
    if (isReadOnly) return;
    gatewayRoom.addEventListener("state", changed, { signal });
    const subscriptions = [gatewayRoom.followState("public")];
    if (isHost) subscriptions.push(gatewayRoom.followState("private"));
    signal.addEventListener("abort", () => subscriptions.forEach((one) => one.close()));
  }

  /** As they are, or will be when what this page has ordered is stored. @returns {Settings} */
  get settings() {
    const ordered = this.#onItsWay("settings").at(-1);
    const body = ordered ? ordered.body : this.#room.state.public.get("settings")?.body;
    const { chat, slow, approve } = body ?? {};
    return { chat: chat !== false, slow: Number.isSafeInteger(slow) ? slow : 0, approve: approve === true };
  }

  /** The muted participants' names, in the same way. @returns {string[]} */
  get muted() {
    const muted = new Set(this.#standing.map(({ user }) => user));
    for (const { of, body } of this.#onItsWay("muted")) {
      if (of === undefined) continue;
      if (body === null) muted.delete(of);
      else muted.add(of);
    }
    return [...muted];
  }

  /** Whether this page's user is muted, as far as that is known. @param {string} me */
  isMuted(me) {
    const { private: own } = this.#room.state;
    return [own.get("muted", me), own.get(`muted:${me}`)].some((message) => message != null);
  }

  get #standing() {
    return this.#room.state.private.entries("muted").flatMap(({ key, author }) => {
      const user = userOf(key, author);
      return user === null ? [] : [{ key, author, user }];
    });
  }

  /** What this page has ordered, and the gateway has not confirmed. @param {string} key */
  #onItsWay(key) {
    return this.#room.waiting.filter((post) => post.keep === key && post.state !== "refused");
  }

  /** @param {Partial<Settings>} change */
  set(change) {
    this.#keep("settings", { ...this.settings, ...change }, { type: "settings" });
  }

  /** Hide a public message from everybody but hosts, or show it again. @param {number} seq @param {boolean} isHidden */
  hide(seq, isHidden) {
    this.#keep(`hidden:${seq}`, isHidden ? { seq } : null, { type: "hidden" });
  }

  /** @param {string} user */
  mute(user) {
    // Not every name can be in a key.
    this.#tell(this.#keep("muted", { user }, { audience: "private", type: "muted", of: user }));
  }

  /** @param {string} user */
  unmute(user) {
    for (const { key, author, user: muted } of this.#standing) {
      if (muted !== user) continue;
      const of = author === null ? {} : { of: author };
      this.#tell(this.#keep(key, null, { audience: "private", type: "muted", ...of }));
    }
  }

  /**
   * Tell all, once it is stored, that somebody is muted or is so no more: not who. Nothing private is sent to
   * participants, so this tells their pages to look.
   *
   * @param {Promise<unknown>} stored
   */
  #tell(stored) {
    const tell = () => this.#room.post({}, { type: LOOK, importance: "instant" });
    stored.then(tell, () => {}).catch(() => {});
  }

  /** @param {string} key @param {object | null} body @param {Parameters<Classroom["gatewayRoom"]["keep"]>[2]} options */
  #keep(key, body, options) {
    // A refusal stands in the conversation, with its reason; a newer order replaces an older one.
    const stored = this.#room.keep(key, body, options);
    stored.catch(() => {});
    return stored;
  }
}

/** Whom an entry mutes. @param {string} key @param {string | null} author */
function userOf(key, author) {
  if (key === "muted") return author;
  return key.startsWith("muted:") ? key.slice("muted:".length) : null;
}
