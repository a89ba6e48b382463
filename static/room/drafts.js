/**
 * Unsent texts, kept over reloads and crashes; per user and place (a room, a form).
 *
 * Nothing depends on them: where the browser stores nothing, or something else than we stored, there
 * is no draft.
 */

import { PATH } from "../interact/gateway-address.js";

/** The most drafts that are kept, of all users of this browser; the oldest ones are removed. */
export const MOST_DRAFTS = 30;
/** The most characters of one, as it is stored. */
export const LONGEST_DRAFT = 60_000;

const PREFIX = `interact.draft${PATH}:`;

export class Drafts {
  /**
   * @param {Pick<Storage, "length" | "key" | "getItem" | "setItem" | "removeItem"> | null} storage
   * @param {string} user
   * @param {() => number} now milliseconds since 1970
   */
  constructor(storage, user, now = Date.now) {
    this.storage = storage;
    this.user = user;
    this.now = now;
  }

  /** @param {string} place @returns {Draft} */
  of(place) {
    const key = `${PREFIX}${encodeURIComponent(this.user)}:${place}`;
    return {
      read: () => this.#read(key)?.what ?? null,
      keep: (what) => (what === null ? this.#remove(key) : this.#keep(key, what)),
    };
  }

  /** @param {string} key @returns {{at: number, what: any} | null} */
  #read(key) {
    try {
      const kept = JSON.parse(this.storage?.getItem(key) ?? "null");
      return typeof kept?.at === "number" ? kept : null;
    } catch {
      // The browser refuses (SecurityError), or another program has written there.
      return null;
    }
  }

  /** @param {string} key @param {unknown} what */
  #keep(key, what) {
    const entry = JSON.stringify({ at: this.now(), what });
    if (entry.length > LONGEST_DRAFT) return this.#remove(key);
    try {
      this.storage?.setItem(key, entry);
      this.#drop();
    } catch {
      // Storage is full or refused: an older draft must not come back in its place.
      this.#remove(key);
    }
  }

  /** @param {string} key */
  #remove(key) {
    try {
      this.storage?.removeItem(key);
    } catch {
      // Refused: then there is none.
    }
  }

  /** Remove the oldest drafts if there are too many. */
  #drop() {
    const { storage } = this;
    if (storage === null) return;
    const keys = Array.from({ length: storage.length }, (_, n) => storage.key(n) ?? "").filter((key) =>
      key.startsWith(PREFIX),
    );
    if (keys.length <= MOST_DRAFTS) return;
    const ages = new Map(keys.map((key) => [key, this.#read(key)?.at ?? 0]));
    keys.sort((one, other) => (ages.get(one) ?? 0) - (ages.get(other) ?? 0));
    for (const key of keys.slice(0, keys.length - MOST_DRAFTS)) this.#remove(key);
  }
}

/**
 * One draft. `read` returns what was kept last, or null; it may be any JSON, so the reader
 * checks it. `keep(null)` forgets it.
 * @typedef {{read: () => any, keep: (what: unknown) => void}} Draft
 */
