import { canonical } from "./identifier.js";
import { toJson } from "./json.js";
import { messageText } from "./letter.js";

/** @typedef {import("./types.js").Letter} Letter */
/** @typedef {import("./tab.js").Tab} Tab */

/**
 * A letter as it is kept. `text` is the JSON of its message, which is sent as it is, each time.
 * @typedef {Pick<Letter, "id" | "audience" | "type" | "body" | "written"> & {text: string}} Kept
 */

/** Entries that no version of this library can have written are moved here: nothing reads them again. */
const ASIDE = "interact.unreadable:";

/**
 * What is not sent yet, kept over a reload; per gateway, user and room. Each letter is an entry of its
 * own, so that pages do not overwrite each other's. Whatever the browser's storage does, or holds,
 * throws nothing here.
 */
export class LetterStore {
  /**
   * @param {Storage} storage
   * @param {string} prefix
   * @param {Tab} tab
   * @param {(entry: {key: string, text: string}) => void} unreadable is told, once, of each entry that is
   *   no letter
   */
  constructor(storage, prefix, tab, unreadable = () => {}) {
    this.storage = storage;
    this.prefix = prefix;
    this.tab = tab;
    this.unreadable = unreadable;
  }

  /** @param {Pick<Kept, "id" | "written" | "text">} letter @returns {boolean} false where the browser has no room */
  save({ id, written, text }) {
    const head = toJson({ written, tab: this.tab.id });
    return this.#write(this.prefix + id, `${head.slice(0, -1)},${text.slice(1)}`);
  }

  /** @param {string} id */
  remove(id) {
    this.#delete(this.prefix + id);
  }

  /** Letters that no living page will send, oldest first; they are this page's now. */
  async adopt() {
    /** @type {Kept[]} */
    const adopted = [];
    for (const key of this.#keys()) {
      const found = this.#read(key);
      if (found === null || found.tab === this.tab.id) continue;
      await this.tab.ifGone(found.tab, () => {
        // Meanwhile it may be another page's, or sent.
        const letter = this.#read(key);
        if (letter?.tab !== found.tab) return;
        this.save(letter);
        if (key !== this.prefix + letter.id) this.#delete(key);
        adopted.push(letter);
      });
    }
    return adopted.sort((a, b) => a.written - b.written);
  }

  #keys() {
    try {
      const keys = Array.from({ length: this.storage.length }, (_, n) => this.storage.key(n) ?? "");
      return keys.filter((key) => key.startsWith(this.prefix));
    } catch {
      // Storage that was forbidden, or broke, meanwhile: as if it were empty.
      return [];
    }
  }

  /** @param {string} key @returns {(Kept & {tab: string}) | null} */
  #read(key) {
    let text;
    try {
      text = this.storage.getItem(key);
    } catch {
      return null;
    }
    if (text === null) return null;
    const letter = letterOf(text, key.slice(this.prefix.length));
    if (letter === null) this.#setAside(key, text);
    return letter;
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
      // It stays, and is sent again by the next page: the same id makes that harmless.
    }
  }
}

/**
 * @param {string} text of an entry, by whoever wrote it
 * @param {string} name by which it is kept
 * @returns {(Kept & {tab: string}) | null} null if it is no letter
 */
function letterOf(text, name) {
  try {
    const { tab, written, body, ...given } = JSON.parse(text);
    const { audience, type } = given;
    const id = canonical(given.id);
    const isLetter =
      id !== null &&
      id === canonical(name) &&
      typeof tab === "string" &&
      Number.isFinite(written) &&
      (audience === "public" || audience === "private") &&
      typeof type === "string" &&
      body !== undefined;
    if (!isLetter) return null;
    const message = messageText({ ...given, id }, toJson(body));
    return { id, audience, type, body, written, tab, text: message };
  } catch {
    // Half written, or not ours.
    return null;
  }
}
