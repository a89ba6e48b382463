import { Channel } from "./channel.js";
import { Place } from "./place.js";
import { Problem } from "./problem.js";

/** @typedef {import("./access.js").Access} Access */
/** @typedef {import("./stomp-connection.js").Subscription} Subscription */
/** @typedef {import("./live.js").Live} Live */
/** @typedef {import("./types.js").Audience} Audience */
/** @typedef {import("./types.js").RoomInfo} RoomInfo */

/** The channels and destinations of one room, opened and closed as the room admits the user. */
export class Channels {
  /** @type {Map<Audience, Channel>} */
  #channels = new Map();
  /** @type {Map<Audience | "queue", Place>} */
  #places = new Map();

  /**
   * @param {object} parts
   * @param {Live} parts.live
   * @param {Access} parts.access
   * @param {(task: Promise<void>) => void} parts.run reports the errors of a promise that nobody awaits
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
    const channel = new Channel({
      live: this.live,
      destination,
      identity: () => this.access.identity,
      run: this.run,
    });
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
   * The destination of an audience; requested once, because a page begins with several subscriptions.
   *
   * @param {Audience | "queue"} what
   * @returns {Promise<string>} rejects with a {@link Problem}
   */
  async destination(what) {
    const known = this.access.state.name === "in" ? this.access.room : null;
    let room = known ?? (await this.access.ask());
    // The user may have another role by now.
    if (room === known && !room.destinations[what]) room = await this.access.ask();
    if ((room.closed_at ?? null) !== null) {
      throw new Problem(410, "room_closed", "the room is closed; its history can still be read");
    }
    const destination = room.destinations[what];
    if (destination) return destination;
    throw new Problem(403, "access_refused", `${what}: this is for the room's hosts`);
  }

  /** Keep only the subscriptions to these. @param {Partial<RoomInfo["destinations"]>} destinations */
  allow(destinations) {
    for (const [what, place] of this.#places) place.allow(destinations[what] !== undefined);
  }

  /** Whether a subscription waits for a destination that is not open. */
  get isMissed() {
    return [...this.#places.values()].some(({ isMissed }) => isMissed);
  }

  /** Whether a listener has not got this seq yet. @param {Audience} audience @param {number} seq */
  awaits(audience, seq) {
    return this.#channels.get(audience)?.awaits(seq) ?? false;
  }

  /** Ask whether something was missed. */
  async catchUp() {
    await Promise.all([...this.#channels.values()].map((channel) => channel.catchUp()));
  }
}
