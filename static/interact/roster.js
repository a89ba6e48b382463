/** @typedef {import("./types.js").Message} Message */
/** @typedef {import("./types.js").Present} Present */

/** @typedef {{user: string, role: import("./types.js").Role, event: "join" | "leave" | "role"}} Change */

/** Who is in a room, by name. Pure. */
export class Roster {
  /** @type {Map<string, Present>} */
  #present = new Map();

  get present() {
    const copies = Array.from(this.#present.values(), (one) => ({ ...one }));
    return copies.sort((a, b) => a.user.localeCompare(b.user));
  }

  /** @param {Present[]} present all who are in the room */
  replace(present) {
    this.#present = new Map(present.map((one) => [one.user, { ...one }]));
  }

  /**
   * @param {Message} message of type `presence`: changes of one moment
   * @returns {Generator<Change>} each change that was not known yet, once it is in the list
   */
  *apply({ body, sent_at }) {
    const events = Array.isArray(body?.events) ? body.events : [];
    for (const { user, role, event, name } of events) {
      const known = this.#present.get(user);
      if (event === "role") {
        if (known === undefined || known.role === role) continue;
        this.#present.set(user, { ...known, role });
      } else if (event === "join") {
        if (known !== undefined) continue;
        this.#present.set(user, { user, role, since: sent_at, ...(name !== undefined && { name }) });
      } else if (!this.#present.delete(user)) continue;
      yield { user, role, event };
    }
  }
}
