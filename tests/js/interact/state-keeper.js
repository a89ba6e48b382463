import { message } from "./messages.js";

/** A kept message of a stream. */
export function kept(seq, key, body, fields = {}) {
  return message(seq, { type: "kept", keep: key, body, role: "host", sender: "han", ...fields });
}

/** The fold of a history: what its state is, by `key author`. */
export function folded(history) {
  const state = new Map();
  for (const one of history) {
    if (one.keep === undefined) continue;
    const author = one.of ?? (one.role === "host" ? null : one.sender);
    state.set(`${one.keep} ${author}`, one);
  }
  return new Map([...state].sort((a, b) => a[1].seq - b[1].seq));
}

/**
 * The gateway's state of one stream: it remembers so many cleared entries, longer than a page reads from nothing, and
 * answers with so many at once.
 */
export class StateKeeper {
  history = [];
  remembers = Infinity;
  limit = Infinity;
  #forgotten = 0;

  /** `veiled`: for others than hosts. */
  answer({ after, whole = false, limit = this.limit, veiled = false } = {}) {
    const all = folded(this.history);
    const isHidden = ({ seq }) => veiled && (all.get(`hidden:${seq} null`)?.body ?? null) !== null;
    const entries = [...all.values()].filter((one) => !isHidden(one));
    const cleared = entries.filter(({ body }) => body === null);
    const gone = cleared.slice(0, Math.max(0, cleared.length - this.remembers));
    if (!whole) this.#forgotten = Math.max(this.#forgotten, ...gone.map(({ seq }) => seq));
    const isFresh = after === undefined || (after < this.#forgotten && !whole);
    const found = entries.filter((one) => {
      if (isFresh) return one.body !== null;
      return one.seq > after && (one.body !== null || one.seq > this.#forgotten);
    });
    const state = found.slice(0, Math.min(limit, this.limit));
    const complete = state.length === found.length;
    const seq = complete ? (this.history.at(-1)?.seq ?? 0) : state.at(-1).seq;
    return { state, seq, whole: isFresh, complete };
  }
}
