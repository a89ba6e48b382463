import { isMessage } from "./message.js";

/** @typedef {import("./types.js").Message} Message */
/** @typedef {import("./types.js").KeptChange} KeptChange */
/** @typedef {import("./types.js").KeptEntry} KeptEntry */
/** @typedef {import("./types.js").StatePage} StatePage */

/**
 * What is known of one entry; `message` is null once it was cleared.
 * @typedef {{key: string, author: string | null, seq: number, message: Message | null}} Known
 */

/**
 * The kept state of one stream: the newest message of each entry, put together from the gateway's answers and
 * from messages as they come, in any order and repeated. Pure.
 */
export class KeptFold {
  /** Cleared ones only above {@link seq}: below, their older messages are recognised by it. @type {Map<string, Known>} */
  #entries = new Map();
  /** The newest of each entry that has come since {@link begin}. @type {Map<string, Message>} */
  #since = new Map();
  /** The entries that a read from nothing has brought so far. @type {Map<string, Known> | null} */
  #next = null;
  #seq = 0;
  #isWhole = false;

  /** The seq up to which every change is known. */
  get seq() {
    return this.#seq;
  }

  /** Whether the state was read once. */
  get isWhole() {
    return this.#isWhole;
  }

  /** @param {string} key @param {string | null} author null: the room's own entry @returns {Message | null} */
  get(key, author = null) {
    return this.#entries.get(nameOf(key, author))?.message ?? null;
  }

  /** The standing entries, in the order of seq. @param {string} prefix of the keys @returns {KeptEntry[]} */
  entries(prefix = "") {
    const found = [...this.#entries.values()].filter(({ key }) => key.startsWith(prefix));
    return inOrder(found).flatMap(({ key, author, message }) =>
      message === null ? [] : [{ key, author, message }],
    );
  }

  /** The next read begins from nothing: the user may see something else now. */
  doubt() {
    this.#isWhole = false;
  }

  /** A read begins. */
  begin() {
    this.#since = new Map();
    this.#next = null;
  }

  /**
   * One answer of a read.
   *
   * @param {StatePage} page
   * @returns {KeptChange[]} what it has changed; a state from nothing counts only when it is complete
   */
  read({ state, seq, whole, complete }) {
    if (whole) this.#next = new Map();
    const next = this.#next;
    if (next === null) {
      const changes = state.flatMap((message) => put(this.#entries, message));
      this.#reach(Math.max(this.#seq, seq));
      return changes;
    }
    for (const message of state) put(next, message);
    if (!complete) return [];
    // Up to seq the answers say everything, also of what came meanwhile and was cleared since.
    for (const message of this.#since.values()) {
      if (Number(message.seq) > seq) put(next, message);
    }
    const before = this.#entries;
    this.#entries = next;
    this.#next = null;
    this.#isWhole = true;
    this.#reach(seq);
    return differences(before, next);
  }

  /** A message that has come, whether it is kept or not. @param {Message} message @returns {KeptChange[]} */
  take(message) {
    const { seq, sender } = message;
    if (seq === null || (this.#isWhole && seq <= this.#seq)) return [];
    const name = nameOf(...entryOf(message));
    /** @type {KeptChange[]} */
    let changes = [];
    if (isKept(message)) {
      changes = put(this.#entries, message);
      if (seq > (this.#since.get(name)?.seq ?? 0)) this.#since.set(name, message);
    }
    // While a read from nothing is under way, its answer decides what is known. What stands in the place of a message
    // that was hidden or deleted has no sender, and does not say what that one kept.
    if (this.#isWhole && seq === this.#seq + 1 && this.#next === null && sender !== "") {
      this.#seq = seq;
      const known = this.#entries.get(name);
      if (known?.message === null && known.seq === seq) this.#entries.delete(name);
    }
    return changes;
  }

  /**
   * Hosts have hidden a message: if it stands as an entry, that is gone, as it is for those who come now.
   *
   * @param {number} hidden its seq
   * @returns {KeptChange[]}
   */
  hide(hidden) {
    for (const [name, { key, author, seq, message }] of this.#entries) {
      if (seq !== hidden || message === null || isOrder(key)) continue;
      this.#entries.delete(name);
      return [{ key, author, message: null, before: message }];
    }
    return [];
  }

  /** An answer about an entry that is shown again, which says nothing of the others. @param {StatePage} page @returns {KeptChange[]} */
  shown({ state }) {
    return state.flatMap((message) => {
      // What has come since the gateway was asked is newer, also if it clears the entry.
      const newest = this.#since.get(nameOf(...entryOf(message)))?.seq ?? 0;
      if (message.body === null || newest > Number(message.seq)) return [];
      // A read from nothing may have passed its place before it was shown again.
      if (this.#next !== null) put(this.#next, message);
      return put(this.#entries, message);
    });
  }

  /** @param {number} seq */
  #reach(seq) {
    this.#seq = seq;
    for (const [name, { message, seq: cleared }] of this.#entries) {
      if (message === null && cleared <= seq) this.#entries.delete(name);
    }
  }
}

/**
 * Whether this is an answer of the gateway that brings us further.
 *
 * @param {any} page
 * @param {number | undefined} after
 * @returns {page is StatePage}
 */
export function isStatePage(page, after) {
  const { state, seq, whole, complete } = page ?? {};
  if (!Array.isArray(state) || !state.every((message) => isMessage(message) && isKept(message))) return false;
  if (!Number.isSafeInteger(seq) || typeof whole !== "boolean" || typeof complete !== "boolean") return false;
  return complete || seq > (after ?? -1);
}

/**
 * The message that an entry with this key hides.
 *
 * @param {string} key
 * @returns {number | null} its seq
 */
export function hiddenSeq(key) {
  const [, seq] = /^hidden:([1-9]\d{0,14})$/.exec(key) ?? [];
  return seq === undefined ? null : Number(seq);
}

/** What keeps order in a room is told to everyone. @param {string} key */
function isOrder(key) {
  return key === "settings" || key.startsWith("hidden:");
}

/** @param {Message} message @returns {message is Message & {keep: string, seq: number}} */
function isKept({ keep, seq }) {
  return typeof keep === "string" && seq !== null;
}

/** @param {Message} message @returns {[string, string | null]} the key and author of its entry */
function entryOf({ keep = "", of, role, sender }) {
  return [keep, of ?? (role === "host" ? null : sender)];
}

/** @param {string} key @param {string | null} author */
function nameOf(key, author) {
  return author === null ? key : `${key} ${author}`;
}

/** @param {Map<string, Known>} entries @param {Message} message @returns {KeptChange[]} */
function put(entries, message) {
  const [key, author] = entryOf(message);
  const name = nameOf(key, author);
  const known = entries.get(name);
  const seq = Number(message.seq);
  if (known !== undefined && known.seq >= seq) return [];
  const standing = message.body === null ? null : message;
  entries.set(name, { key, author, seq, message: standing });
  const before = known?.message ?? null;
  return standing === null && before === null ? [] : [{ key, author, message: standing, before }];
}

/** @param {Map<string, Known>} before @param {Map<string, Known>} after @returns {KeptChange[]} */
function differences(before, after) {
  const names = new Set([...before.keys(), ...after.keys()]);
  const changed = [...names].flatMap((name) => {
    const [old, now] = [before.get(name), after.get(name)];
    if ((old?.message?.seq ?? null) === (now?.message?.seq ?? null)) return [];
    const { key, author } = /** @type {Known} */ (now ?? old);
    const seq = now?.seq ?? 0;
    return [{ key, author, seq, message: now?.message ?? null, before: old?.message ?? null }];
  });
  return inOrder(changed).map(({ seq, ...change }) => change);
}

/** @template {{seq: number}} T @param {T[]} entries @returns {T[]} */
function inOrder(entries) {
  return entries.sort((a, b) => a.seq - b.seq);
}
