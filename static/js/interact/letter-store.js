/** @typedef {import("./types.js").Letter} Letter */
/** @typedef {import("./tab.js").Tab} Tab */

/** @typedef {Pick<Letter, "id" | "audience" | "type" | "body" | "written">} Kept */

/**
 * What is not sent yet, kept over a reload; per gateway, user and room. Each letter is an entry of its
 * own, so that pages do not overwrite each other's.
 */
export class LetterStore {
  /** @param {Storage} storage @param {string} prefix @param {Tab} tab */
  constructor(storage, prefix, tab) {
    this.storage = storage;
    this.prefix = prefix;
    this.tab = tab;
  }

  /** @param {Kept} letter @returns {boolean} false where the browser has no room for it */
  save({ id, audience, type, body, written }) {
    const entry = JSON.stringify({ id, audience, type, body, written, tab: this.tab.id });
    try {
      this.storage.setItem(this.prefix + id, entry);
      return true;
    } catch (error) {
      if (!(error instanceof DOMException)) throw error;
      return false;
    }
  }

  /** @param {string} id */
  remove(id) {
    this.storage.removeItem(this.prefix + id);
  }

  /** Letters that no living page will send, oldest first; they are this page's now. */
  async adopt() {
    /** @type {Kept[]} */
    const adopted = [];
    for (const { id, tab } of this.#entries()) {
      if (tab === this.tab.id) continue;
      await this.tab.ifGone(tab, () => {
        // Meanwhile it may be another page's, or sent.
        const letter = this.#read(id);
        if (letter?.tab !== tab) return;
        this.save(letter);
        adopted.push(letter);
      });
    }
    return adopted.sort((a, b) => a.written - b.written);
  }

  #entries() {
    const keys = Array.from({ length: this.storage.length }, (_, n) => this.storage.key(n) ?? "");
    return keys.flatMap((key) =>
      key.startsWith(this.prefix) ? (this.#read(key.slice(this.prefix.length)) ?? []) : [],
    );
  }

  /** @param {string} id @returns {(Kept & {tab: string}) | null} */
  #read(id) {
    return JSON.parse(this.storage.getItem(this.prefix + id) ?? "null");
  }
}
