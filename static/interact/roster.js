/** @typedef {import("./types.js").Message} Message */
/** @typedef {import("./types.js").Present} Present */

/** @typedef {{user: string, role: import("./types.js").Role, event: "join" | "leave"}} Change */

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
    for (const { user, role, event } of events) {
      if ((event === "join") === this.#present.has(user)) continue;
      if (event === "join") this.#present.set(user, { user, role, since: sent_at });
      else this.#present.delete(user);
      yield { user, role, event };
    }
  }
}
