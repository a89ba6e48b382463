import { Channel } from "./channel.js";
import { Place } from "./place.js";
import { Problem } from "./problem.js";

/** @typedef {import("./access.js").Access} Access */
/** @typedef {import("./line.js").Subscription} Subscription */
/** @typedef {import("./live.js").Live} Live */
/** @typedef {import("./types.js").Audience} Audience */
/** @typedef {import("./types.js").RoomInfo} RoomInfo */

/** What can be heard in one room, and by which channels it is. */
export class Channels {
  /** @type {Map<Audience, Channel>} */
  #channels = new Map();
  /** @type {Map<Audience | "queue", Place>} */
  #places = new Map();
  /** Whether what the room told of itself may no longer be true. */
  #isDoubtful = true;

  /**
   * @param {object} parts
   * @param {Live} parts.live
   * @param {Access} parts.access
   * @param {(task: Promise<void>) => void} parts.run takes care of what nobody awaits
   */
  constructor({ live, access, run }) {
    this.live = live;
    this.access = access;
    this.run = run;
  }

  /** @param {Audience} audience @returns {Promise<Channel>} */
  async channel(audience) {
    const destination = await this.destination(audience);
    const found = this.#channels.get(audience);
    if (found) return found;
    const channel = new Channel({ live: this.live, destination, run: this.run });
    this.#channels.set(audience, channel);
    this.#places.set(audience, channel.place);
    return channel;
  }

  /** A place for the private queue. @param {Subscription} queue @returns {Place} */
  placeOf(queue) {
    const place = new Place(this.live, queue);
    this.#places.set("queue", place);
    return place;
  }

  /**
   * Where something is heard; asked for once, because a page enters with several subscriptions.
   *
   * @param {Audience | "queue"} what
   * @returns {Promise<string>} rejects with a {@link Problem}
   */
  async destination(what) {
    // The next time my role may be another one.
    const isKnown = this.access.state.name === "in" && !this.#isDoubtful;
    const room = (isKnown && this.access.room) || (await this.access.ask());
    this.#isDoubtful = false;
    if ((room.closed_at ?? null) !== null) {
      throw new Problem(410, "room_closed", "the room is closed; its history can still be read");
    }
    const destination = room.destinations[what];
    if (destination) return destination;
    this.#isDoubtful = true;
    throw new Problem(403, "access_refused", `${what}: this is for the room's hosts`);
  }

  /** Only these may be heard now. @param {Partial<RoomInfo["destinations"]>} destinations */
  allow(destinations) {
    for (const [what, place] of this.#places) place.allow(destinations[what] !== undefined);
  }

  /** Whether somebody wants to hear what is not allowed. */
  get isMissed() {
    return [...this.#places.values()].some(({ isMissed }) => isMissed);
  }

  /** Whether somebody listens who has not heard a seq. @param {Audience} audience @param {number} seq */
  awaits(audience, seq) {
    return this.#channels.get(audience)?.awaits(seq) ?? false;
  }

  /** Ask whether something was missed. */
  async catchUp() {
    await Promise.all([...this.#channels.values()].map((channel) => channel.catchUp()));
  }
}
