/** @typedef {import("./live.js").Live} Live */
/** @typedef {import("./stomp-connection.js").Subscription} Subscription */

/**
 * The header of a SUBSCRIBE that says which room is meant: its number may have become another room's.
 *
 * @param {string | null} identity of the room, if it is known
 * @returns {Record<string, string>}
 */
export function identified(identity) {
  return identity === null ? {} : { "room-identity": identity };
}

/** A subscription's place on the connection: given up while the room does not admit us, and taken again. */
export class Place {
  #isWanted = false;
  #rests = false;

  /** @param {Live} live @param {Subscription} subscription */
  constructor(live, subscription) {
    this.live = live;
    this.subscription = subscription;
  }

  /** Whether it is wanted and not allowed. */
  get isMissed() {
    return this.#isWanted && this.#rests;
  }

  take() {
    this.#isWanted = true;
    if (!this.#rests) this.live.add(this.subscription);
  }

  leave() {
    this.#isWanted = false;
    this.live.remove(this.subscription);
  }

  /** @param {boolean} isAllowed */
  allow(isAllowed) {
    if (this.#rests === !isAllowed) return;
    this.#rests = !isAllowed;
    if (!isAllowed) this.live.remove(this.subscription);
    else if (this.#isWanted) this.live.add(this.subscription);
  }
}
