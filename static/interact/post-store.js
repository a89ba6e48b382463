import { canonical } from "./identifier.js";
import { toJson } from "./json.js";
import { messageText } from "./post-text.js";

/** @typedef {import("./types.js").PendingPost} PendingPost */
/** @typedef {import("./tab.js").Tab} Tab */

/**
 * A stored post. `text` is the JSON of its message, which is sent unchanged each time; `room` the identity of
 * the room that it was written in, if that was known; `order` is `written`, or later than all other orders where the
 * device's clock was set back meanwhile (a hybrid logical clock).
 * @typedef {Pick<PendingPost, "id" | "audience" | "type" | "body" | "written" | "keep" | "of" | "while"> &
 *   {text: string, room: string | null, order: number}} StoredPost
 */

/** The prefix under which entries that this library cannot have written are set aside, for good. */
const ASIDE = "interact.unreadable:";

/**
 * Unsent posts, kept over a reload; per gateway, user and room. Each post is an entry of its
 * own, so that pages do not overwrite each other's. Nothing here throws, whatever the browser's storage does
 * or holds.
 */
export class PostStore {
  /** The greatest {@link StoredPost.order} seen; null before the first look. @type {number | null} */
  #last = null;

  /**
   * @param {Storage} storage
   * @param {string} prefix
   * @param {Tab} tab
   * @param {(entry: {key: string, text: string}) => void} unreadable is called once for each entry that is
   *   not a post
   */
  constructor(storage, prefix, tab, unreadable = () => {}) {
    this.storage = storage;
    this.prefix = prefix;
    this.tab = tab;
    this.unreadable = unreadable;
  }

  /**
   * @param {Pick<StoredPost, "id" | "written" | "text" | "room"> & {order?: number}} post
   * @returns {boolean} false where the browser has no room
   */
  save({ id, written, text, room, order = Math.max(written, this.#newest() + 1) }) {
    this.#last = Math.max(this.#newest(), order);
    const head = toJson({ written, tab: this.tab.id, room, order });
    return this.#write(this.prefix + id, `${head.slice(0, -1)},${text.slice(1)}`);
  }

  /** @param {string} id */
  remove(id) {
    this.#delete(this.prefix + id);
  }

  /** Take over the posts that no living page will send, oldest first. */
  async adopt() {
    /** @type {StoredPost[]} */
    const adopted = [];
    for (const key of this.#keys()) {
      const found = this.#read(key);
      if (found === null || found.tab === this.tab.id) continue;
      await this.tab.ifGone(found.tab, () => {
        // Meanwhile another page may have taken or sent it.
        const now = this.#read(key);
        if (now?.tab !== found.tab) return;
        const { tab, ...post } = now;
        this.save(post);
        if (key !== this.prefix + post.id) this.#delete(key);
        adopted.push(post);
      });
    }
    return adopted.sort((a, b) => a.order - b.order || a.written - b.written);
  }

  #keys() {
    try {
      const keys = Array.from({ length: this.storage.length }, (_, n) => this.storage.key(n) ?? "");
      return keys.filter((key) => key.startsWith(this.prefix));
    } catch {
      // Storage that was forbidden or broke meanwhile is treated as empty.
      return [];
    }
  }

  /** @param {string} key @returns {(StoredPost & {tab: string}) | null} */
  #read(key) {
    const text = this.#get(key);
    if (text === null) return null;
    const post = postIn(text, key.slice(this.prefix.length));
    if (post === null) this.#setAside(key, text);
    return post;
  }

  /** @param {string} key */
  #get(key) {
    try {
      return this.storage.getItem(key);
    } catch {
      return null;
    }
  }

  /** What is written from now on comes after what other pages have left. @returns {number} */
  #newest() {
    if (this.#last !== null) return this.#last;
    const known = this.#keys().map((key) => postIn(this.#get(key), key.slice(this.prefix.length)));
    return (this.#last = Math.max(0, ...known.map((post) => post?.order ?? 0)));
  }

  /** @param {string} key @param {string} text */
  #setAside(key, text) {
    this.#delete(key);
    if (!this.#write(ASIDE + key, text)) this.#write(key, text);
    this.unreadable({ key, text });
  }

  /** @param {string} key @param {string} text */
  #write(key, text) {
    try {
      this.storage.setItem(key, text);
      return true;
    } catch {
      return false;
    }
  }

  /** @param {string} key */
  #delete(key) {
    try {
      this.storage.removeItem(key);
    } catch {
      // The entry stays, and the next page sends it again: harmless, because its id is the same.
    }
  }
}

/**
 * @param {string | null} text of an entry, whoever wrote it
 * @param {string} name by which it is kept
 * @returns {(StoredPost & {tab: string}) | null} null if it is no post
 */
function postIn(text, name) {
  if (text === null) return null;
  try {
    const { tab, written, body, room = null, order = written, ...given } = JSON.parse(text);
    const { audience, type } = given;
    const id = canonical(given.id);
    const isPost =
      id !== null &&
      id === canonical(name) &&
      typeof tab === "string" &&
      Number.isFinite(written) &&
      (room === null || typeof room === "string") &&
      Number.isFinite(order) &&
      ["keep", "of", "while"].every((name) => ["string", "undefined"].includes(typeof given[name])) &&
      (audience === "public" || audience === "private") &&
      typeof type === "string" &&
      body !== undefined;
    if (!isPost) return null;
    const message = messageText({ ...given, id }, toJson(body));
    return { ...given, id, audience, type, body, written, room, order, tab, text: message };
  } catch {
    // Half written, or not ours.
    return null;
  }
}
